"""Folders of weights: loading, validation, saving, conversion, cards, publishing."""
