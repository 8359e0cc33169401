"""A video of the overlay: the recording with its masklets drawn into it."""

from __future__ import annotations

from pathlib import Path

from sam2_ros.data.video_writer import VideoWriter
from sam2_ros.recordings.outputs.finished_run import FinishedRun
from sam2_ros.recordings.outputs.pictures import MAX_LABELS, fitted
from sam2_ros.tracking.overlay import Overlay


def write(run: FinishedRun, file: Path) -> list[str]:
    """Write the video. Images of other sizes than the first are fitted into it with black margins.

    Raises:
        OSError: the file cannot be written.
        ClipError: the recording is damaged.
    """
    overlay, labels = Overlay(), run.store.labels
    with VideoWriter(file, run.recording.fps) as video:
        size: tuple[int, int] | None = None
        for image, stored in run.pictures():
            labelled = len(stored.masks) <= MAX_LABELS
            picture = overlay.draw(image.pixels, stored.masklets(labels), labels=labelled)
            size = size or picture.shape[:2]
            video.write(fitted(picture, size))
            run.on_frame()
    return []
