"""Masklets as label images: the object of each pixel."""

from __future__ import annotations

import numpy as np

from sam2_ros.tracking.masklet import Frame, Masklet
from sam2_ros.tracking.object_colours import colour


def label_image(frame: Frame) -> np.ndarray:
    """The object ID in each pixel, uint16 [H, W]; 0: no object.

    Where objects overlap, the smaller one is shown. IDs above 65535 do not fit and are left out.
    """
    labels = np.zeros((frame.height, frame.width), np.uint16)
    for masklet in _smallest_last(frame):
        labels[masklet.mask] = masklet.object_id
    return labels


def coloured_labels(frame: Frame) -> np.ndarray:
    """The label image for people, uint8 [H, W, 3] RGB: the fixed colour of the ID in each pixel; black: no object."""
    picture = np.zeros((frame.height, frame.width, 3), np.uint8)
    for masklet in _smallest_last(frame):
        picture[masklet.mask] = colour(masklet.object_id)
    return picture


def _smallest_last(frame: Frame) -> list[Masklet]:
    """The masklets of a label image, in the order in which they are drawn."""
    shown = [masklet for masklet in frame.masklets if masklet.present and masklet.object_id <= 0xFFFF]
    return sorted(shown, key=lambda masklet: -np.count_nonzero(masklet.mask))
