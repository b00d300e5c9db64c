"""Exact likelihoods of bases, sequences and variants."""
