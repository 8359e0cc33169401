"""A contact sheet: a dozen moments of the recording with their masklets, in one picture."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from sam2_ros.data.images import write_jpeg
from sam2_ros.recordings.outputs.finished_run import FinishedRun
from sam2_ros.recordings.outputs.fitting import fitted
from sam2_ros.tracking.contact_sheet import contact_sheet, thumbnail
from sam2_ros.tracking.overlay import Overlay

MOMENTS = 12
QUALITY = 92
"""Of the JPEG."""


def write(run: FinishedRun, file: Path) -> list[str]:
    """Write the sheet. Raises OSError, and ClipError as the recording does."""
    store, overlay = run.store, Overlay()
    labels = store.labels
    pictures: list[np.ndarray] = []
    captions = []
    for frame in moments(store.frame_numbers, store.first_frames.values()):
        stored, image = store.frame(frame), next(run.recording.images(frame, frame + 1), None)
        if stored is None or image is None:
            continue
        picture = thumbnail(image.pixels, stored.masklets(labels), overlay)
        pictures.append(fitted(picture, pictures[0].shape[:2]) if pictures else picture)
        seconds = (stored.stamp - run.recording.stamps[0]) / 1e9
        captions.append(f"frame {frame}   {seconds:.1f} s" + "   prompt" * bool(run.prompts_on(frame)))
        run.on_frame()
    if not pictures:
        raise ValueError(f"no image of {run.recording.path} could be decoded")
    height, width = pictures[0].shape[:2]
    columns = min(len(pictures), 6 if height > width else 4)
    sheet = contact_sheet(pictures, captions, run.recording.name, _subtitle(run), columns)
    write_jpeg(file, sheet, QUALITY)
    return []


def moments(frames: Sequence[int], starts: Collection[int], count: int = MOMENTS) -> list[int]:
    """Evenly spaced frames from the first to the last, moved to where objects were prompted first.

    Args:
        frames: the frames to choose from, ascending.
        starts: frames on which objects were prompted first.
        count: maximum number of frames.
    """
    places = np.unique(np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int)).tolist()
    known = {frame: place for place, frame in enumerate(frames)}
    free = places[1:-1]
    kept = [place for place in (places[0], places[-1])] if places else []
    for place in sorted({known[frame] for frame in starts if frame in known} - set(kept)):
        if free:
            free.remove(min(free, key=lambda one: abs(one - place)))
            kept.append(place)
    return [frames[place] for place in sorted({*kept, *free})]


def _subtitle(run: FinishedRun) -> str:
    stamps, objects, images = run.recording.stamps, len(run.store.labels), run.store.frame_count
    seconds = (stamps[-1] - stamps[0]) / 1e9 + 1 / run.recording.fps
    return (
        f"{objects} object{'s' * (objects != 1)}, {images} image{'s' * (images != 1)}, {seconds:.1f} s"
        f" at {run.recording.fps:.3g} images per second"
    )
