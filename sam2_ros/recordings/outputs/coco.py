"""A finished run in the format of COCO."""

from __future__ import annotations

from pathlib import Path

from sam2_ros.data import coco
from sam2_ros.recordings.outputs.finished_run import FinishedRun
from sam2_ros.recordings.outputs.stored_clip import stored_clip


def write(run: FinishedRun, folder: Path) -> list[str]:
    """Write all images as JPEG and all masks in one JSON. Raises OSError, and ClipError as the recording does."""
    coco.write([stored_clip(run)], folder)
    return []
