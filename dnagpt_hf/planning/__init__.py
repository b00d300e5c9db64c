"""Memory, FLOPs and time of a training."""
