"""A contact sheet: a dozen moments of the recording with their masklets, in one picture."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import cv2
import numpy as np

from sam2_ros.data.images import write_jpeg
from sam2_ros.recordings.outputs.finished_run import FinishedRun
from sam2_ros.recordings.outputs.pictures import MAX_LABELS, fitted
from sam2_ros.tracking.contact_sheet import contact_sheet, thumbnail
from sam2_ros.tracking.overlay import Overlay
from sam2_ros.tracking.prompt import Prompt

MOMENTS = 12
SIDE = 400
"""Width of a picture, pixels."""
ON, OFF, RIM = (64, 255, 128), (255, 72, 72), (255, 255, 255)
"""Colours of clicks on an object and beside it, and of what surrounds them; RGB."""
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
        picture = thumbnail(image.pixels, stored.masklets(labels), overlay, SIDE, len(stored.masks) <= MAX_LABELS)
        for prompt in run.prompts_on(frame):
            draw_prompt(picture, prompt, picture.shape[1] / stored.width)
        pictures.append(fitted(picture, pictures[0].shape[:2]) if pictures else picture)
        seconds = (stored.stamp - run.recording.stamps[0]) / 1e9
        captions.append(f"frame {frame}   {seconds:.1f} s" + "   prompt" * bool(run.prompts_on(frame)))
        run.on_frame()
    if not pictures:
        raise ValueError(f"no image of {run.recording.path} could be decoded")
    height, width = pictures[0].shape[:2]
    columns = min(len(pictures), 6 if height > width else 4)
    sheet = contact_sheet(pictures, captions, run.recording.name, _subtitle(run), columns, SIDE)
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


def draw_prompt(picture: np.ndarray, prompt: Prompt, scale: float) -> None:
    """Mark the clicks and the box of a prompt in a picture, uint8 [h, w, 3] RGB.

    Args:
        scale: size of the picture relative to the image.
    """

    def place(x: float, y: float) -> tuple[int, int]:
        return round((x + 0.5) * scale - 0.5), round((y + 0.5) * scale - 0.5)

    if prompt.box is not None:
        x, y, width, height = prompt.box
        cv2.rectangle(picture, place(x, y), place(x + width - 1, y + height - 1), RIM, 1, cv2.LINE_AA)
    for click in prompt.clicks:
        cv2.circle(picture, place(click.x, click.y), 5, RIM, cv2.FILLED, cv2.LINE_AA)
        cv2.circle(picture, place(click.x, click.y), 3, ON if click.positive else OFF, cv2.FILLED, cv2.LINE_AA)


def _subtitle(run: FinishedRun) -> str:
    stamps, objects, images = run.recording.stamps, len(run.store.labels), run.store.frame_count
    span = run.recording.span
    seconds = (stamps[span[-1]] - stamps[span[0]]) / 1e9 + 1 / run.recording.fps
    return (
        f"{objects} object{'s' * (objects != 1)}, {images} image{'s' * (images != 1)}, {seconds:.1f} s"
        f" at {run.recording.fps:.3g} images per second"
    )
