"""Backgrounds of table scenes: the table, the room behind it, and still objects."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from sam2_ros.scenes.drawing import Drawing, ellipse
from sam2_ros.scenes.pictures import Pictures
from sam2_ros.scenes.rendering import blend
from sam2_ros.scenes.textures import crop, noise, painted, recoloured, repainted

WIDE, TALL = 640.0, 480.0
"""Width and height of an image that shows the whole table, units; the world's origin is in its middle."""


def planks(rng: np.random.Generator) -> np.ndarray:
    """Nine planks seen from above, float32 [800, 1400, 3], 0 .. 255 and a little more."""
    flat = np.zeros((800, 1400, 3), np.float32)
    for i in range(9):
        top, bottom = round(i * 800 / 9), round((i + 1) * 800 / 9)
        tone = np.array([186, 130, 82], np.float32) * rng.uniform(0.86, 1.08)
        fibre = cv2.resize(
            rng.random((bottom - top, 40), np.float32), (1400, bottom - top), interpolation=cv2.INTER_CUBIC
        )
        rings = noise(rng, bottom - top, 1400, 1.6).astype(np.float32) / 255
        grain = 0.55 * fibre + 0.45 * (0.5 + 0.5 * np.sin(rings * 26 + rng.uniform(0, 6)))
        flat[top:bottom] = tone * (0.84 + 0.24 * grain[..., None])
        flat[top : top + 3] *= 0.55
    return flat


@cache
def books() -> np.ndarray:
    """Six books in a row: premultiplied uint8 [190, 190, 4]."""
    books = Drawing(190, 190)
    books.fill(ellipse(95, 178, 92, 9), (40, 24, 16), opacity=0.45, soft=4)
    x = 12.0
    for w, h, light, deep in ((24, 132, (58, 98, 140), (34, 62, 96)), (30, 150, (222, 176, 76), (176, 128, 44)),
                              (20, 118, (96, 142, 106), (58, 96, 70)), (34, 140, (150, 76, 92), (104, 44, 62)),
                              (24, 126, (236, 226, 206), (190, 178, 158))):  # fmt: skip
        books.fill([(x, 178 - h), (x + w, 178 - h), (x + w, 178), (x, 178)], light, deep)
        books.fill([(x, 178 - h), (x + 5, 178 - h), (x + 5, 178), (x, 178)], (255, 255, 255), opacity=0.18)
        books.fill([(x + w - 4, 178 - h), (x + w, 178 - h), (x + w, 178), (x + w - 4, 178)], (0, 0, 0), opacity=0.22)
        for band in (0.16, 0.24, 0.8):
            books.line([(x + 4, 178 - h * (1 - band)), (x + w - 4, 178 - h * (1 - band))], 2.2, (250, 240, 216), 0.7)
        x += w + 1.5
    lean = [(x + 6, 176), (x + 30, 178), (x + 58, 62), (x + 34, 56)]
    books.fill(lean, (196, 92, 60), (140, 56, 36))
    return books.sprite()


@cache
def blocks() -> np.ndarray:
    """Three toy blocks with letters, one on top: premultiplied uint8 [150, 170, 4]."""
    blocks = Drawing(170, 150)
    blocks.fill(ellipse(84, 138, 80, 9), (40, 24, 16), opacity=0.45, soft=4)
    places = ((10, 78, "A", (64, 134, 196)), (78, 78, "B", (98, 168, 92)), (44, 16, "C", (238, 178, 64)))
    for left, top, letter, tone in places:
        deep = tuple(0.72 * v for v in tone)
        blocks.fill([(left, top), (left + 60, top), (left + 60, top + 60), (left, top + 60)], tone, deep)
        blocks.fill(
            [(left + 7, top + 7), (left + 53, top + 7), (left + 53, top + 53), (left + 7, top + 53)],
            (248, 238, 216),
            (226, 210, 182),
        )
        blocks.text(letter, left + 17, top + 46, 34, tone)
    return blocks.sprite()


