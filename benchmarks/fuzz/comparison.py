"""Comparison of the victim's masklets with its twin's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fuzz import scene
from sam2_ros import msg
from sam2_ros.tracking import rle

TOLERANCE = 1e-3
"""Maximum difference of a probability."""
ROUNDING = 2
"""Maximum number of pixels of a mask that differ by rounding: with more objects in one matrix product, the last digits
of a logit are others, and it may change its sign."""


def differences(victim: Sequence[msg.MaskletArray], twin: Sequence[msg.MaskletArray], rounding: int = 0) -> list[str]:
    """What is different about the good objects, one line each.

    Args:
        rounding: number of pixels of a mask that may differ.
    """
    if len(victim) != len(twin):
        stamps = [[f"{one.header.stamp.sec}.{one.header.stamp.nanosec:09}" for one in side] for side in (victim, twin)]
        return [f"the victim has processed the images {stamps[0]}, its twin {stamps[1]}"]
    found = []
    for index, (ours, theirs) in enumerate(zip(victim, twin, strict=True)):
        if (ours.header, ours.height, ours.width) != (theirs.header, theirs.height, theirs.width):
            found.append(f"image {index} is another: {ours.header} and {theirs.header}")
        found += [f"image {index}: {line}" for line in _differences(ours.masklets, theirs.masklets, rounding)]
    return found


def _differences(ours: Sequence[msg.Masklet], theirs: Sequence[msg.Masklet], rounding: int) -> list[str]:
    good = {masklet.object_id: masklet for masklet in ours if masklet.object_id in scene.GOOD_IDS}
    ids = [masklet.object_id for masklet in theirs]
    if [*good] != ids:
        return [f"the objects are {[*good]} and {ids}"]
    return [
        f"object {masklet.object_id}: {line}"
        for masklet in theirs
        for line in difference(good[masklet.object_id], masklet, rounding)
    ]


def difference(one: msg.Masklet, other: msg.Masklet, rounding: int = 0) -> list[str]:
    """What differs between two masklets.

    Probabilities may differ in their last digits, since the attackers' objects are computed in the same matrix product.
    """
    found = [
        f"{name} is {getattr(one, name)} and {getattr(other, name)}"
        for name in ("object_id", "label", "present", "box")
        if getattr(one, name) != getattr(other, name)
    ]
    if one.mask != other.mask:
        pixels = [rle.decode(side.mask.counts, side.mask.height, side.mask.width) for side in (one, other)]
        number = pixels[0].size
        if pixels[0].shape == pixels[1].shape:
            number = np.count_nonzero(pixels[0] != pixels[1])
        if number <= rounding:  # such a pixel may also move the box
            return []
        found.append(f"{number} pixels, with probabilities {one.presence:.7f} and {other.presence:.7f}")
    found += [
        f"{name} is {getattr(one, name)} and {getattr(other, name)}"
        for name in ("presence", "iou")
        if not abs(getattr(one, name) - getattr(other, name)) < TOLERANCE
    ]
    return found
