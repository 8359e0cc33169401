"""The pictures of a demo: the overlay video and the contact sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console

from sam2_ros.data.prompt_text import describe
from sam2_ros.data.video_writer import VideoWriter
from sam2_ros.ros.demo.progress import progress_bar
from sam2_ros.ros.demo.result import Result
from sam2_ros.ros.demo.show import Show
from sam2_ros.tracking.contact_sheet import contact_sheet, thumbnail
from sam2_ros.tracking.overlay import Overlay
from sam2_ros.tracking.prompt import Prompt

VIDEO, SHEET = "overlay.mp4", "contact-sheet.png"
SHEET_FRAMES = 12
SHEET_PROMPTS = 3
"""Maximum number of prompts named on the contact sheet."""


def draw(result: Result, show: Show, out: Path, console: Console) -> None:
    """Writes the overlay video and the contact sheet into a folder."""
    sheet_indices = _sheet_indices(result)
    pictures, captions, overlay = [], [], Overlay()
    quality = {frame.frame: (frame.j + frame.f) / 2 for scored in result.scores or () for frame in scored.frames}
    with VideoWriter(out / VIDEO, show.fps) as video, progress_bar(console) as bar:
        task = bar.add_task("drawing the video", total=len(result.stamps))
        for index, stamp in enumerate(result.stamps):
            image, masklets = result.recording.image(stamp), result.frame(index).masklets
            picture = overlay.draw(image, masklets)
            if abs(index - result.prompted) < show.fps / 2:
                picture = _with_prompts(picture, show.prompts, image.shape[1])
            video.write(picture)
            if index in sheet_indices:
                small = thumbnail(image, masklets, overlay)
                if index == result.prompted:
                    small = _with_prompts(small, show.prompts, image.shape[1])
                pictures.append(small)
                words = [f"{index / show.fps:.1f} s"]
                words += [show.prompt_summary] if index == result.prompted else []
                words += [f"J&F {100 * quality[index]:.0f}"] if index in quality else []
                captions.append("    ".join(words))
            bar.advance(task)
    title = f"{show.prompt_summary.capitalize()}, then tracked"
    title += f"    J&F {100 * result.total.j_and_f:.0f}" if result.total else ""
    more = len(show.prompts) - SHEET_PROMPTS
    named = "; ".join(map(describe, show.prompts[:SHEET_PROMPTS])) + (f" and {more} more" if more > 0 else "")
    subtitle = f"{named}; images and masks as they were recorded in the bag"
    sheet = contact_sheet(pictures, captions, title, subtitle)
    cv2.imwrite(str(out / SHEET), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))


def _sheet_indices(result: Result) -> list[int]:
    """Indices of the frames on the contact sheet: the prompted one, and evenly spread ones."""
    count = min(SHEET_FRAMES, len(result.stamps) - result.prompted)
    return sorted({round(index) for index in np.linspace(result.prompted, len(result.stamps) - 1, count)})


def _with_prompts(picture: np.ndarray, prompts: Sequence[Prompt], width: int) -> np.ndarray:
    """Draws prompts: clicks as dots (negative ones crossed), boxes as frames. The tracked mask shows a prompted mask.

    Args:
        picture: uint8 [H, W, 3], modified; may be smaller than the image.
        width: width of the image, pixels.
    """
    scale, size = picture.shape[1] / width, max(4, picture.shape[0] // 60)
    light, dark, thin = (255, 255, 255), (20, 20, 20), max(1, size // 4)
    for prompt in prompts:
        if prompt.box is not None:
            x, y, wide, high = (round(side * scale) for side in prompt.box)
            for colour, thickness in ((dark, 3 * thin), (light, thin)):
                cv2.rectangle(picture, (x, y), (x + wide, y + high), colour, thickness, cv2.LINE_AA)
        for x, y, positive in prompt.clicks:
            x, y = round(x * scale), round(y * scale)
            cv2.circle(picture, (x, y), size, light if positive else dark, -1, cv2.LINE_AA)
            cv2.circle(picture, (x, y), size, dark if positive else light, thin, cv2.LINE_AA)
            if not positive:
                arm = round(0.6 * size)
                for side in (-1, 1):
                    ends = (x - arm, y - side * arm), (x + arm, y + side * arm)
                    cv2.line(picture, *ends, light, thin, cv2.LINE_AA)
    return picture
