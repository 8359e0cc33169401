"""Surfaces: procedural patterns and crops of pictures."""

from __future__ import annotations

from functools import reduce

import cv2
import numpy as np

from sam2_ros.scenes.pictures import Pictures
from sam2_ros.scenes.rendering import sprite, straight


def colour(rng: np.random.Generator) -> np.ndarray:
    """A colour, float32 [3] RGB in 0 .. 255; muted ones are more frequent than saturated ones."""
    hue, saturation, value = rng.random(3)
    saturation, value = saturation**2.2, 0.08 + 0.92 * value
    wheel = np.clip(np.abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    return (255 * value * (1 - saturation + saturation * wheel)).astype(np.float32)


def palette(rng: np.random.Generator, count: int, variety: float = 1.0) -> np.ndarray:
    """Float32 [count, 3] RGB: shades of one colour, or unrelated colours, which are never drawn if `variety` is 0."""
    if rng.random() < 1 - 0.5 * variety:
        return np.clip(colour(rng) + rng.normal(0, rng.uniform(6, 45), (count, 3)), 0, 255).astype(np.float32)
    return np.stack([colour(rng) for _ in range(count)])


def grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixel coordinates x, y, float32 [1, width] and [height, 1], the shorter side spanning -1 .. 1."""
    x, y = (np.arange(n, dtype=np.float32) - (n - 1) / 2 for n in (width, height))
    return x[None] / (min(height, width) / 2), y[:, None] / (min(height, width) / 2)


def noise(rng: np.random.Generator, height: int, width: int, cells: float) -> np.ndarray:
    """Smooth noise with several octaves, uint8 [height, width]; `cells` bumps fit into the shorter side."""
    total, weight = np.zeros((height, width), np.float32), 1.0
    for _ in range(int(rng.integers(1, 5))):
        rows, columns = (max(2, min(n, round(cells * n / min(height, width)))) for n in (height, width))
        octave = rng.random((rows, columns), np.float32)
        octave = cv2.resize(octave, (width, height), interpolation=cv2.INTER_CUBIC)
        octave *= weight
        total += octave
        cells, weight = cells * 2.2, weight * 0.55
    low, high = float(total.min()), float(total.max())
    total -= low
    return cv2.convertScaleAbs(total, alpha=255 / max(high - low, 1e-6))


def pattern(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A scalar pattern, uint8 [height, width]."""
    kind = rng.choice(7, p=[0.3, 0.16, 0.1, 0.14, 0.12, 0.1, 0.08])
    if kind == 0:
        return noise(rng, height, width, rng.uniform(1.5, 14))
    x, y = grid(height, width)
    angle, frequency, phase = rng.uniform(0, 2 * np.pi), np.exp(rng.uniform(0.6, 3.3)), rng.uniform(0, 6.3)
    cosine, sine = np.cos(angle), np.sin(angle)
    u = x * cosine + y * sine
    if rng.random() < 0.5:  # bent, as on cloth or wood
        bend = noise(rng, height, width, rng.uniform(1.5, 5)).astype(np.float32) * (rng.uniform(0.1, 1.2) / 255)
        u += bend
    if kind == 1:  # stripes
        return _above(rng.uniform(-0.7, 0.7), frequency * u + phase) * np.uint8(255)
    if kind == 2:  # checks
        v = y * cosine - x * sine
        return (_above(0, frequency * u + phase) ^ _above(0, frequency * v + phase)) * np.uint8(255)
    if kind == 3:  # cells
        image = np.full((height, width), 255, np.uint8)
        count = int(rng.integers(6, 70))
        image[rng.integers(0, height, count), rng.integers(0, width, count)] = 0
        distance, labels = cv2.distanceTransformWithLabels(image, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_CCOMP)
        cells = rng.integers(0, 256, count + 1).astype(np.uint8)[labels]
        if rng.random() < 0.5:
            return cells
        return cv2.convertScaleAbs(distance, alpha=255 / max(float(distance.max()), 1.0))
    if kind == 4:  # gradient
        field = u if rng.random() < 0.6 else np.sqrt(u * u + (y * cosine - x * sine) ** 2)
        return cv2.normalize(field, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    if kind == 5:  # dots
        v = y * cosine - x * sine
        return _above(rng.uniform(0, 0.8), frequency * u + phase, frequency * v + phase) * np.uint8(255)
    return np.full((height, width), 128, np.uint8)


def _above(threshold: float, *phases: np.ndarray) -> np.ndarray:
    """Whether the product of the phases' sines exceeds a threshold, for each pixel: bool. Double precision is used only
    close to it, which takes a sixth of the time."""
    rough = reduce(np.multiply, [np.sin(phase.astype(np.float32)) for phase in phases])
    above = rough > threshold
    close = np.abs(rough - np.float32(threshold)) < 1e-3
    above[close] = reduce(np.multiply, [np.sin(phase[close]) for phase in phases]) > threshold
    return above


def painted(rng: np.random.Generator, height: int, width: int, variety: float = 1.0) -> np.ndarray:
    """A procedural surface, uint8 [height, width, 3] RGB."""
    stops = palette(rng, int(rng.integers(2, 6)), variety)
    lut = cv2.resize(stops[None], (256, 1), interpolation=cv2.INTER_LINEAR if rng.random() < 0.6 else cv2.INTER_NEAREST)
    scalar = pattern(rng, height, width)
    image = cv2.LUT(cv2.merge([scalar] * 3), lut.astype(np.uint8))
    if rng.random() < 0.6:  # grain, dirt
        grain = noise(rng, height, width, rng.uniform(4, 60))
        strength = rng.uniform(0.05, 0.45)
        image = cv2.addWeighted(image, 1, cv2.merge([grain] * 3), strength, -127 * strength)
    return image


def crop(
    rng: np.random.Generator, picture: np.ndarray, height: int, width: int, smallest: float, largest: float = 1.0
) -> np.ndarray:
    """A random crop of a picture, mirrored at random, resized to uint8 [height, width, 3] RGB.

    Its sides are `smallest` .. `largest` times the longest that fit.
    """
    rows, columns = picture.shape[:2]
    fit = min(rows / height, columns / width)
    factor = fit * rng.uniform(smallest, largest)
    h, w = max(2, int(height * factor)), max(2, int(width * factor))
    top, left = int(rng.integers(0, rows - h + 1)), int(rng.integers(0, columns - w + 1))
    part = picture[top : top + h, left : left + w]
    part = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA if factor > 1.5 else cv2.INTER_LINEAR)
    return part if rng.random() < 0.5 else cv2.flip(part, 1)


def recoloured(rng: np.random.Generator, image: np.ndarray, strength: float = 1.0) -> np.ndarray:
    """Change gain and gamma of each channel of an RGB image, and sometimes permute the channels."""
    ramp = np.linspace(0, 1, 256, dtype=np.float32)[:, None]
    gamma = np.exp(rng.normal(0, 0.25 * strength) + rng.normal(0, 0.12 * strength, 3))
    gain = np.exp(rng.normal(0, 0.2 * strength) + rng.normal(0, 0.12 * strength, 3))
    lut = np.clip(255 * gain * ramp**gamma, 0, 255).astype(np.uint8)[None]
    if rng.random() < 0.15 * strength**2:
        planes = cv2.split(image)
        image = cv2.merge([planes[i] for i in rng.permutation(3)])
    return cv2.LUT(image, lut)


def repainted(rng: np.random.Generator, pixels: np.ndarray) -> np.ndarray:
    """Shift the hue of a sprite (premultiplied uint8 [h, w, 4]), and its saturation and value."""
    colours, alpha = straight(pixels)
    if rng.random() < 0.8:
        hsv = cv2.cvtColor(colours, cv2.COLOR_RGB2HSV)
        hue = (np.arange(256) + rng.integers(180)) % 180
        scale = rng.uniform([0.4, 0.55], [1.2, 1.1])
        ramps = [hue, *(np.clip(np.arange(256) * k, 0, 255) for k in scale)]
        hsv = cv2.LUT(hsv, np.stack(ramps, 1).astype(np.uint8)[None])
        colours = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    return sprite(recoloured(rng, colours, 0.5), alpha)


def surface(rng: np.random.Generator, height: int, width: int, pictures: Pictures, variety: float = 1.0) -> np.ndarray:
    """The surface of a thing, uint8 [height, width, 3] RGB: painted or cropped from a picture.

    `variety` 0: all of it looks alike, it is of shades of one colour or a small piece of a picture. 1: anything.
    """
    if pictures.backgrounds and rng.random() < 0.5:
        smallest, largest = 0.15 * variety + 0.03 * (1 - variety), variety + 0.15 * (1 - variety)
        return recoloured(rng, crop(rng, pictures.background(rng), height, width, smallest, largest))
    return painted(rng, height, width, variety)
