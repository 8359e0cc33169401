"""Comparison of a tracking step of this package with other implementations, in turns."""
