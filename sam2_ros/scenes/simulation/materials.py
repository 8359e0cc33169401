"""Materials of rooms and things: procedural wood, tiles, cloth, metal, paint and print."""

from __future__ import annotations

import string
from collections.abc import Callable
from itertools import pairwise

import cv2
import numpy as np

from sam2_ros.scenes.pictures import Pictures
from sam2_ros.scenes.textures import colour, noise, painted, surface

WOODS = [(198, 158, 112), (164, 118, 74), (120, 78, 48), (216, 184, 142), (142, 88, 58), (92, 66, 50)]
PAINTS = [(236, 234, 228), (222, 226, 228), (214, 206, 190), (196, 208, 204), (228, 214, 196), (170, 184, 196)]
BRIGHT = [
    (206, 44, 40), (232, 108, 36), (240, 190, 50), (96, 160, 62), (40, 122, 84), (44, 140, 176), (42, 82, 160),
    (104, 66, 146), (190, 60, 120), (240, 238, 232), (70, 74, 80), (36, 38, 42), (150, 96, 60), (120, 190, 200),
]  # fmt: skip


def _one(rng: np.random.Generator, colours: list[tuple[int, int, int]], spread: float = 10) -> np.ndarray:
    return np.clip(np.array(colours[int(rng.integers(len(colours)))]) + rng.normal(0, spread, 3), 0, 255)


def bright(rng: np.random.Generator) -> np.ndarray:
    """A common colour of products, float [3] RGB in 0 .. 255; sometimes any colour."""
    return colour(rng) if rng.random() < 0.2 else _one(rng, BRIGHT, 12)