@cache
def landscape() -> np.ndarray:
    """A picture in a frame: premultiplied uint8 [130, 170, 4]."""
    picture = Drawing(170, 130)
    picture.fill([(0, 0), (170, 0), (170, 130), (0, 130)], (120, 82, 56), (88, 58, 38))
    picture.fill([(9, 9), (161, 9), (161, 121), (9, 121)], (246, 242, 232))
    picture.fill([(20, 20), (150, 20), (150, 110), (20, 110)], (150, 200, 226), (240, 226, 196))
    picture.fill(ellipse(118, 46, 12), (255, 236, 150))
    picture.fill(
        [(20, 110), (20, 84), (52, 56), (84, 88), (104, 70), (150, 100), (150, 110)], (98, 132, 142), (70, 104, 112)
    )
    picture.fill([(20, 110), (20, 98), (70, 92), (150, 104), (150, 110)], (86, 138, 88), (58, 104, 66))
    return picture.sprite()


def room(
    rng: np.random.Generator, height: int, width: int, grid: np.ndarray, edge: float, pictures: Pictures
) -> np.ndarray:
    """A table before a wall, larger than the image: uint8 [h, w, 3].

    Args:
        height, width: of the image, pixels.
        grid: float [2], pixels per unit, across and down.
        edge: far edge of the table, units below the middle.
        pictures: textures of walls and tables.
    """
    across, down = (float(n) for n in grid)
    columns = max(round(1.5 * WIDE * across), round(1.3 * width))
    rows = max(round(1.5 * TALL * down), round(1.3 * height))
    if rng.random() < 0.15:
        return _covered(rng, rows, columns, pictures)
    far = round(rows / 2 + edge * down)
    if rng.random() < 0.5:
        tone = rng.uniform(120, 225) + rng.normal(0, 14, 3)
        fade = np.linspace(1.1, rng.uniform(0.8, 1.0), rows)[:, None, None]
        image = np.clip(np.broadcast_to(tone * fade, (rows, columns, 3)), 0, 255).astype(np.uint8)
    else:
        image = _covered(rng, rows, columns, pictures)
    wooden = rng.random() < 0.6
    flat = recoloured(rng, _planks(int(rng.integers(4))), 1.3) if wooden else _covered(rng, 200, 350, pictures)
    y, x = flat.shape[:2]
    spread = rng.uniform(0.1, 0.8) * columns
    corners = np.array([(0, 0), (x, 0), (x, y), (0, y)], np.float32)
    goal = [(-0.05 * columns, far), (1.05 * columns, far), (columns + spread, rows + 2), (-spread, rows + 2)]
    laid = cv2.getPerspectiveTransform(corners, np.array(goal, np.float32))
    wood = cv2.warpPerspective(flat, laid, (columns, rows), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    image[far:] = wood[far:]
    if rng.random() < 0.7:
        image[far : far + 3] = np.clip(image[far : far + 3] * rng.uniform(0.6, 1.3), 0, 255).astype(np.uint8)
    things = ((books, 12.0), (blocks, 12.0), (landscape, -60.0))  # and their bottom, units below the table's edge
    for i in rng.permutation(len(things))[: int(rng.integers(0, len(things) + 1))].tolist():
        drawing, below = things[i]
        size = grid * rng.uniform(0.7, 1.4)
        pixels = repainted(rng, drawing())
        pixels = cv2.resize(pixels, None, fx=size[0], fy=size[1], interpolation=cv2.INTER_AREA)[:rows, :columns].copy()
        h, w = pixels.shape[:2]
        top, left = int(np.clip(far + round(below * down) - h, 0, rows - h)), int(rng.integers(0, columns - w + 1))
        blend(image, slice(top, top + h), slice(left, left + w), pixels)
    return image


def _covered(rng: np.random.Generator, rows: int, columns: int, pictures: Pictures) -> np.ndarray:
    if pictures.backgrounds and rng.random() < 0.6:
        return recoloured(rng, crop(rng, pictures.background(rng), rows, columns, 0.3), 0.6)
    return painted(rng, rows, columns, 0.5)


@cache
def _planks(number: int) -> np.ndarray:
    """One of a few kinds of wood, uint8 [400, 700, 3]."""
    flat = np.clip(planks(np.random.default_rng(number)), 0, 255).astype(np.uint8)
    return cv2.resize(flat, (700, 400), interpolation=cv2.INTER_AREA)
