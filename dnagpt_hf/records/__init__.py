"""Records of a file in, rows out: reading, writing, templates of the token language, encoding."""
