"""Points on objects: masked pixels of a depth image, without flying pixels and background."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from sam2_ros.geometry.camera import CameraModel
from sam2_ros.tracking.prompt import Box

NEAREST, FARTHEST = 1e-3, 1e5
"""Depth that a sensor can have measured, metres; other numbers mean that it has not, and would overflow."""
EDGE_REACH = 2
"""Pixels around a nearer one that are taken for flying pixels if they are clearly farther: a sensor mixes the depths of
both sides of an edge in one to two pixels."""
EDGE_STEP = 0.03
"""Share of the depth that is clearly farther. Steps below do not widen a box much."""
TYPICAL_STEPS = 4.0
"""The same in steps of the object's smoother pixels (the lower quartile), which are larger where the surface is oblique
or the sensor is noisy."""
MAX_EDGE_STEP = 0.15
"""Share of the depth that is clearly farther in any case: no surface is as oblique, and no sensor as noisy."""
MIN_KEPT = 0.1
"""Share of an object's pixels that must be left without edges; otherwise it is too small or too narrow for the test."""
GAP = 0.5
"""Gap in depth that separates an object from something else, as a share of its width across the line of sight."""
MIN_GAP = 0.03
"""The same at least, as a share of the depth, for small objects and noisy sensors."""
SPARSE = 0.005
"""Share of an object's pixels below which a slice of depth is a gap: flying pixels that are left."""

_SLICES = 64  # of depth on either side of the median; what is further away is background
_SAMPLED_ROWS = 16  # that quantiles are computed from
_NEIGHBOURS = np.ones((2 * EDGE_REACH + 1,) * 2, np.uint8)


@dataclass(frozen=True, eq=False)
class ObjectPoints:
    """The points of one object in the camera's optical frame: x right, y down, z forward (REP 103)."""

    xyz: np.ndarray
    """float32 [3, N], metres, row by row."""
    pixels: np.ndarray
    """Which pixels of the window they are from, bool [h, w] with N times True."""
    window: tuple[slice, slice]
    """The part of the depth image around the object, [h, w]."""

    @property
    def centroid(self) -> np.ndarray:
        """The mean of the points, float64 [3]; it lies near the visible surface. N > 0."""
        return self.xyz.mean(1).astype(np.float64)

    def __len__(self) -> int:
        return self.xyz.shape[1]


def object_points(depth: np.ndarray, mask: np.ndarray, camera: CameraModel, box: Box | None = None) -> ObjectPoints:
    """The points of one object; none if no depth is measured on it.

    Pixels without a measurement (0, negative, NaN, infinite) are left out, and so are flying pixels and what lies
    behind or before the object by a clear gap. Only the surroundings of the mask are looked at.

    Args:
        depth: [h, w], uint16 millimetres or float32 metres (REP 118), registered to the image of the mask.
        mask: bool [H, W], of the same view; the size may differ.
        camera: of the depth image.
        box: the part of the mask that counts, whole pixels; None: all of it.
    """
    if box is None:
        box = Box(*cv2.boundingRect(mask.view(np.uint8)))
    pixels, (left, top) = _mask_at(mask, box, depth.shape)
    rows, columns = pixels.shape
    window = np.s_[top : top + rows, left : left + columns]
    if not pixels.size:
        return ObjectPoints(np.empty((3, 0), np.float32), pixels, window)
    # Around the mask, nearer pixels tell flying pixels within.
    above, before = min(EDGE_REACH, top), min(EDGE_REACH, left)
    around = metres(depth[top - above : top + rows + EDGE_REACH, left - before : left + columns + EDGE_REACH])
    inner = np.s_[above : above + rows, before : before + columns]
    z, nearest = around[inner], cv2.erode(around, _NEIGHBOURS, borderType=cv2.BORDER_REPLICATE)[inner]
    pixels = pixels & (z < np.inf)
    if not camera.is_complete:
        pixels &= np.isfinite(camera.rays[0][window])
    pixels = _main_part(z, _without_edges(z, nearest, pixels), camera)
    distances = z[pixels]
    xyz = np.empty((3, len(distances)), np.float32)
    for axis in range(2):
        np.multiply(camera.rays[axis][window][pixels], distances, out=xyz[axis])
    xyz[2] = distances
    return ObjectPoints(xyz, pixels, window)


