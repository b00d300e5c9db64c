"""Tasks as data, the sources of their records, and splits."""
