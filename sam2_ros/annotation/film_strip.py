"""A masklet over its life in one picture, to be judged at a glance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sam2_ros.annotation.annotated_mask import AUTOMATIC, BY_HAND, DRAWN, PROMPTED, PROPAGATED, AnnotatedMask
from sam2_ros.annotation.project import Project, ProjectError
from sam2_ros.evaluation.prompts import tight_box
from sam2_ros.recordings.recording import Recording
from sam2_ros.tracking.object_colours import RGB, ObjectColours
from sam2_ros.tracking.overlay import draw_masks

MOMENTS = 10
"""Frames that are shown."""
COLUMNS, WIDTH, HEIGHT = 5, 280, 212
"""Pictures in a row, and their size, pixels."""
CONTEXT = 2.2
"""Width of what is shown, relative to the object's larger side."""
CLOSEST = 1.15
"""The same, where more would reach beyond the image."""
LEAST = 0.2
"""Minimum width of what is shown, relative to the image's."""
TINT = 0.22
"""Opacity of the mask: the object has to be seen through it."""


@dataclass(frozen=True)
class Paper:
    """What a film strip is printed on."""

    ground: RGB
    ink: RGB
    faint: RGB
    line: RGB


LIGHT = Paper((250, 250, 250), (24, 26, 32), (120, 124, 134), (214, 216, 222))
DARK = Paper((21, 24, 29), (234, 238, 243), (163, 173, 186), (52, 59, 69))
"""For a dark room."""

MARGIN, GAP, CAPTION, EDGE, BAR = 16, 10, 24, 4, 16
COLOURS: Mapping[str, RGB] = {
    AUTOMATIC: (142, 128, 196),
    PROPAGATED: (92, 150, 204),
    PROMPTED: (232, 150, 28),
    DRAWN: (212, 76, 60),
}
"""Of the origins of masks."""
WORDS: Mapping[str, str] = {
    AUTOMATIC: "automatic",
    PROPAGATED: "propagated",
    PROMPTED: "by clicks or a box",
    DRAWN: "drawn by hand",
}


def film_strip(
    project: Project, recording: Recording, object_id: int, moments: int = MOMENTS, paper: Paper = LIGHT
) -> np.ndarray:
    """Picture of a masklet at several moments, and where on all frames it is visible: uint8 [H, W, 3] RGB.

    Each moment shows the object with its surroundings, as large as fits; the frame around it says where the mask came
    from.

    Args:
        moments: maximum number of pictures, at least 2.
        paper: what it is printed on.

    Raises:
        ProjectError: there is no such object, or it has no masks.
    """
    known = project.object(object_id)
    masks = {mask.frame: mask for mask in project.masks_of(object_id)}
    if not masks:
        raise ProjectError(f"object {object_id} has no masks; there is nothing to show")
    visible = [mask for mask in masks.values() if mask.present]
    colours, pictures, captions = ObjectColours(), [], []
    chosen = chosen_moments(list(masks.values()), moments)
    for image in recording.picked(chosen):
        frame, mask = image.index, masks[image.index]
        nearest = min(visible, key=lambda other: (abs(other.frame - frame), other.frame), default=None)
        pictures.append(_moment(image.pixels, mask, _box(nearest, mask), colours, paper.ground))
        captions.append((f"{frame}", _caption(mask), f"{(image.stamp - recording.stamps[0]) / 1e9:.1f} s"))
    if not pictures:
        raise ProjectError(f"object {object_id} cannot be shown: the images of its frames are damaged")
    extent = f"visible on {len(visible)} of {len(masks)} frames"
    rating = f", predicted IoU {np.mean([mask.iou for mask in visible]):.2f}" if visible else ""
    title = f"{object_id}  {known.label}".rstrip()
    reason = f" ({known.reason})" if known.reason else ""
    subtitle = f"{known.state}{reason} · {extent}{rating}"
    return _sheet(pictures, captions, title, subtitle, masks, chosen, project.span, paper)


