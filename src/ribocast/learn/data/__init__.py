"""Measurements: libraries, splits, simulated and published tables."""
