"""Masklets drawn over their image: outlines, lightly tinted masks, labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sam2_ros.tracking.object_colours import RGB, ObjectColours

if TYPE_CHECKING:
    from sam2_ros.tracking.masklet import Masklet

TINT = 0.15
"""Share of the object's colour in a mask's pixels, low enough to keep the object visible."""

GREY, DARK = (52, 54, 60), (14, 16, 22)
LETTERS = 40  # of a label are shown
Rectangle = tuple[int, int, int, int]  # column, row, width, height


class Overlay:
    """Draws the masklets of a stream; each object keeps its colour, and its label keeps its side of the object."""

    def __init__(self) -> None:
        self._colours = ObjectColours()
        self._sides: dict[int, int] = {}

    def draw(
        self, image: np.ndarray, masklets: Sequence[Masklet], opacity: float = TINT, labels: bool = True
    ) -> np.ndarray:
        """Draw masklets over a copy of their image, uint8 [H, W, 3] RGB.

        Visible objects are outlined and carry ID, label and presence in percent; absent ones are listed at the bottom.

        Args:
            opacity: of the colour over an object, 0 .. 1.
            labels: False: no text, and nothing of absent objects.

        Raises:
            ValueError: a mask does not have the image's size.
        """
        canvas = np.array(image, order="C")
        height, width = canvas.shape[:2]
        masks = {masklet.object_id: masklet.mask for masklet in masklets}
        visible: list[tuple[Masklet, Rectangle]] = []
        for masklet in masklets:
            if masklet.mask.shape != (height, width):
                raise ValueError(
                    f"the mask of object {masklet.object_id} is {masklet.mask.shape[1]} x {masklet.mask.shape[0]}"
                    f" pixels, the image {width} x {height}: draw masklets over the image they belong to"
                )
            box = cv2.boundingRect(masklet.mask.view(np.uint8)) if masklet.present else (0, 0, 0, 0)
            column, row, columns, rows = box
            if columns:
                visible.append((masklet, (column, row, columns, rows)))
        colours = self._colours.of(image, masks)
        draw_masks(canvas, {masklet.object_id: masklet.mask for masklet, _ in visible}, colours, opacity)
        if not labels:
            return canvas
        size = round(min(max(min(height, width) / 30, 11), 36))
        taken = _draw_absent(canvas, [one for one in masklets if not one.present], colours, size)
        # The smallest first: large ones leave more room for a label.
        for masklet, box in sorted(visible, key=lambda one: one[1][2] * one[1][3]):
            tag = tag_of(_name(masklet), f"{100 * masklet.presence:.0f} %", size, colours[masklet.object_id], True)
            side, place = _place(tag[0].shape, box, taken, visible, (height, width), self._sides.get(masklet.object_id))
            self._sides[masklet.object_id] = side
            _draw_leader(canvas, place, tag[0].shape, box, colours[masklet.object_id])
            paste(canvas, tag, place)
            taken.append((*place, tag[0].shape[1], tag[0].shape[0]))
        self._sides = {object_id: side for object_id, side in self._sides.items() if object_id in colours}
        return canvas


def draw_masks(
    canvas: np.ndarray, masks: Mapping[int, np.ndarray], colours: Mapping[int, RGB], opacity: float = TINT
) -> None:
    """Tint and outline objects in a picture, uint8 [H, W, 3] RGB.

    The outlines lie outside of the masks, so that small objects can be seen: coloured lines with dark edges.

    Args:
        masks: by object ID, bool [H, W].
        colours: RGB, by object ID.
        opacity: of the tint, 0 .. 1.
    """
    line = max(1, round(min(canvas.shape[:2]) / 320))
    boxes = {object_id: cv2.boundingRect(mask.view(np.uint8)) for object_id, mask in masks.items()}
    windows = {object_id: np.s_[y : y + h, x : x + w] for object_id, (x, y, w, h) in boxes.items()}
    for object_id, window in windows.items():
        part = canvas[window]
        tinted = cv2.addWeighted(part, 1 - opacity, np.full_like(part, colours[object_id]), opacity, 0)
        cv2.copyTo(tinted, masks[object_id][window].view(np.uint8), part)
    for object_id, window in windows.items():
        away = line // 2 + 2
        mask = cv2.copyMakeBorder(masks[object_id][window].view(np.uint8), *4 * (away,), cv2.BORDER_CONSTANT, value=0)
        mask = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * away - 1, 2 * away - 1)))
        corner = boxes[object_id][0] - away, boxes[object_id][1] - away
        contours, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(canvas, contours, -1, DARK, 2 * line, cv2.LINE_AA, offset=corner)
        cv2.drawContours(canvas, contours, -1, colours[object_id], line, cv2.LINE_AA, offset=corner)


def _draw_absent(canvas: np.ndarray, absent: Sequence[Masklet], colours: dict[int, RGB], size: int) -> list[Rectangle]:
    """List absent objects from the bottom left; return the rectangle of each."""
    height, width = canvas.shape[:2]
    taken: list[Rectangle] = []
    x, y = size // 2, height - size // 2
    for masklet in absent:
        state = f"absent, {100 * masklet.presence:.0f} %"
        tag = tag_of(_name(masklet), state, size, colours[masklet.object_id], False)
        h, w = tag[0].shape[:2]
        if x + w > width and x > size // 2:
            x, y = size // 2, y - h - size // 4
        paste(canvas, tag, (x, y - h))
        taken.append((x, y - h, w, h))
        x += w + size // 2
    return taken


def _name(masklet: Masklet) -> str:
    label = masklet.label if len(masklet.label) <= LETTERS else f"{masklet.label[: LETTERS - 1]}…"
    return f"{masklet.object_id}  {label}".rstrip()


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


@lru_cache(maxsize=128)
def tag_of(name: str, state: str, size: int, rgb: RGB, visible: bool) -> tuple[np.ndarray, np.ndarray]:
    """A rounded tag: RGB, uint8 [h, w, 3], and opacity, [h, w, 1]. Absent objects have a grey one with a dot."""
    font, pad = _font(size), round(size * 0.45)
    dot = 0 if visible else size
    state_x = round(pad + dot + (font.getlength(name) + size * 0.5 if name else 0))
    width, height = round(state_x + font.getlength(state) + pad), round(size * 1.5)
    back = rgb if visible else GREY
    bright = np.dot(back, (0.299, 0.587, 0.114)) > 125
    ink, faint = ((12, 14, 20), 0.75) if bright else ((255, 255, 255), 0.85)
    tag = Image.new("RGB", (width, height), back)
    draw = ImageDraw.Draw(tag)
    if dot:
        top = (height - size * 0.55) / 2
        draw.ellipse([pad, top, pad + size * 0.55, top + size * 0.55], fill=rgb)
    draw.text((pad + dot, height / 2), name, ink, font, anchor="lm", stroke_width=0.35 if size > 12 else 0)
    pale = tuple(round(faint * i + (1 - faint) * b) for i, b in zip(ink, back, strict=True))
    draw.text((state_x, height / 2), state, pale, font, anchor="lm")
    corners = Image.new("L", (4 * width, 4 * height), 0)  # drawn large, so that scaling smooths the corners
    ImageDraw.Draw(corners).rounded_rectangle([0, 0, 4 * width - 1, 4 * height - 1], size * 1.4, fill=235)
    opacity = np.asarray(corners.resize((width, height), Image.Resampling.BOX))
    return np.asarray(tag), opacity[..., None]


def _place(
    shape: tuple[int, ...],
    box: Rectangle,
    taken: Sequence[Rectangle],
    visible: Sequence[tuple[Masklet, Rectangle]],
    size: tuple[int, int],
    before: int | None,
) -> tuple[int, tuple[int, int]]:
    """Position of a label: the side of its object's box, and column and row.

    It covers no other label and the smallest possible share of any object, and prefers positions near the object and
    on its previous side.
    """
    (h, w), (height, width), (left, top, box_width, box_height) = shape[:2], size, box
    gap = h // 3
    right, bottom = left + box_width, top + box_height
    candidates: list[tuple[int, int]] = []
    for away in range(gap, gap + 4 * h, h):
        rows, columns = (top - away - h, bottom + away), (left, right - w)
        candidates += [(x, y) for y in rows for x in columns]
        candidates += [(right + away, top), (left - away - w, top)]
    candidates += [(left + gap, top + gap + row * (h + gap)) for row in range(16)]
    best, chosen = np.inf, (0, (0, 0))
    for side, (x, y) in enumerate(candidates):
        x = min(max(x, 0), max(width - w, 0))
        if not 0 <= y <= height - h:
            continue
        cost = 0.01 * side - (0.05 if side == before else 0.0)
        cost += 10.0 * any(_overlap((x, y, w, h), other) for other in taken)
        for masklet, other in visible:
            if cost < best and _overlap((x, y, w, h), other):
                covered = np.count_nonzero(masklet.mask[y : y + h, x : x + w])
                cost += covered / (np.count_nonzero(masklet.mask) or 1)
        if cost < best:
            best, chosen = cost, (side, (x, y))
    return chosen


def _overlap(one: Rectangle, other: Rectangle) -> bool:
    x, y, w, h = one
    left, top, width, height = other
    return x < left + width and left < x + w and y < top + height and top < y + h


def _draw_leader(canvas: np.ndarray, place: tuple[int, int], shape: tuple[int, ...], box: Rectangle, rgb: RGB) -> None:
    """Draw a thin line from a label to its object where they are not side by side."""
    (x, y), (h, w), (left, top, width, height) = place, shape[:2], box
    start = min(max(left + width // 2, x), x + w), min(max(top + height // 2, y), y + h)
    end = min(max(start[0], left), left + width), min(max(start[1], top), top + height)
    if abs(start[0] - end[0]) + abs(start[1] - end[1]) > h // 2:
        for colour, line in ((DARK, 3), (rgb, 1)):
            cv2.line(canvas, start, end, colour, line, cv2.LINE_AA)


def paste(canvas: np.ndarray, tag: tuple[np.ndarray, np.ndarray], place: tuple[int, int]) -> None:
    """Paste a tag into a picture with its upper left corner at column and row; what hangs over is cut off."""
    x, y = place[0], max(place[1], 0)
    part = canvas[y : y + tag[0].shape[0], x : x + tag[0].shape[1]]
    colours, opacity = (layer[: part.shape[0], : part.shape[1]].astype(np.uint16) for layer in tag)
    part[:] = (colours * opacity + part * (255 - opacity)) // 255
