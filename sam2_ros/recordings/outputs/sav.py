"""A finished run in the training layout of SA-V."""

from __future__ import annotations

from pathlib import Path

from sam2_ros.data import sav
from sam2_ros.recordings.outputs.finished_run import FinishedRun
from sam2_ros.recordings.outputs.stored_clip import stored_clip


def write(run: FinishedRun, folder: Path) -> list[str]:
    """Write a video of all images, and masks of every fourth. Raises OSError, and ClipError as the recording does."""
    sav.write([stored_clip(run)], folder)
    return []
