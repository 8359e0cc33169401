"""Boxes around points."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import cv2
import numpy as np

TAIL = 0.005
"""Share of the points that may lie outside of a box on each of its sides: noise of the sensor, which would otherwise
widen the box with every pixel more."""

_SAMPLES = 4096  # points that a box is computed from
_OUTER_SAMPLES = 1024  # points of which the outermost are searched
_INNER_SAMPLES = 128  # points that tell how near the box's faces lie
_REACHES = np.deg2rad([45.0, 45.0, 15.0, 15.0, 5.0, 5.0, 1.7])  # by how much the axes are turned, step by step
_ANGLES = np.array([-1.0, -2 / 3, -1 / 3, 1 / 3, 2 / 3, 1.0])  # of that
_PERMUTATIONS = [list(order) for order in permutations(range(3))]


@dataclass(frozen=True, eq=False)
class Box3D:
    """A box around the visible surface of an object."""

    centre: np.ndarray
    """float64 [3], metres."""
    size: np.ndarray
    """Lengths of the sides along the box's own axes, float64 [3], metres."""
    rotation: np.ndarray
    """The axes of the box as columns, float64 [3, 3], right-handed."""

    @property
    def quaternion(self) -> tuple[float, float, float, float]:
        """The orientation as x, y, z, w."""
        vector = cv2.Rodrigues(self.rotation)[0][:, 0]
        angle = float(np.linalg.norm(vector))
        x, y, z = vector * (np.sin(angle / 2) / angle if angle > 1e-12 else 0.5)
        return float(x), float(y), float(z), float(np.cos(angle / 2))


def axis_aligned(points: np.ndarray) -> Box3D:
    """The box along the axes of the camera around points, float32 [3, N], N > 0."""
    return _around(_sample(points), np.eye(3))


def oriented(points: np.ndarray) -> Box3D:
    """A box with little empty space around points, float32 [3, N], N > 0.

    The principal axes lie askew where more than one face of a thing is seen. So they are turned, about one of them at a
    time, until the box has little surface and the points lie near its faces. Of the 24 ways to name the axes of a box,
    the one nearest to the camera's is chosen.
    """
    sample = _sample(points)
    centred = sample - sample.mean(1, keepdims=True)
    axes = np.linalg.eigh((centred @ centred.T).astype(float))[1]
    few = np.concatenate([_extremes(_sample(centred, _OUTER_SAMPLES)), _sample(centred, _INNER_SAMPLES)], 1)
    for turns in _TURNS:
        axes = _best(few, axes @ turns)
    return _around(sample, _named(axes))


def _sample(points: np.ndarray, number: int = _SAMPLES) -> np.ndarray:
    return points[:, :: points.shape[1] // number + 1]


def _around(points: np.ndarray, axes: np.ndarray) -> Box3D:
    """The box with these axes around all but the tails of the points."""
    along = axes.T.astype(np.float32) @ points
    outside = int(TAIL * along.shape[1])
    if outside:
        along = np.partition(along, (outside, -1 - outside), axis=1)
        low, high = along[:, outside], along[:, -1 - outside]
    else:
        low, high = along.min(1), along.max(1)
    low, high = low.astype(float), high.astype(float)
    return Box3D(axes @ ((low + high) / 2), high - low, axes)


def _extremes(points: np.ndarray) -> np.ndarray:
    """The points that are outermost in one of many directions."""
    # No matrix product: it would be large enough to wake the threads of BLAS, which then spin beside PyTorch's.
    along = sum(_DIRECTIONS[:, axis : axis + 1] * points[axis] for axis in range(3))
    return points[:, np.unique(np.concatenate([along.argmin(1), along.argmax(1)]))]


def _half_sphere(number: int) -> np.ndarray:
    """Evenly spread directions, [number, 3]: a Fibonacci lattice."""
    steps = np.arange(number)
    height = (steps + 0.5) / number
    angle = steps * np.pi * (3 - np.sqrt(5))
    flat = np.sqrt(1 - height**2)
    return np.stack([flat * np.cos(angle), flat * np.sin(angle), height], 1)


_DIRECTIONS = _half_sphere(64).astype(np.float32)


def _turns(reach: float) -> np.ndarray:
    """No turn, and turns about each axis by up to an angle, [K, 3, 3]."""
    vectors = [np.zeros(3), *(axis * angle for axis in np.eye(3) for angle in reach * _ANGLES)]
    return np.stack([cv2.Rodrigues(vector)[0] for vector in vectors])


_TURNS = [_turns(reach) for reach in _REACHES]


def _best(points: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """The best of some axes, [K, 3, 3]; the first wins a draw."""
    along = (candidates.transpose(0, 2, 1).reshape(-1, 3) @ points).reshape(len(candidates), 3, -1)
    low, high = along.min(2, keepdims=True), along.max(2, keepdims=True)
    near = np.minimum(along - low, high - along).min(1)  # distance to the nearest face
    a, b, c = (high - low)[..., 0].T
    # Unlike the volume, the surface tells apart the boxes around a flat thing. For two faces at right angles, the box
    # along their long side has the same surface as the one along the faces, but not the points near its own.
    surface = a * b + b * c + c * a
    best: np.ndarray = candidates[np.argmin(surface + near.mean(1) * np.sqrt(surface))]
    return best


def _named(axes: np.ndarray) -> np.ndarray:
    """The same axes in the order and with the signs that turn least from the camera's."""
    order = max(_PERMUTATIONS, key=lambda order: float(np.abs(axes[:, order].diagonal()).sum()))
    named = axes[:, order]
    signs = np.where(named.diagonal() < 0, -1.0, 1.0)
    if np.linalg.det(named * signs) < 0:
        signs[np.abs(named.diagonal()).argmin()] *= -1
    return named * signs
