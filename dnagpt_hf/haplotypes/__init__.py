"""Haplotypes: their files and codec, models of them, artificial genomes."""
