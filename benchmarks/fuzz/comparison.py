"""Comparison of the victim's masklets with its twin's."""

from __future__ import annotations

from collections.abc import Sequence

from fuzz import scene
from sam2_ros import msg


def differences(victim: Sequence[msg.MaskletArray], twin: Sequence[msg.MaskletArray]) -> list[str]:
    """What is different about the good objects, one line each: on every image, masks bit by bit."""
    if len(victim) != len(twin):
        stamps = [[f"{one.header.stamp.sec}.{one.header.stamp.nanosec:09}" for one in side] for side in (victim, twin)]
        return [f"the victim has processed the images {stamps[0]}, its twin {stamps[1]}"]
    found = []
    for index, (ours, theirs) in enumerate(zip(victim, twin, strict=True)):
        if (ours.header, ours.height, ours.width) != (theirs.header, theirs.height, theirs.width):
            found.append(f"image {index} is another: {ours.header} and {theirs.header}")
        found += [f"image {index}: {line}" for line in _differences(ours.masklets, theirs.masklets)]
    return found


def _differences(ours: Sequence[msg.Masklet], theirs: Sequence[msg.Masklet]) -> list[str]:
    good = {masklet.object_id: masklet for masklet in ours if masklet.object_id in scene.GOOD_IDS}
    ids = [masklet.object_id for masklet in theirs]
    if [*good] != ids:
        return [f"the objects are {[*good]} and {ids}"]
    return [f"object {masklet.object_id} differs" for masklet in theirs if not same(good[masklet.object_id], masklet)]


def same(one: msg.Masklet, other: msg.Masklet) -> bool:
    """Whether two masklets are the same object in the same pixels. Probabilities may differ in their last digits, since
    other objects are computed in the same matrix product."""
    names = "object_id", "label", "present", "box"
    return (
        all(getattr(one, name) == getattr(other, name) for name in names)
        and one.mask == other.mask
        and abs(one.presence - other.presence) < 1e-3
        and abs(one.iou - other.iou) < 1e-3
    )
