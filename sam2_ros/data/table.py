"""The table: its wood, and what stands still behind the toys."""

from __future__ import annotations

import cv2
import numpy as np

from sam2_ros.data.drawing import Drawing, ellipse
from sam2_ros.data.textures import noise


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


def books() -> np.ndarray:
    """Six of them in a row: premultiplied uint8 [190, 190, 4]."""
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


def blocks() -> np.ndarray:
    """Three with letters, one on top: premultiplied uint8 [150, 170, 4]."""
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
