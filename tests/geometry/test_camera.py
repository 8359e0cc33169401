"""Cameras from CameraInfo: rays of distorted, binned, cut out and scaled images."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from depth_scene import CAMERA, camera_info

from sam2_ros.geometry.camera import CameraError, CameraModel, same_view

PLUMB_BOB = [-0.28, 0.07, 0.0002, 0.0005, 0.01]
RATIONAL = [0.45, -0.1, 0.0001, -0.0002, 0.002, 0.8, -0.05, 0.01]
EQUIDISTANT = [-0.01, 0.04, -0.03, 0.006]


def project(rays: np.ndarray, model: str, d: list[float]) -> np.ndarray:
    """The textbook's formulas: rays [2, N] to normalised, distorted coordinates."""
    x, y = rays
    r2 = x * x + y * y
    if model == "equidistant":
        r = np.sqrt(r2)
        theta = np.arctan(r)
        scale = theta * (1 + sum(k * theta ** (2 * power + 2) for power, k in enumerate(d))) / np.maximum(r, 1e-12)
        return np.stack([x * scale, y * scale])
    k1, k2, p1, p2, k3, *others = [*d, *[0.0] * (8 - len(d))]
    k4, k5, k6 = others
    radial = (1 + k1 * r2 + k2 * r2**2 + k3 * r2**3) / (1 + k4 * r2 + k5 * r2**2 + k6 * r2**3)
    return np.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        ]
    )


@pytest.mark.parametrize(
    ("model", "d"), [("plumb_bob", PLUMB_BOB), ("rational_polynomial", RATIONAL), ("equidistant", EQUIDISTANT)]
)
def test_rays_meet_their_pixels(model: str, d: list[float]) -> None:
    camera = CameraModel.from_info(camera_info(distortion_model=model, d=d))
    x, y = project(camera.rays.reshape(2, -1).astype(float), model, d)
    rows, columns = np.divmod(np.arange(camera.width * camera.height), camera.width)
    assert camera.is_complete
    assert np.abs(x * camera.fx + camera.cx - columns).max() < 0.02
    assert np.abs(y * camera.fy + camera.cy - rows).max() < 0.02
    centre = camera.rays[:, camera.height // 2, camera.width // 2]
    assert np.abs(centre).max() < 0.01


def test_pixels_without_a_ray_are_nan() -> None:
    """Beyond some radius, this distortion turns back, so that nothing is seen in the corners."""
    camera = CameraModel.from_info(camera_info(d=[-0.8, 0.0, 0.0, 0.0, 0.0]))
    assert not camera.is_complete
    assert np.isnan(camera.rays[:, 0, 0]).all() and np.isfinite(camera.rays[:, 180, 320]).all()
    assert 0.3 < np.isfinite(camera.rays[0]).mean() < 0.99


def test_without_distortion() -> None:
    camera = CameraModel.from_info(camera_info(d=[0.0] * 5))
    assert camera == CAMERA and camera.rays.dtype == np.float32 and camera.rays.shape == (2, 360, 640)
    assert camera.rays[0, 0] == pytest.approx((np.arange(640) - 319.5) / 460)
    assert CameraModel.from_info(camera_info(distortion_model="", d=[])) == CAMERA
    assert CameraModel.from_info(camera_info(distortion_model="equidistant", d=[0.0] * 4)).fisheye


def test_rays_are_computed_once() -> None:
    camera = CameraModel.from_info(camera_info())
    assert camera.rays is camera.rays


def test_rectified_images_use_the_projection_matrix() -> None:
    projection = [400.0, 0.0, 310.0, -40.0, 0.0, 410.0, 170.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    camera = CameraModel.from_info(camera_info(d=PLUMB_BOB, p=projection), rectified=True)
    assert camera == CameraModel(640, 360, 400.0, 410.0, 310.0, 170.0)


def test_region_and_binning() -> None:
    """As image_geometry: the region is in pixels of the full image, then pixels are decimated."""
    roi = SimpleNamespace(x_offset=100, y_offset=40, width=400, height=200, do_rectify=False)
    camera = CameraModel.from_info(camera_info(roi=roi, binning_x=2, binning_y=4, d=PLUMB_BOB))
    whole = CameraModel.from_info(camera_info(d=PLUMB_BOB))
    assert (camera.width, camera.height) == (200, 50)
    assert np.allclose(camera.rays, whole.rays[:, 40:240:4, 100:500:2], atol=1e-4)


@pytest.mark.parametrize("size", [(320, 180), (1280, 720), (160, 90), (960, 540), (427, 240)])
def test_scaled_camera_sees_the_same(size: tuple[int, int]) -> None:
    camera = CAMERA.scaled(*size)
    corners = np.array([[-0.5, -0.5], [size[0] - 0.5, size[1] - 0.5]])
    outline = (corners - (camera.cx, camera.cy)) / (camera.fx, camera.fy)
    whole = (np.array([[-0.5, -0.5], [639.5, 359.5]]) - (CAMERA.cx, CAMERA.cy)) / (CAMERA.fx, CAMERA.fy)
    assert np.allclose(outline, whole)


def test_another_view_is_no_scale() -> None:
    with pytest.raises(CameraError, match="640 x 480 pixels are no scale of 640 x 360"):
        CAMERA.scaled(640, 480)
    assert same_view((1280, 720), (640, 360)) and same_view((1920, 1080), (853, 480))
    assert not same_view((1280, 720), (848, 480)) and not same_view((0, 0), (640, 480))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"k": [0.0] * 9}, "not calibrated"),
        ({"k": [float("nan")] * 9}, "not finite"),
        ({"k": [-460.0, 0, 320, 0, 460, 180, 0, 0, 1]}, "focal length of -460, 460"),
        ({"k": [1e-300, 0, 320, 0, 1e300, 180, 0, 0, 1]}, "which no camera has"),
        ({"width": 0, "height": 0}, "0 x 0"),
        ({"distortion_model": "magic", "d": [0.1]}, "'magic' in camera_info is not known; known: plumb_bob"),
        ({"d": [0.1, 0.2]}, "4 or 5 finite numbers for plumb_bob, not 2"),
        ({"d": [0.1, float("inf"), 0, 0, 0]}, "finite"),
        ({"binning_x": 4_000_000_000}, "0 x 360"),
    ],
)
def test_unusable_calibration_is_refused(changes: dict, reason: str) -> None:
    with pytest.raises(CameraError, match=reason):
        CameraModel.from_info(camera_info(**changes))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("model", ["plumb_bob", "equidistant"])
def test_absurd_distortion_leaves_no_pixels(model: str) -> None:
    d = [0.0, 1e300, 50.0, 5.0, 0.1][: 5 if model == "plumb_bob" else 4]
    camera = CameraModel.from_info(camera_info(distortion_model=model, d=d))
    assert np.isfinite(camera.rays[0]).mean() < 0.01
