"""Metrics and reference models to measure DNAGPT against."""
