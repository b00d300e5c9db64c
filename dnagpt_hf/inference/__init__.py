"""A model and records: answers, numbers, embeddings."""
