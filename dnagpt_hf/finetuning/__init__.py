"""Fine-tuning on a task: settings, the run, its trainer, adapters."""
