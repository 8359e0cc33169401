"""The parts of benchmarks/fuzz.py: one file for each kind of hostile message or call."""
