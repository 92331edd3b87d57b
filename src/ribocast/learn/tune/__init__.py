"""Searching settings by cross-validation, in as many processes as there are cores: see `searching.search`."""
