"""Masklets as the page takes them."""

from __future__ import annotations

from collections.abc import Iterable

from sam2_ros.desk.event import Event
from sam2_ros.desk.wire_mask import counts_to_wire
from sam2_ros.msg import Masklet


def masklet_event(masklet: Masklet) -> Event:
    """One object on one image, with its mask as run lengths."""
    return {
        "object_id": masklet.object_id,
        "label": masklet.label,
        "present": masklet.present,
        "presence": round(masklet.presence, 3),
        **candidate_event(masklet),
    }


def candidate_event(masklet: Masklet) -> Event:
    """What one prompt may mean: predicted IoU, box and mask."""
    box, mask = masklet.box, masklet.mask
    return {
        "iou": round(masklet.iou, 3),
        "box": [box.x_offset, box.y_offset, box.width, box.height],
        "mask": counts_to_wire(mask.height, mask.width, mask.counts),
    }


def masklet_events(masklets: Iterable[Masklet]) -> list[Event]:
    """All objects on one image."""
    return [masklet_event(masklet) for masklet in masklets]
