"""Names of the stages of a tracking step, in their order."""

INSIDE = {"condition": "memory attention", "decode": "mask decoder", "encode_memory": "memory encoder"}
"""Stages of `Network.track`, by the function of each."""
TRACK = "attention to memory encoder"
"""These three where they are recorded as one CUDA graph."""
STAGES = ("resize, normalise", "image encoder", *INSIDE.values(), TRACK, "masks")
