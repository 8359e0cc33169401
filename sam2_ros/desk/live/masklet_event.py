"""Masklets as the page takes them."""

from __future__ import annotations

from collections.abc import Iterable

from sam2_ros import msg
from sam2_ros.desk.event import Event


def masklet_event(masklet: msg.Masklet) -> Event:
    """One object on one image, with its mask as run lengths."""
    return {"object_id": masklet.object_id, "label": masklet.label, "present": masklet.present} | {
        "presence": round(masklet.presence, 3),
        **candidate_event(masklet),
    }


def candidate_event(masklet: msg.Masklet) -> Event:
    """What one prompt may mean: predicted IoU, box and mask."""
    box, mask = masklet.box, masklet.mask
    return {
        "iou": round(masklet.iou, 3),
        "box": [box.x_offset, box.y_offset, box.width, box.height],
        "mask": {"height": mask.height, "width": mask.width, "counts": [*mask.counts]},
    }


def masklet_events(masklets: Iterable[msg.Masklet]) -> list[Event]:
    """All objects on one image."""
    return [masklet_event(masklet) for masklet in masklets]