def metres(depth: np.ndarray) -> np.ndarray:
    """Depth in metres, float32, infinite where it is not measured."""
    if depth.dtype == np.uint16:
        z = depth * np.float32(0.001)
        z[depth == 0] = np.inf
    else:
        z = np.array(depth)
        z[~((depth > NEAREST) & (depth < FARTHEST))] = np.inf
    return z


def _mask_at(mask: np.ndarray, box: Box, size: tuple[int, ...]) -> tuple[np.ndarray, tuple[int, int]]:
    """The part of a mask within a box, at another size of the image, and the column and row of its top left pixel."""
    left, top, columns, rows = map(int, box)
    part = mask[top : top + rows, left : left + columns]
    if size == mask.shape or not columns:
        return part, (left, top)
    (height, width), (h, w) = mask.shape, size
    # The pixels of the other size whose centres lie in the box, or at least those that its corners lie in.
    first, last = (left * w // width, top * h // height), ((left + columns) * w // width, (top + rows) * h // height)
    x = np.arange(first[0], min(max(last[0], first[0]) + 1, w))
    y = np.arange(first[1], min(max(last[1], first[1]) + 1, h))
    resized = mask.take((2 * y + 1) * height // (2 * h), 0).take((2 * x + 1) * width // (2 * w), 1)
    if not resized.any():  # it lies between the centres
        row, column = np.nonzero(part)
        resized[(row + top) * h // height - first[1], (column + left) * w // width - first[0]] = True
    return resized, first


def _without_edges(z: np.ndarray, nearest: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """The measured pixels that are not clearly farther than a neighbour."""
    some = np.s_[:: measured.shape[0] // _SAMPLED_ROWS + 1]
    steps = z[some][measured[some]] / nearest[some][measured[some]] - 1
    if not len(steps):
        return measured
    smooth = float(np.partition(steps, len(steps) // 4)[len(steps) // 4])
    step = min(max(EDGE_STEP, TYPICAL_STEPS * smooth), MAX_EDGE_STEP)
    kept = measured & (z <= nearest * np.float32(1 + step))
    return kept if np.count_nonzero(kept) > MIN_KEPT * np.count_nonzero(measured) else measured


def _main_part(z: np.ndarray, pixels: np.ndarray, camera: CameraModel) -> np.ndarray:
    """The pixels that belong to the largest group without a gap in depth."""
    number = np.count_nonzero(pixels)
    some = np.s_[:: pixels.shape[0] // _SAMPLED_ROWS + 1]
    sample = z[some][pixels[some]]
    if len(sample) < _SAMPLED_ROWS:
        sample = z[pixels]
    if not number:
        return pixels
    middle = float(np.median(sample))
    across = middle * np.sqrt(number / (camera.fx * camera.fy))
    slice_ = max(GAP * across, MIN_GAP * middle) / 2  # so that at least one lies in a gap
    places = np.clip((sample - middle) * np.float32(1 / slice_), -_SLICES, _SLICES - 1) + np.float32(_SLICES)
    counts = np.bincount(places.astype(np.intp), minlength=2 * _SLICES)
    filled = counts >= max(1.0, SPARSE * len(sample))
    groups = np.cumsum(np.diff(filled, prepend=False) & filled)  # numbers those that a gap separates
    main = np.flatnonzero(filled & (groups == np.bincount(groups, counts * filled).argmax()))
    # Half a slice more: the sparse ends of the object itself.
    low, high = middle + (main[[0, -1]] - _SLICES + (-0.5, 1.5)) * slice_
    return pixels & (cv2.inRange(z, low, high) > 0)
