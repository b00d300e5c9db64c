"""What a task is, and the paper's tasks as data."""
