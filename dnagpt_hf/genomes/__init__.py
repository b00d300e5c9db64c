"""Genomes: FASTA as arrays of bases, its index, regions, manifests, downloads, composition."""
