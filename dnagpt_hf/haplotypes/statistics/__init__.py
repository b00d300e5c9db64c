"""Statistics that compare artificial genomes with real ones."""
