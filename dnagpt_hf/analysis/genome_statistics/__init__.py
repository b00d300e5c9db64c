"""Statistics by which artificial genomes are compared with real ones."""
