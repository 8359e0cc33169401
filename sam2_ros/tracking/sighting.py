"""Sightings: what a tracker needs to take an object up again, in another process or after a break."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Sighting:
    """An object on an image."""

    object_id: int
    label: str
    stamp: int
    """Of the image, ns."""
    image: np.ndarray
    """uint8 [h, w, 3], RGB; sightings on one image share it. It may be smaller than the mask: the network resizes it in
    any case."""
    mask: np.ndarray
    """bool [H, W], of the size that the image had originally; not empty."""
    prompted: bool = False
    """Whether the mask is the answer to a prompt, so that it is remembered for as long as the object is tracked;
    otherwise it is where the object was seen last."""
