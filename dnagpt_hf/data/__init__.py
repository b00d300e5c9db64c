"""Genomes in, records of the token language out."""
