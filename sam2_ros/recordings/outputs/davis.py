"""A finished run in the layout of DAVIS."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from sam2_ros.data import davis
from sam2_ros.data.labels import MAX_ID
from sam2_ros.recordings.outputs.finished_run import FinishedRun
from sam2_ros.recordings.outputs.stored_clip import stored_clip


def write(run: FinishedRun, folder: Path) -> list[str]:
    """Write all images as JPEG and all masks as PNG. Raises OSError, and ClipError as the recording does."""
    davis.write([stored_clip(run)], folder)
    return []


def check_ids(object_ids: Collection[int]) -> str:
    """What keeps objects with these IDs from the format; empty: nothing."""
    if not object_ids or max(object_ids) <= MAX_ID:
        return ""
    return f"DAVIS has object IDs up to {MAX_ID}, here is {max(object_ids)}; choose sav, coco or bag"
