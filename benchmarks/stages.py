"""The stages of a tracking step: their names, in order, and their timing by a clock."""

from __future__ import annotations

from typing import Any

from clock import Clock

INSIDE = {"condition": "memory attention", "decode": "mask decoder", "encode_memory": "memory encoder"}
"""Stages of `Network.track`, by the function of each."""
TRACK = "attention to memory encoder"
"""Name of these three stages where they are recorded as one CUDA graph."""
STAGES = ("resize, normalise", "image encoder", *INSIDE.values(), TRACK, "masks")


def watch_stages(clock: Clock, tracker: Any) -> None:
    """Time the stages of a tracker, which may be that of an older checkout, with a clock from now on."""
    network = tracker.network if hasattr(tracker, "network") else tracker.model
    graphs = type(network).__name__.startswith("Graphed")
    inner = network if graphs else getattr(network, "model", network)
    pixels = tracker._pixels
    clock.watch(pixels, "to_network", STAGES[0])
    clock.watch(network, "encode_image", STAGES[1])
    for function, stage in ({"track": TRACK} if graphs else INSIDE).items():
        clock.watch(inner, function, stage)
    for function in ("to_masks", "begin_masks"):
        if hasattr(pixels, function):
            clock.watch(pixels, function, STAGES[-1])
