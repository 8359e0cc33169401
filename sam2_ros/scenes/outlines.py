"""Outlines of things: soft masks of many kinds of shapes."""

from __future__ import annotations

import cv2
import numpy as np

SHIFT = 4  # fractional bits of polygon corners


def _filled(mask: np.ndarray, corners: np.ndarray, value: int = 255) -> None:
    points = np.round(corners * (1 << SHIFT)).astype(np.int32)
    cv2.fillPoly(mask, [points], value, cv2.LINE_AA, SHIFT)


def _placed(unit: np.ndarray, size: int, scale: float = 0.92) -> np.ndarray:
    """Corners in -1 .. 1 to pixels of a size x size mask, filling it but for a margin."""
    centre, extent = (unit.max(0) + unit.min(0)) / 2, np.ptp(unit, axis=0).max() / 2
    return (unit - centre) / max(extent, 1e-6) * (scale * size / 2) + (size - 1) / 2


def _turned(rng: np.random.Generator, unit: np.ndarray, narrowest: float = 0.35) -> np.ndarray:
    squash = np.array([1, rng.uniform(narrowest, 1)])
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return unit * squash @ turn


def blob(rng: np.random.Generator) -> np.ndarray:
    """A closed curve whose radius is a short Fourier series; float [72, 2]."""
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    order = np.arange(2, 9)
    amplitude = rng.normal(0, 1, 7) * rng.uniform(0.05, 0.45) / (order - 1) ** rng.uniform(0.5, 1.4)
    radius = 1 + (amplitude * np.cos(angle[:, None] * order + rng.uniform(0, 6.3, 7))).sum(1)
    return np.maximum(radius, 0.15)[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)


def polygon(rng: np.random.Generator) -> np.ndarray:
    """An irregular polygon, a star, or a rounded box."""
    kind = rng.random()
    if kind < 0.4:
        angle = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 9))))
        angle = angle * 0.4 + np.linspace(0, 2 * np.pi, len(angle), endpoint=False) * 0.6
        radius = rng.uniform(0.6, 1, len(angle))
    elif kind < 0.65:
        points = int(rng.integers(3, 9))
        angle = np.linspace(0, 2 * np.pi, 2 * points, endpoint=False)
        radius = np.where(np.arange(2 * points) % 2, rng.uniform(0.35, 0.8), 1.0)
    else:  # superellipse: between an ellipse and a box
        angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
        power = np.exp(rng.uniform(0.6, 2.5))
        radius = (np.abs(np.cos(angle)) ** power + np.abs(np.sin(angle)) ** power) ** (-1 / power)
    return radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)


def outline(rng: np.random.Generator, size: int) -> np.ndarray:
    """The mask of one solid thing, uint8 [size, size], 255 inside, antialiased."""
    mask = np.zeros((size, size), np.uint8)
    kind = rng.choice(5, p=[0.34, 0.26, 0.12, 0.18, 0.10])
    if kind in (0, 1):
        _filled(mask, _placed(_turned(rng, blob(rng) if kind == 0 else polygon(rng)), size))
    elif kind == 2:  # a bent rod, a cable, a letter-like stroke
        count = int(rng.integers(2, 6))
        knots = np.cumsum(rng.normal(0, 1, (count, 2)) + rng.normal(0, 0.8, 2), axis=0)
        smooth = cv2.resize(knots.astype(np.float32)[None], (40, 1), interpolation=cv2.INTER_CUBIC)[0]
        thickness = max(2, round(size * rng.uniform(0.04, 0.22)))
        points = _placed(smooth, size, 0.92 - thickness / size)
        cv2.polylines(mask, [np.round(points * 16).astype(np.int32)], False, 255, thickness, cv2.LINE_AA, SHIFT)
    elif kind == 3:  # several parts grown together
        middle = rng.uniform(-0.25, 0.25, 2)
        for _ in range(int(rng.integers(2, 5))):
            part = _turned(rng, blob(rng) if rng.random() < 0.5 else polygon(rng), 0.25)
            part = part / np.abs(part).max() * rng.uniform(0.3, 0.6) + middle
            _filled(mask, (part * 0.92 * size / 2) + (size - 1) / 2)
            middle = middle * 0.3 + part[int(rng.integers(len(part)))] * 0.6
            middle = np.clip(middle, -0.55, 0.55)
    else:  # with a hole: a ring, a handle, a frame
        unit = _placed(_turned(rng, blob(rng) if rng.random() < 0.6 else polygon(rng), 0.55), size)
        _filled(mask, unit)
        centre = unit.mean(0)
        hole = (unit - centre) * rng.uniform(0.25, 0.75) if rng.random() < 0.6 else _placed(blob(rng), size) * 0.3
        _filled(mask, hole - hole.mean(0) + centre + rng.uniform(-0.06, 0.06, 2) * size, 0)
    return mask


def limb(rng: np.random.Generator, length: int, width: int) -> np.ndarray:
    """A limb whose joint is at the left end, uint8 [2 width, length + 2 width]."""
    mask = np.zeros((2 * width, length + 2 * width), np.uint8)
    tip = max(1, round(width * rng.uniform(0.35, 1.0)))
    a, b = np.array([width, width - 0.5]), np.array([width + length, width - 0.5])
    up, down = np.array([0, -1.0]), np.array([0, 1.0])
    root = max(1, round(width * 0.8))
    cv2.circle(mask, (width, width), root, 255, -1, cv2.LINE_AA)
    cv2.circle(mask, (length + width - tip // 2, width), tip, 255, -1, cv2.LINE_AA)
    _filled(mask, np.array([a + up * root * 0.9, b + up * tip * 0.8, b + down * tip * 0.8, a + down * root * 0.9]))
    return mask
