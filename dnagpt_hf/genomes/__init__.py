"""Genomes: FASTA as arrays of bases, its index, manifests, exclusions and composition."""
