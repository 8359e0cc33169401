"""A camera's calibration: from pixels to rays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np

COEFFICIENTS = {
    "plumb_bob": (0, 4, 5),
    "rational_polynomial": (0, 8, 12, 14),
    "thin_prism": (0, 12, 14),
    "equidistant": (0, 4),
    "fisheye": (0, 4),  # what some drivers call equidistant
}
"""Numbers of distortion coefficients that each model may have."""

FISHEYE = ("equidistant", "fisheye")

MAX_ERROR = 0.5
"""Pixels between a pixel and its ray's projection from which on the pixel has no ray: the distortion is not invertible
there, as in the corners of a strongly distorted image."""

_FOCAL = 1.0, 1e7  # px, beyond all cameras
_WIDEST = 1e3  # x / z or y / z; less than a tenth of a degree from the image plane
_EXACT = 0.01  # px, at which the search for the rays ends
_CELL = 8  # px between the nodes of the coarse grid


class CameraError(ValueError):
    """A calibration cannot be used; the message says why, and what to do."""


@dataclass(frozen=True)
class CameraModel:
    """A pinhole or fisheye camera with distortion. Pixel (0, 0) is the centre of the top left pixel."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...] = ()
    """Coefficients in OpenCV's order; empty: none."""
    fisheye: bool = False
    """Whether angles, not their tangents, are distorted (`equidistant`)."""

    @classmethod
    def from_info(cls, info: Any, rectified: bool = False) -> CameraModel:
        """The camera of images, after the binning and the region of interest that their sensor_msgs/CameraInfo states.

        Args:
            info: a message of rclpy or rosbags, or any object with these fields.
            rectified: the images are rectified already, so that P holds in place of K and D.

        Raises:
            CameraError: the camera is not calibrated, or the numbers are invalid.
        """
        width, height = int(info.width), int(info.height)
        matrix = np.reshape(np.asarray(info.p if rectified else info.k, float), (3, -1))
        name = "P" if rectified else "K"
        fx, fy, cx, cy = (float(matrix[place]) for place in ((0, 0), (1, 1), (0, 2), (1, 2)))
        if not np.isfinite(matrix).all():
            raise CameraError(f"{name} in camera_info is not finite; calibrate the camera")
        if not fx or not fy:
            raise CameraError(
                f"{name} in camera_info is zero: the camera is not calibrated; calibrate it, or connect the camera_info"
                " of its driver"
            )
        if not (_FOCAL[0] <= fx <= _FOCAL[1] and _FOCAL[0] <= fy <= _FOCAL[1] and max(abs(cx), abs(cy)) <= _FOCAL[1]):
            raise CameraError(
                f"{name} in camera_info has a focal length of {fx:g}, {fy:g} and a centre at {cx:g}, {cy:g} pixels,"
                " which no camera has; calibrate it"
            )
        # A region of 0 x 0 is the whole image; binning of 0 is none. As in image_geometry, pixels are decimated.
        left, top = int(info.roi.x_offset), int(info.roi.y_offset)
        width, height = int(info.roi.width) or width, int(info.roi.height) or height
        columns, rows = max(1, int(info.binning_x)), max(1, int(info.binning_y))
        width, height = width // columns, height // rows
        if width < 1 or height < 1:
            raise CameraError(f"camera_info is of images of {width} x {height} pixels; connect that of the camera")
        distortion, fisheye = ((), False) if rectified else _distortion(info.distortion_model, info.d)
        return cls(
            width,
            height,
            fx / columns,
            fy / rows,
            (cx - left) / columns,
            (cy - top) / rows,
            distortion,
            fisheye,
        )

    def scaled(self, width: int, height: int) -> CameraModel:
        """The camera of the same view at another size.

        Raises:
            CameraError: the aspects differ by more than rounding, so that it is another view.
        """
        if not same_view((self.width, self.height), (width, height)):
            raise CameraError(f"{width} x {height} pixels are no scale of {self.width} x {self.height}")
        if (width, height) == (self.width, self.height):
            return self
        x, y = width / self.width, height / self.height
        cx, cy = (self.cx + 0.5) * x - 0.5, (self.cy + 0.5) * y - 0.5
        return CameraModel(width, height, self.fx * x, self.fy * y, cx, cy, self.distortion, self.fisheye)

    @cached_property
    def rays(self) -> np.ndarray:
        """x / z and y / z of each pixel, float32 [2, height, width]; NaN where the distortion cannot be inverted.

        Computed once: about half a second for a megapixel with distortion.
        """
        x = (np.arange(self.width) - self.cx) / self.fx
        y = (np.arange(self.height) - self.cy) / self.fy
        if not self.distortion and not self.fisheye:
            return np.stack(np.broadcast_arrays(x, y[:, None])).astype(np.float32)
        # Solved on a coarse grid, and corrected in between, which takes a tenth of the time.
        columns, coarse_columns = _grid(self.width)
        rows, coarse_rows = _grid(self.height)
        coarse = self._undistorted(np.stack(np.meshgrid(coarse_columns, coarse_rows), -1).reshape(-1, 2))
        nodes = np.nan_to_num(coarse).T.reshape(2, len(coarse_rows), len(coarse_columns))
        between = (rows @ nodes @ columns.T).reshape(2, -1).T
        pixels = np.stack(np.meshgrid(np.arange(self.width), np.arange(self.height)), -1).reshape(-1, 2)
        rays = self._corrected(pixels.astype(float), between, steps=4)
        return np.ascontiguousarray(rays.T.reshape(2, self.height, self.width), np.float32)

    @cached_property
    def is_complete(self) -> bool:
        """Whether each pixel has a ray."""
        return bool(np.isfinite(self.rays[0]).all())

    def project(self, rays: np.ndarray) -> np.ndarray:
        """The pixels of rays: x / z and y / z, [N, 2]; the result has the same shape."""
        matrix = np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]])
        none, coefficients = np.zeros(3), np.array(self.distortion or (0.0,) * 4)
        points = np.ascontiguousarray(rays, float).reshape(-1, 1, 2)
        if self.fisheye:
            return cv2.fisheye.distortPoints(points, matrix, coefficients)[:, 0]
        points = np.concatenate([points, np.ones_like(points[..., :1])], -1)
        return cv2.projectPoints(points, none, none, matrix, coefficients)[0][:, 0]

    def _undistorted(self, pixels: np.ndarray) -> np.ndarray:
        """Rays of pixels, [N, 2] each."""
        matrix = np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]])
        undistort = cv2.fisheye.undistortPoints if self.fisheye else cv2.undistortPoints
        rays = undistort(pixels[:, None], matrix, np.array(self.distortion or (0.0,) * 4))[:, 0].astype(float)
        return self._corrected(pixels, rays, steps=20)  # OpenCV leaves errors of pixels in the corners

    def _corrected(self, pixels: np.ndarray, rays: np.ndarray, steps: int) -> np.ndarray:
        """Rays that meet their pixels, from rays that nearly do, [N, 2]; NaN where they do not."""
        with np.errstate(all="ignore"):
            error = pixels - self.project(rays)
            for _ in range(steps):
                if not (np.abs(error) > _EXACT).any():
                    break
                rays = rays + np.nan_to_num(error / (self.fx, self.fy))
                error = pixels - self.project(rays)
            met = (np.abs(error) < MAX_ERROR).all(1) & (np.abs(rays) < _WIDEST).all(1)
        return np.where(met[:, None], rays, np.nan)


