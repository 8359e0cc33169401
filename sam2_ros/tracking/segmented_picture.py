"""A picture of everything that was found in an image: tinted, outlined, with the predicted IoU of each mask."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from sam2_ros.tracking import rle
from sam2_ros.tracking.object_colours import RGB, contrasting
from sam2_ros.tracking.overlay import paste, tag_of

MAX_SIDE = 2048
"""Larger images are reduced to it, pixels: a picture to look at."""
TINT = 0.4
"""Share of a mask's colour in its pixels."""


@dataclass(frozen=True)
class SegmentedThing:
    """A mask to draw."""

    counts: np.ndarray
    """Its run lengths, of the image's size (`rle`)."""
    iou: float
    """Predicted IoU, 0 .. 1."""
    label: str = ""


def draw_segmented(image: np.ndarray, things: Iterable[SegmentedThing]) -> np.ndarray:
    """Draw masks over an image: uint8 [h, w, 3] RGB, with at most `MAX_SIDE` pixels on each side.

    Small masks lie on large ones. What is drawn says nothing of masks that are smaller than a pixel of the picture.

    Args:
        image: uint8 [H, W, 3] RGB.

    Raises:
        ValueError: a mask does not have the image's size.
    """
    scale = min(1.0, MAX_SIDE / max(image.shape[:2]))
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    plain = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image
    shapes = [shape for thing in things if (shape := _Shape.of(thing, image.shape[:2], size))]
    shapes.sort(key=lambda shape: -shape.area)
    owner = np.zeros(plain.shape[:2], np.int32)  # of each pixel: the number of the smallest mask there, 0: none
    palette = np.zeros((len(shapes) + 1, 3), np.uint8)
    for number, shape in enumerate(shapes, 1):
        owner[shape.window][shape.mask] = number
        beside = [other.colour for other in shapes[: number - 1] if other.is_beside(shape)]
        shape.colour = contrasting(plain, shape.on(plain), number, beside)
        palette[number] = shape.colour
    canvas = np.where(owner[..., None] > 0, cv2.addWeighted(plain, 1 - TINT, palette[owner], TINT, 0), plain)
    canvas = np.ascontiguousarray(canvas)
    visible = [owner[shape.window] == number for number, shape in enumerate(shapes, 1)]
    line = max(1, round(min(size) / 480))
    for shape, part in zip(shapes, visible, strict=True):
        shape.draw_outline(canvas, part, line)
    letters = round(min(max(min(size) / 55, 10), 22))
    for shape, part in zip(shapes, visible, strict=True):
        shape.draw_tag(canvas, part, letters)
    return canvas


@dataclass(eq=False)
class _Shape:
    """A mask at the picture's size, cut to its box."""

    thing: SegmentedThing
    mask: np.ndarray
    """bool [h, w]."""
    left: int
    top: int
    colour: RGB = (0, 0, 0)

    @classmethod
    def of(cls, thing: SegmentedThing, shape: tuple[int, int], size: tuple[int, int]) -> _Shape | None:
        """None if nothing is left of it at this size, a width and a height."""
        mask = rle.decode(thing.counts, *shape).view(np.uint8)
        if size != shape[::-1]:
            mask = (cv2.resize(mask * 255, size, interpolation=cv2.INTER_AREA) > 127).view(np.uint8)
        x, y, width, height = cv2.boundingRect(mask)
        return cls(thing, mask[y : y + height, x : x + width].astype(bool), x, y) if width else None

    @property
    def window(self) -> tuple[slice, slice]:
        height, width = self.mask.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)

    @property
    def area(self) -> int:
        return int(np.count_nonzero(self.mask))

    def on(self, canvas: np.ndarray) -> np.ndarray:
        """The whole mask, bool [H, W]."""
        whole = np.zeros(canvas.shape[:2], bool)
        whole[self.window] = self.mask
        return whole

    def is_beside(self, other: _Shape) -> bool:
        """Whether their boxes touch."""
        (rows, columns), (others_rows, others_columns) = self.window, other.window
        return (
            rows.start <= others_rows.stop
            and others_rows.start <= rows.stop
            and columns.start <= others_columns.stop
            and others_columns.start <= columns.stop
        )

    def draw_outline(self, canvas: np.ndarray, visible: np.ndarray, line: int) -> None:
        """Outline the parts that can be seen, by a lighter line.

        Args:
            visible: the mask's pixels that no other covers: bool, as `mask`.
            line: its width, pixels.
        """
        part, light = visible.view(np.uint8), tuple(round(0.45 * 255 + 0.55 * side) for side in self.colour)
        contours, _ = cv2.findContours(part, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE, offset=(self.left, self.top))
        cv2.drawContours(canvas, contours, -1, light, line, cv2.LINE_AA)

    def draw_tag(self, canvas: np.ndarray, visible: np.ndarray, letters: int) -> None:
        """Write label and predicted IoU where the mask is widest, if there is room.

        Args:
            visible: as above.
            letters: their height, pixels.
        """
        tag = tag_of(self.thing.label, f"{self.thing.iou:.2f}", letters, self.colour, True)
        height, width = tag[0].shape[:2]
        room = cv2.distanceTransform(np.pad(visible, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
        row, column = np.unravel_index(int(room.argmax()), room.shape)
        if self.thing.label or 2 * room[row, column] >= max(height, 0.8 * width):
            x = self.left + int(column) - width // 2
            x = min(max(x, 0), max(canvas.shape[1] - width, 0))
            y = min(max(self.top + int(row) - height // 2, 0), max(canvas.shape[0] - height, 0))
            paste(canvas, tag, (x, y))
