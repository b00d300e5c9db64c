"""Settings, checkpoints, resumption and losses that all trainings share."""
