"""Smooth random motion."""

from __future__ import annotations

import numpy as np


def wander(rng: np.random.Generator, frames: int, amplitude: float, speed: float) -> np.ndarray:
    """A smooth random signal around 0, float [frames]: at most about `amplitude`, changing by about `speed` a frame."""
    frequency = min(speed / max(2 * np.pi * amplitude, 1e-9), 0.09) * rng.uniform(0.6, 1.4, 2) * np.array([1, 0.45])
    amplitude = min(amplitude, speed / (2 * np.pi * frequency[0])) if frequency[0] > 0 else 0.0
    time = np.arange(frames)[:, None]
    return (amplitude * np.array([0.6, 0.4]) * np.sin(2 * np.pi * frequency * time + rng.uniform(0, 6.3, 2))).sum(1)


def ramp(frames: int, start: float, end: float) -> np.ndarray:
    """0 until `start`, 1 from `end` on, smooth in between; float [frames]."""
    x = np.clip((np.arange(frames) - start) / max(end - start, 1e-6), 0, 1)
    return x * x * (3 - 2 * x)


def transform(x: np.ndarray, y: np.ndarray, angle: np.ndarray, sx: np.ndarray, sy: np.ndarray) -> np.ndarray:
    """Matrices [frames, 3, 3] that scale by (sx, sy), then rotate by `angle`, then translate by (x, y)."""
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix = np.zeros((len(x), 3, 3))
    matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 0, 2] = cosine * sx, -sine * sy, x
    matrix[:, 1, 0], matrix[:, 1, 1], matrix[:, 1, 2] = sine * sx, cosine * sy, y
    matrix[:, 2, 2] = 1
    return matrix


def shift(x: float, y: float) -> np.ndarray:
    """A translation matrix [3, 3]."""
    return np.array([[1.0, 0, x], [0, 1, y], [0, 0, 1]])
