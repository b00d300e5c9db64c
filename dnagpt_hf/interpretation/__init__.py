"""Attention, attribution and in-silico mutagenesis."""