def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """A coarse grid along one side of an image: the weights of its nodes in each pixel, [size, K], and its places."""
    number = -(-size // _CELL) + 1
    places = np.linspace(0, size - 1, number)
    position = np.arange(size) * ((number - 1) / max(size - 1, 1))
    return np.maximum(0.0, 1 - np.abs(position[:, None] - np.arange(number))), places


def same_view(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two sizes, (width, height), have the same aspect but for the rounding of pixels."""
    (width, height), (w, h) = sorted((one, other))
    return min(width, height, w, h) > 0 and min(abs(width * h / w - height), abs(height * w / h - width)) <= 1.0


def _distortion(model: str, coefficients: Any) -> tuple[tuple[float, ...], bool]:
    """Distortion coefficients, without those of a camera that has none, and whether it is a fisheye's."""
    values = tuple(float(value) for value in coefficients)
    fisheye = model in FISHEYE
    if not fisheye and not any(values):
        return (), False
    if model not in COEFFICIENTS:
        known = ", ".join(COEFFICIENTS)
        raise CameraError(f"the distortion model {model[:40]!r} in camera_info is not known; known: {known}")
    if len(values) not in COEFFICIENTS[model] or not np.isfinite(values).all():
        numbers = " or ".join(map(str, COEFFICIENTS[model][1:]))
        raise CameraError(f"D in camera_info must hold {numbers} finite numbers for {model}, not {len(values)}")
    return values, fisheye
