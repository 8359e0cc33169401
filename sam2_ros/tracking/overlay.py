"""Pictures of masklets: tinted masks with thin outlines, and who is who."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from sam2_ros.tracking.masklet import Masklet

TINT = 0.45  # of a mask's pixels comes from the object's colour
GREY = (52, 54, 60)
LETTERS = 40  # of a label are shown
Rectangle = tuple[int, int, int, int]  # column, row, width, height

_COLOURS = [
    (0, 168, 255),
    (255, 106, 61),
    (0, 214, 143),
    (255, 72, 176),
    (255, 212, 0),
    (150, 98, 255),
    (132, 222, 2),
    (244, 40, 56),
    (0, 226, 226),
    (255, 158, 10),
    (212, 140, 255),
    (70, 110, 255),
]


def colour(object_id: int) -> tuple[int, int, int]:
    """The RGB colour of an object, 0 .. 255; always the same for an ID."""
    if object_id <= len(_COLOURS):
        return _COLOURS[object_id - 1]
    hue = (object_id * 0.618034) % 1.0  # the golden ratio: neighbours in the sequence are far apart
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.55 + 0.35 * (object_id % 2), 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def draw_overlay(image: np.ndarray, masklets: Sequence[Masklet]) -> np.ndarray:
    """Draws masklets over a copy of their image, uint8 [H, W, 3] RGB.

    Visible objects are tinted and carry ID, label and presence in percent; absent ones are listed at the bottom.
    Raises ValueError if a mask does not have the image's size.
    """
    canvas = np.array(image, order="C")
    height, width = canvas.shape[:2]
    visible = []
    for masklet in masklets:
        if masklet.mask.shape != (height, width):
            raise ValueError(
                f"the mask of object {masklet.object_id} is {masklet.mask.shape[1]} x {masklet.mask.shape[0]} pixels,"
                f" the image {width} x {height}: draw masklets over the image they belong to"
            )
        if masklet.present:
            mask = masklet.mask.view(np.uint8)
            x, y, w, h = cv2.boundingRect(mask)
            if w:
                visible.append((masklet, np.s_[y : y + h, x : x + w], (x, y, w, h)))
    for masklet, window, _ in visible:
        part = canvas[window]
        tinted = cv2.addWeighted(part, 1 - TINT, np.full_like(part, colour(masklet.object_id)), TINT, 0)
        cv2.copyTo(tinted, masklet.mask[window].view(np.uint8), part)
    thickness = max(1, round(min(height, width) / 400))
    for masklet, window, (x, y, _, _) in visible:
        mask = masklet.mask[window].view(np.uint8)
        contours, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(canvas, contours, -1, colour(masklet.object_id), thickness, cv2.LINE_AA, offset=(x, y))

    size = round(min(max(min(height, width) / 30, 11), 36))
    taken: list[Rectangle] = []
    x, y = size // 2, height - size // 2
    for masklet in masklets:
        if not masklet.present:
            tag = _tag(_name(masklet), f"absent, {100 * masklet.presence:.0f} %", size, masklet.object_id, False)
            h, w = tag[0].shape[:2]
            if x + w > width and x > size // 2:
                x, y = size // 2, y - h - size // 4
            _paste(canvas, tag, (x, y - h))
            taken.append((x, y - h, w, h))
            x += w + size // 2
    for masklet, _, box in visible:
        tag = _tag(_name(masklet), f"{100 * masklet.presence:.0f} %", size, masklet.object_id, True)
        place = _place(tag[0].shape, box, taken, height, width)
        _paste(canvas, tag, place)
        taken.append((*place, tag[0].shape[1], tag[0].shape[0]))
    return canvas


def _name(masklet: Masklet) -> str:
    label = masklet.label if len(masklet.label) <= LETTERS else f"{masklet.label[: LETTERS - 1]}…"
    return f"{masklet.object_id}  {label}".rstrip()


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


@lru_cache(maxsize=128)
def _tag(name: str, state: str, size: int, object_id: int, visible: bool) -> tuple[np.ndarray, np.ndarray]:
    """A rounded tag: RGB, uint8 [h, w, 3], and opacity, [h, w, 1]. Absent objects have a grey one with a dot."""
    font, pad = _font(size), round(size * 0.45)
    dot = 0 if visible else size
    state_x = round(pad + dot + font.getlength(name) + size * 0.5)
    width, height = round(state_x + font.getlength(state) + pad), round(size * 1.5)
    back = colour(object_id) if visible else GREY
    bright = np.dot(back, (0.299, 0.587, 0.114)) > 125
    ink, faint = ((12, 14, 20), 0.75) if bright else ((255, 255, 255), 0.85)
    tag = Image.new("RGB", (width, height), back)
    draw = ImageDraw.Draw(tag)
    if dot:
        top = (height - size * 0.55) / 2
        draw.ellipse([pad, top, pad + size * 0.55, top + size * 0.55], fill=colour(object_id))
    draw.text((pad + dot, height / 2), name, ink, font, anchor="lm", stroke_width=0.35 if size > 12 else 0)
    pale = tuple(round(faint * i + (1 - faint) * b) for i, b in zip(ink, back, strict=True))
    draw.text((state_x, height / 2), state, pale, font, anchor="lm")
    corners = Image.new("L", (4 * width, 4 * height), 0)  # drawn large, so that scaling smooths the corners
    ImageDraw.Draw(corners).rounded_rectangle([0, 0, 4 * width - 1, 4 * height - 1], size * 1.4, fill=235)
    opacity = np.asarray(corners.resize((width, height), Image.Resampling.BOX))
    return np.asarray(tag), opacity[..., None]


def _place(shape: tuple[int, ...], box: Rectangle, taken: list[Rectangle], height: int, width: int) -> tuple[int, int]:
    """Where a tag goes: above its object, else below, else inside, wherever it covers no other tag."""
    h, w = shape[:2]
    left, top, box_width, box_height = box
    gap = h // 6
    wishes = [(left, top - h - gap), (left, top + box_height + gap), (left + box_width - w, top - h - gap)]
    wishes += [(left + gap, top + gap + row * (h + gap)) for row in range(16)]
    places = []
    for x, y in wishes:
        if 0 <= y <= height - h:
            places.append((min(max(x, 0), max(width - w, 0)), y))
    for left, top in places:
        if all(left + w <= x or x + tw <= left or top + h <= y or y + th <= top for x, y, tw, th in taken):
            return left, top
    return places[0] if places else (0, 0)


def _paste(canvas: np.ndarray, tag: tuple[np.ndarray, np.ndarray], place: tuple[int, int]) -> None:
    x, y = place[0], max(place[1], 0)
    part = canvas[y : y + tag[0].shape[0], x : x + tag[0].shape[1]]
    colours, opacity = (layer[: part.shape[0], : part.shape[1]].astype(np.uint16) for layer in tag)
    part[:] = (colours * opacity + part * (255 - opacity)) // 255