def plain(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """One colour with faint wear: moulded plastic, paint."""
    return _toned(bright(rng), noise(rng, height, width, rng.uniform(3, 40)), rng.uniform(0.02, 0.12))


def _toned(base: np.ndarray, grain: np.ndarray, strength: float) -> np.ndarray:
    """A colour made lighter and darker by grain, uint8 [h, w]: uint8 [h, w, 3]."""
    light = 1 + strength * (grain.astype(np.float32) / 127.5 - 1)
    return np.clip(np.asarray(base, np.float32) * light[..., None], 0, 255).astype(np.uint8)


def wood(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """One board, its grain along the rows."""
    fibre = cv2.resize(rng.random((height, max(4, width // 32)), np.float32), (width, height))
    bent = cv2.resize(noise(rng, 64, 64, 1.5), (width, height)).astype(np.float32) / 255
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    rings = 0.5 + 0.5 * np.sin((y * rng.uniform(2, 7) + bent * rng.uniform(0.5, 2)) * 2 * np.pi)
    grain = 255 * (0.45 * fibre + 0.55 * rings)
    return _toned(_one(rng, WOODS), grain.astype(np.uint8), rng.uniform(0.08, 0.22))


def planks(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Boards beside one another, with joints."""
    image = wood(rng, height, width)
    rows = int(rng.integers(3, 8))
    edges = np.linspace(0, height, rows + 1).astype(int)
    for top, bottom in pairwise(edges):
        row = np.roll(image[top:bottom], int(rng.integers(width)), axis=1)
        for start, end in ((0, width // 2), (width // 2, width)):
            row[:, start:end] = cv2.convertScaleAbs(row[:, start:end], alpha=rng.uniform(0.82, 1.1))
        joint = int(rng.integers(width))
        row[:, joint : joint + 2] //= 2
        row[:2] = row[:2] // 10 * 6
        image[top:bottom] = row
    return image


def tiles(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A square grid, of one colour or like a chessboard, with grout."""
    count = int(rng.integers(2, 7))
    first = _one(rng, PAINTS) if rng.random() < 0.6 else bright(rng)
    second = first if rng.random() < 0.6 else bright(rng)
    cells = np.add.outer(np.arange(count), np.arange(count)) % 2
    small = np.where(cells[..., None] == 1, first, second) * rng.uniform(0.92, 1.04, (count, count, 1))
    image = cv2.resize(np.clip(small, 0, 255).astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    grain = noise(rng, height, width, rng.uniform(4, 30)).astype(np.float32)
    image = np.clip(image * (0.94 + 0.12 * grain[..., None] / 255), 0, 255).astype(np.uint8)
    grout, thick = _one(rng, PAINTS, 20) * rng.uniform(0.4, 0.9), max(1, width // 128)
    for i in range(count):
        image[i * height // count :][:thick] = grout
        image[:, i * width // count :][:, :thick] = grout
    return image


def bricks(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A wall of bricks, bare or painted over."""
    rows, columns = 10, 4
    base = np.array([168, 92, 70.0]) if rng.random() < 0.5 else _one(rng, PAINTS)
    varied = 0.18 if rng.random() < 0.6 else 0.04
    image = _toned(base * 0.82 + 24, noise(rng, height, width, 30), 0.1)
    high, wide = height / rows, width / columns
    for row in range(rows):
        for column in range(-1, columns):
            left, top = (column + 0.5 * (row % 2)) * wide, row * high
            corners = np.round([[left + 3, top + 3], [left + wide - 2, top + high - 2]]).astype(int)
            tone = np.clip(base * rng.uniform(1 - varied, 1 + varied), 0, 255).tolist()
            cv2.rectangle(image, corners[0].tolist(), corners[1].tolist(), tone, -1)
    return np.clip(image * (0.85 + 0.3 * noise(rng, height, width, 25)[..., None] / 255.0), 0, 255).astype(np.uint8)


def plaster(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A painted wall, concrete, paper: nearly one colour."""
    return _toned(_one(rng, PAINTS, 14), noise(rng, height, width, rng.uniform(2, 20)), rng.uniform(0.02, 0.14))


def stone(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Granite, terrazzo: a plain ground full of specks."""
    image = _toned(_one(rng, PAINTS, 20) * rng.uniform(0.3, 1), noise(rng, height, width, 6), 0.1)
    for _ in range(int(rng.integers(1, 4))):
        specks = noise(rng, height, width, rng.uniform(40, 90)) > rng.integers(165, 200)
        image[specks] = np.clip(image[specks] * rng.uniform(0.4, 1.7), 0, 255).astype(np.uint8)
    return image


def cloth(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Woven threads, often striped or checked."""
    base, other = bright(rng), bright(rng)
    image = np.broadcast_to(base, (height, width, 3)).astype(np.float32).copy()
    if rng.random() < 0.6:
        period, share = height / rng.integers(3, 12), rng.uniform(0.2, 0.6)
        across = (np.arange(height) % period < share * period)[:, None, None]
        along = (np.arange(width) % period < share * period)[None, :, None]
        image += (other - base) * 0.5 * across
        image += (other - base) * 0.5 * (along if rng.random() < 0.6 else across)
    y, x = np.mgrid[:height, :width]
    weave = 1 + 0.12 * (((x // 2 + y // 2) % 2) - 0.5) + 0.1 * (noise(rng, height, width, 20)[:] / 255.0 - 0.5)
    return np.clip(image * weave[..., None], 0, 255).astype(np.uint8)


def brushed(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Brushed metal."""
    streaks = cv2.resize(rng.integers(0, 256, (height, max(2, width // 24))).astype(np.uint8), (width, height))
    return _toned(rng.uniform(120, 215) + rng.normal(0, 4, 3), streaks, rng.uniform(0.04, 0.14))


def cardboard(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Brown corrugated board, often with a strip of tape."""
    flutes = np.broadcast_to(128 + 40 * np.sin(np.arange(height) * 2 * np.pi / 9)[:, None], (height, width))
    grain = 0.5 * flutes + 0.5 * noise(rng, height, width, 30)
    image = _toned(np.array([186, 146, 104]) * rng.uniform(0.8, 1.1), grain.astype(np.uint8), 0.07)
    if rng.random() < 0.7:
        top, wide = int(height * rng.uniform(0.35, 0.55)), int(height * rng.uniform(0.08, 0.16))
        tape = np.array([206, 178, 128]) if rng.random() < 0.6 else bright(rng)
        image[top : top + wide] = (0.35 * image[top : top + wide] + 0.65 * tape).astype(np.uint8)
    if rng.random() < 0.5:
        _words(rng, image, (50, 40, 34), int(rng.integers(1, 3)))
    return image


def printed(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A printed package: fields of colour, a badge, a name, small print, a bar code."""
    base, second, third = bright(rng), bright(rng), bright(rng)
    image = np.empty((height, width, 3), np.uint8)
    image[:] = base
    for _ in range(int(rng.integers(1, 4))):
        tone = (second if rng.random() < 0.6 else third).tolist()
        kind = rng.random()
        if kind < 0.4:
            top, high = int(height * rng.uniform(0, 0.8)), int(height * rng.uniform(0.05, 0.35))
            image[top : top + high] = tone
        elif kind < 0.75:
            centre = (int(width * rng.uniform(0.1, 0.9)), int(height * rng.uniform(0.1, 0.9)))
            axes = (int(width * rng.uniform(0.08, 0.35)), int(height * rng.uniform(0.08, 0.35)))
            cv2.ellipse(image, centre, axes, rng.uniform(0, 180), 0, 360, tone, -1, cv2.LINE_AA)
        else:
            corners = rng.uniform(-0.1, 1.1, (3, 2)) * (width, height)
            cv2.fillPoly(image, [corners.astype(np.int32)], tone, cv2.LINE_AA)
    dark = base.mean() < 120
    _words(rng, image, (245, 244, 240) if dark else (28, 30, 36), int(rng.integers(1, 4)))
    for _ in range(int(rng.integers(0, 3))):  # small print
        x, y = int(width * rng.uniform(0.05, 0.6)), int(height * rng.uniform(0.1, 0.8))
        for line in range(int(rng.integers(2, 6))):
            end = (x + int(width * rng.uniform(0.15, 0.32)), y + line * max(4, height // 40) + max(1, height // 90))
            cv2.rectangle(image, (x, y + line * max(4, height // 40)), end, third.tolist(), -1)
    if rng.random() < 0.4:
        x, y, w, h = int(width * 0.68), int(height * 0.74), int(width * 0.26), int(height * 0.18)
        image[y : y + h, x : x + w] = 250
        bars = cv2.resize(rng.integers(0, 2, (1, 24)).astype(np.uint8), (w - 8, 1), interpolation=cv2.INTER_NEAREST)
        image[y + 4 : y + h - 4, x + 4 : x + w - 4][:, bars[0] > 0] = 20
    return image


def _words(rng: np.random.Generator, image: np.ndarray, ink: tuple[int, int, int], count: int) -> None:
    """Write made-up names, in place."""
    height, width = image.shape[:2]
    for _ in range(count):
        letters = rng.choice(list(string.ascii_uppercase), int(rng.integers(3, 8)))
        scale = min(width, height) / 256 * rng.uniform(0.8, 2.6)
        place = (int(width * rng.uniform(0.02, 0.4)), int(height * rng.uniform(0.2, 0.95)))
        font = int(rng.choice([cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_SIMPLEX]))
        cv2.putText(image, "".join(letters), place, font, scale, ink, max(1, round(2.5 * scale)), cv2.LINE_AA)


def skin(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """The skin of a fruit: one colour that turns into another, with specks."""
    pairs = [
        ((200, 40, 36), (224, 190, 80)), ((236, 140, 34), (226, 120, 20)), ((246, 214, 70), (222, 190, 60)),
        ((120, 168, 60), (200, 200, 90)), ((96, 44, 96), (60, 30, 70)), ((222, 120, 90), (240, 200, 120)),
    ]  # fmt: skip
    first, second = (np.array(tone, np.float32) for tone in pairs[int(rng.integers(len(pairs)))])
    blend = noise(rng, height, width, rng.uniform(1, 4)).astype(np.float32)[..., None] / 255
    image = first * blend + second * (1 - blend)
    specks = noise(rng, height, width, 60) > 205
    image[specks] = image[specks] * 0.8 + 40
    return np.clip(image, 0, 255).astype(np.uint8)


Maker = Callable[[np.random.Generator, int, int], np.ndarray]

FLOORS: list[Maker] = [planks, planks, tiles, tiles, plaster, stone, cloth]
WALLS: list[Maker] = [plaster, plaster, plaster, bricks, tiles, planks]
TABLES: list[Maker] = [wood, wood, planks, plaster, stone, brushed, cloth, plain]
ANY: list[Maker] = [plain, plain, wood, cloth, printed, brushed, cardboard, skin, stone, painted]


def pick(
    rng: np.random.Generator, makers: list[Maker], side: int, pictures: Pictures, natural: float = 0.15
) -> np.ndarray:
    """A square texture of `side` pixels by one of `makers`, or with probability `natural` cropped from a picture."""
    if pictures.backgrounds and rng.random() < natural:
        return surface(rng, side, side, pictures)
    return makers[int(rng.integers(len(makers)))](rng, side, side)
