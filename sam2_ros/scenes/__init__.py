"""Generated clips with exact masks: drawn from a seed or simulated, for training, tests and the demo."""