def chosen_moments(masks: Sequence[AnnotatedMask], moments: int = MOMENTS) -> list[int]:
    """The frames that tell most of a masklet, ascending.

    The first and the last on which it is visible, those by hand, the one with the lowest predicted IoU, one on which it
    is absent; and of the rest those in the middle of the longest stretches without any.

    Args:
        masks: frame by frame, at least one.
    """
    frames = [mask.frame for mask in masks]
    visible = [mask for mask in masks if mask.present]
    if not visible:
        return _spread(frames, moments)
    first, last = visible[0].frame, visible[-1].frame
    worst = min(visible, key=lambda mask: mask.iou).frame
    absent = [mask.frame for mask in masks if not mask.present]
    hidden = _spread([frame for frame in absent if first < frame < last] or absent, 1)
    by_hand = _spread([mask.frame for mask in masks if mask.origin in BY_HAND], moments // 2)
    chosen = set(list(dict.fromkeys([first, last, worst, *hidden, *by_hand]))[:moments])
    free = {frame for frame in frames if first <= frame <= last} - chosen
    while free and len(chosen) < moments:
        apart = {frame: min(abs(frame - other) for other in chosen) for frame in free}
        farthest = max(free, key=lambda frame: (apart[frame], -frame))
        chosen.add(farthest)
        free.remove(farthest)
    return sorted(chosen)


def _spread(frames: Sequence[int], count: int) -> list[int]:
    """At most so many of the frames, evenly."""
    if len(frames) <= count:
        return list(frames)
    if count == 1:
        return [frames[len(frames) // 2]]
    return [frames[round(place)] for place in np.linspace(0, len(frames) - 1, count)]


def _box(nearest: AnnotatedMask | None, mask: AnnotatedMask) -> tuple[int, int, int, int]:
    """Left, top, width and height of an object, from the nearest mask with pixels; of the image, if there is none."""
    if nearest is None:
        return 0, 0, mask.width, mask.height
    left, top, width, height = tight_box(nearest.mask)
    return int(left), int(top), int(width), int(height)


def _caption(mask: AnnotatedMask) -> str:
    if not mask.present:
        return "absent"
    return "by hand" if mask.origin == DRAWN else f"IoU {mask.iou:.2f}"


def _moment(
    image: np.ndarray, mask: AnnotatedMask, box: tuple[int, int, int, int], colours: ObjectColours, ground: RGB
) -> np.ndarray:
    """The object with its surroundings, in a frame that says where the mask came from: uint8 [HEIGHT, WIDTH, 3]."""
    rows, columns = image.shape[:2]
    x, y, width, height = box
    inside = WIDTH - 2 * EDGE, HEIGHT - 2 * EDGE
    aspect = inside[0] / inside[1]
    size = max(width, height * aspect)
    wide = min(max(CONTEXT * size, LEAST * columns), min(columns, rows * aspect))  # filled by the image
    wide = min(max(wide, CLOSEST * size), max(columns, rows * aspect))
    high = wide / aspect
    left, top = _within(x + width / 2, wide, columns), _within(y + height / 2, high, rows)
    window = round(left), round(top), max(1, round(wide)), max(1, round(high))
    finer = window[2] < inside[0]
    picture = cv2.resize(
        _cut(image, window, ground), inside, interpolation=cv2.INTER_CUBIC if finer else cv2.INTER_AREA
    )
    cover = _cut(mask.mask.view(np.uint8) * 255, window, (0, 0, 0))
    cover = cv2.resize(cover, inside, interpolation=cv2.INTER_LINEAR if finer else cv2.INTER_AREA)
    masks = {mask.object_id: cover > 127}
    if masks[mask.object_id].any():
        draw_masks(picture, masks, colours.of(picture, masks), TINT)
    return cv2.copyMakeBorder(picture, *4 * (EDGE,), cv2.BORDER_CONSTANT, value=COLOURS[mask.origin])


def _within(centre: float, length: float, size: int) -> float:
    """Where a window of this length around a centre begins, so that it lies within 0 .. size if it can."""
    if length >= size:
        return (size - length) / 2
    return min(max(centre - length / 2, 0), size - length)


def _cut(image: np.ndarray, window: tuple[int, int, int, int], beyond: RGB) -> np.ndarray:
    """The part of a picture in a window (left, top, width, height), which may reach beyond it."""
    left, top, width, height = window
    rows, columns = image.shape[:2]
    part = image[max(top, 0) : top + height, max(left, 0) : left + width]
    margins = max(-top, 0), max(top + height - rows, 0), max(-left, 0), max(left + width - columns, 0)
    return cv2.copyMakeBorder(part, *margins, cv2.BORDER_CONSTANT, value=beyond)


def _sheet(
    pictures: Sequence[np.ndarray],
    captions: Sequence[tuple[str, str, str]],
    title: str,
    subtitle: str,
    masks: Mapping[int, AnnotatedMask],
    chosen: Sequence[int],
    span: range,
    paper: Paper,
) -> np.ndarray:
    """Pictures under a title, above a bar of all frames and what its colours mean."""
    rows, top = math.ceil(len(pictures) / COLUMNS), MARGIN + 62
    width = 2 * MARGIN + COLUMNS * (WIDTH + GAP) - GAP
    below = top + rows * (HEIGHT + CAPTION + GAP) + GAP
    sheet = Image.new("RGB", (width, below + BAR + 62 + MARGIN), paper.ground)
    draw = ImageDraw.Draw(sheet)
    font, large = ImageFont.load_default(14), ImageFont.load_default(24)
    draw.text((MARGIN, MARGIN - 4), title, paper.ink, large, stroke_width=0.3)
    draw.text((MARGIN, MARGIN + 30), subtitle, paper.faint, font)
    for index, (picture, (frame, rating, time)) in enumerate(zip(pictures, captions, strict=True)):
        x, y = MARGIN + index % COLUMNS * (WIDTH + GAP), top + index // COLUMNS * (HEIGHT + CAPTION + GAP)
        sheet.paste(Image.fromarray(picture), (x, y))
        draw.text((x + 2, y + HEIGHT + 4), frame, paper.ink, font, stroke_width=0.3)
        draw.text((x + WIDTH / 2, y + HEIGHT + 4), rating, paper.faint, font, anchor="ma")
        draw.text((x + WIDTH - 2, y + HEIGHT + 4), time, paper.faint, font, anchor="ra")
    _draw_bar(draw, (MARGIN, below, width - 2 * MARGIN), masks, chosen, span, paper)
    return np.asarray(sheet)


def _draw_bar(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int, int],
    masks: Mapping[int, AnnotatedMask],
    chosen: Sequence[int],
    span: range,
    paper: Paper,
) -> None:
    """All frames of the project in a row: full where the object is visible, thin where it is absent.

    Args:
        place: left, top and width.
        chosen: frames that are shown above, which get a mark.
    """
    left, top, width = place
    font = ImageFont.load_default(14)
    draw.rectangle([left, top, left + width, top + BAR], paper.line)
    for by_hand in (False, True):  # what is by hand is drawn last, at least two pixels wide
        for frame, mask in masks.items():
            if (mask.origin in BY_HAND) == by_hand:
                begin = left + width * span.index(frame) / len(span)
                end = max(left + width * (span.index(frame) + 1) / len(span), begin + (2 if by_hand else 1)) - 1
                half = BAR / 2 if mask.present else BAR / 8
                middle = top + BAR / 2
                draw.rectangle([begin, middle - half, end, middle + half], COLOURS[mask.origin])
    for frame in chosen:
        x = left + width * (span.index(frame) + 0.5) / len(span)
        draw.polygon([(x - 4, top - 8), (x + 4, top - 8), (x, top - 2)], paper.faint)
    draw.text((left, top + BAR + 6), f"{span[0]}", paper.faint, font)
    draw.text((left + width, top + BAR + 6), f"{span[-1]}", paper.faint, font, anchor="ra")
    x, y = left, top + BAR + 34
    for origin in COLOURS:
        if any(mask.origin == origin for mask in masks.values()):
            draw.rectangle([x, y + 3, x + 12, y + 15], COLOURS[origin])
            draw.text((x + 18, y), WORDS[origin], paper.ink, font)
            x += round(18 + font.getlength(WORDS[origin]) + 24)
    if any(not mask.present for mask in masks.values()):
        draw.rectangle([x, y + 7, x + 12, y + 11], paper.faint)
        draw.text((x + 18, y), "thin: absent", paper.ink, font)
        x += round(18 + font.getlength("thin: absent") + 24)
    if len(masks) < len(span):
        draw.rectangle([x, y + 3, x + 12, y + 15], paper.line)
        draw.text((x + 18, y), "unknown", paper.ink, font)
