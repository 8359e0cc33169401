"""Clips with masks: where frames and ground truth come from."""
