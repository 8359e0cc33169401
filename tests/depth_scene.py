"""Depth images of boxes with known poses, as a sensor would see them."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

import cv2
import numpy as np

from sam2_ros.geometry.camera import CameraModel

CAMERA = CameraModel(640, 360, 460.0, 460.0, 319.5, 179.5)


def turn(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> np.ndarray:
    """The rotation by angles in degrees about the camera's axes, x first."""
    turns = [cv2.Rodrigues(np.deg2rad(np.eye(3)[axis] * angle))[0] for axis, angle in enumerate((x, y, z))]
    return turns[2] @ turns[1] @ turns[0]


@dataclass(frozen=True, eq=False)
class Solid:
    """A box: its centre and the lengths of its sides in metres, and its axes as columns."""

    centre: tuple[float, float, float]
    size: tuple[float, float, float]
    rotation: np.ndarray = field(default_factory=lambda: np.eye(3))

    @property
    def corners(self) -> np.ndarray:
        """[3, 8]."""
        signs = np.stack(np.meshgrid(*3 * [[-0.5, 0.5]])).reshape(3, -1)
        return np.array(self.centre)[:, None] + self.rotation @ (signs * np.array(self.size)[:, None])

    def depth(self, camera: CameraModel) -> np.ndarray:
        """The distance along the optical axis in each pixel, infinite beside the box, [H, W]."""
        rays = np.concatenate([camera.rays, np.ones_like(camera.rays[:1])]).reshape(3, -1).astype(float)
        origin, directions = self.rotation.T @ -np.array(self.centre), self.rotation.T @ rays
        half = np.array(self.size)[:, None] / 2
        with np.errstate(divide="ignore"):
            one, other = (-half - origin[:, None]) / directions, (half - origin[:, None]) / directions
        enter, leave = np.minimum(one, other).max(0), np.maximum(one, other).min(0)
        return np.where((enter < leave) & (enter > 0), enter, np.inf).reshape(camera.height, camera.width)


@dataclass(frozen=True, eq=False)
class View:
    """A depth image in metres, float32 [H, W], and the masks of the solids."""

    depth: np.ndarray
    masks: list[np.ndarray]

    @property
    def millimetres(self) -> np.ndarray:
        return np.where(np.isfinite(self.depth), self.depth * 1000, 0).round().astype(np.uint16)


def view(*solids: Solid, camera: CameraModel = CAMERA, wall: float = 4.0) -> View:
    """Solids before a wall."""
    depths = np.stack([*(solid.depth(camera) for solid in solids), np.full((camera.height, camera.width), wall)])
    nearest = depths.argmin(0)
    return View(depths.min(0).astype(np.float32), [nearest == index for index in range(len(solids))])


def as_measured(seen: View, seed: int = 0, noise: float = 0.002, missing: float = 0.02) -> View:
    """What a sensor gives: flying pixels along the edges, noise as a share of the depth, and pixels without a value;
    masks that reach a pixel too far."""
    rng = np.random.default_rng(seed)
    depth = seen.depth
    near, far = cv2.erode(depth, np.ones((3, 3))), cv2.dilate(depth, np.ones((3, 3)))
    between = near + (far - near) * rng.random(depth.shape, np.float32)
    depth = np.where(far - near > 0.05 * depth, between, depth)
    depth = depth * (1 + noise * rng.standard_normal(depth.shape))
    holes = rng.random(depth.shape)
    for index, value in enumerate((np.nan, 0.0, np.inf, -1.0)):
        depth[(holes > index * missing / 4) & (holes < (index + 1) * missing / 4)] = value
    masks = [cv2.dilate(mask.view(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) for mask in seen.masks]
    return View(depth.astype(np.float32), masks)


def camera_info(camera: CameraModel = CAMERA, **changes: object) -> SimpleNamespace:
    """The fields of a sensor_msgs/CameraInfo."""
    matrix = [camera.fx, 0.0, camera.cx, 0.0, camera.fy, camera.cy, 0.0, 0.0, 1.0]
    projection = [*matrix[:3], 0.0, *matrix[3:6], 0.0, *matrix[6:], 0.0]
    numbers = {"width": camera.width, "height": camera.height, "k": matrix, "p": projection, "d": [0.0] * 5}
    roi = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0, do_rectify=False)
    others = {"distortion_model": "plumb_bob", "binning_x": 0, "binning_y": 0, "roi": roi}
    return SimpleNamespace(**{**numbers, **others, **changes})
