"""Training: losses, sizes of a run, and the loop over batches."""
