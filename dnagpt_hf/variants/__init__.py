"""Scores of the variants of a file: reading, checking, scoring and writing."""
