"""The tracked objects of one image with their shapes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sam2_ros.geometry.box import Box3D, axis_aligned, oriented
from sam2_ros.geometry.camera import CameraModel
from sam2_ros.geometry.points import ObjectPoints, object_points
from sam2_ros.tracking.masklet import Frame, Masklet


@dataclass(frozen=True, eq=False)
class MeasuredObject:
    """A visible object of which depth is measured."""

    masklet: Masklet
    points: ObjectPoints
    """At least one."""

    @cached_property
    def axis_aligned(self) -> Box3D:
        return axis_aligned(self.points.xyz)

    @cached_property
    def oriented(self) -> Box3D:
        return oriented(self.points.xyz)


@dataclass(frozen=True, eq=False)
class MeasuredFrame:
    """One image, its masklets, and its depth. Shapes are computed when they are first asked for."""

    frame: Frame
    image: np.ndarray
    """uint8 [H, W, 3] RGB."""
    depth: np.ndarray
    """uint16 millimetres or float32 metres, [h, w], of the same view."""
    camera: CameraModel
    """Of the depth image."""

    @cached_property
    def objects(self) -> list[MeasuredObject]:
        """The visible objects of which depth is measured, by ascending ID."""
        present = [masklet for masklet in self.frame.masklets if masklet.present]
        measured = [
            MeasuredObject(masklet, object_points(self.depth, np.asarray(masklet.mask, bool), self.camera, masklet.box))
            for masklet in present
        ]
        return [one for one in measured if len(one.points)]

    def colours(self, window: tuple[slice, slice]) -> np.ndarray:
        """The colours of a part of the depth image, uint8 [h, w, 3]."""
        (height, width), (h, w) = self.image.shape[:2], self.depth.shape
        if (height, width) == (h, w):
            return self.image[window]
        rows, columns = (np.arange(part.start, part.stop) for part in window)
        return self.image.take((2 * rows + 1) * height // (2 * h), 0).take((2 * columns + 1) * width // (2 * w), 1)
