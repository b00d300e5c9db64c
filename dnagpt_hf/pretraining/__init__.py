"""Pre-training on genomes: rows, objectives, the run and its trainer."""
