"""Points on objects, seen by a sensor with flying pixels, noise and holes."""

from __future__ import annotations

import numpy as np
import pytest
from depth_scene import CAMERA, Solid, View, as_measured, turn, view

from sam2_ros.geometry.camera import CameraModel
from sam2_ros.geometry.points import metres, object_points

CRATE = Solid((0.1, 0.1, 1.2), (0.3, 0.2, 0.25), turn(25, 35, 10))


def distances_to(solid: Solid, points: np.ndarray) -> np.ndarray:
    """How far points, [3, N], lie from the surface of a box, inside or outside."""
    own = np.abs(solid.rotation.T @ (points - np.array(solid.centre)[:, None])) - np.array(solid.size)[:, None] / 2
    return np.where((own < 0).all(0), -own.max(0), np.linalg.norm(np.maximum(own, 0), axis=0))


@pytest.mark.parametrize("millimetres", [True, False])
def test_points_lie_on_the_surface(millimetres: bool) -> None:
    seen = view(CRATE)
    points = object_points(seen.millimetres if millimetres else seen.depth, seen.masks[0], CAMERA)
    assert len(points) == np.count_nonzero(seen.masks[0])
    assert distances_to(CRATE, points.xyz.astype(float)).max() < 1e-3
    assert points.xyz.dtype == np.float32
    x, y, z = points.centroid
    assert abs(x - 0.1) < 0.03 and abs(y - 0.1) < 0.03 and 1.0 < z < 1.2
    whole = np.zeros(seen.depth.shape, bool)
    whole[points.window] = points.pixels
    assert (whole == seen.masks[0]).all()


@pytest.mark.parametrize("millimetres", [True, False])
@pytest.mark.parametrize("gap", [0.15, 2.8])
def test_flying_pixels_and_background_are_left_out(millimetres: bool, gap: float) -> None:
    """The wall stands near or far behind; the mask reaches a pixel onto it."""
    seen = as_measured(view(CRATE, wall=CRATE.corners[2].max() + gap))
    depth, (mask,) = seen.millimetres if millimetres else seen.depth, seen.masks
    with np.errstate(invalid="ignore"):
        there = np.isfinite(seen.depth) & (seen.depth > 0) & mask
    columns, rows = np.meshgrid(np.arange(CAMERA.width), np.arange(CAMERA.height))
    rays = np.stack([(columns - CAMERA.cx) / CAMERA.fx, (rows - CAMERA.cy) / CAMERA.fy, np.ones(mask.shape)])
    raw = distances_to(CRATE, (rays * seen.depth)[:, there].astype(float))
    kept = distances_to(CRATE, object_points(depth, mask, CAMERA).xyz.astype(float))
    assert np.count_nonzero(raw > 0.03) > 200  # that there is something to leave out
    assert np.count_nonzero(kept > 0.03) < 0.002 * len(kept)
    assert len(kept) > 0.95 * np.count_nonzero(raw < 0.01)


def test_occluder_over_the_mask_is_left_out() -> None:
    """A pole stands before the crate, and the mask covers it."""
    pole = Solid((0.1, 0.0, 0.7), (0.02, 1.0, 0.02))
    seen = view(CRATE, pole)
    points = object_points(seen.depth, seen.masks[0] | (view(CRATE).masks[0] & seen.masks[1]), CAMERA)
    assert points.xyz[2].min() > 0.95
    assert len(points) > 0.8 * np.count_nonzero(seen.masks[0])


def test_nothing_measured_gives_no_points() -> None:
    mask = view(CRATE).masks[0]
    for value in (0.0, np.nan, np.inf, -1.0, -np.inf):
        assert len(object_points(np.full((360, 640), value, np.float32), mask, CAMERA)) == 0
    assert len(object_points(np.zeros((360, 640), np.uint16), mask, CAMERA)) == 0
    assert len(object_points(view(CRATE).depth, np.zeros((360, 640), bool), CAMERA)) == 0


@pytest.mark.parametrize("side", [1, 2, 3, 5])
@pytest.mark.parametrize("corner", [(0, 0), (100, 200), (355, 635)])
def test_small_masks_do_not_vanish(side: int, corner: tuple[int, int]) -> None:
    """Beside something much nearer, with whose edge a large object would lose a rim."""
    depth = np.full((360, 640), 2.0, np.float32)
    depth[:, : corner[1]] = 0.5
    mask = np.zeros((360, 640), bool)
    mask[corner[0] : corner[0] + side, corner[1] : corner[1] + side] = True
    points = object_points(depth, mask, CAMERA)
    assert len(points) >= 0.1 * np.count_nonzero(mask) and np.all(points.xyz[2] == 2.0)


def test_thin_objects_keep_their_length() -> None:
    pole = Solid((0.1, 0.0, 1.2), (0.008, 0.5, 0.008), turn(z=30))
    seen = view(pole)
    points = object_points(seen.depth, seen.masks[0], CAMERA)
    assert len(points) > 0.95 * np.count_nonzero(seen.masks[0])


def test_oblique_surfaces_are_kept() -> None:
    """A table top seen at 80 degrees from its normal: neighbours differ, and no pixel flies."""
    table = Solid((0.0, 0.25, 1.5), (1.0, 0.01, 1.2), turn(-1))
    seen = as_measured(view(table, wall=5.0), noise=0.002, missing=0.0)
    points = object_points(seen.depth, view(table, wall=5.0).masks[0], CAMERA)
    assert np.ptp(points.xyz[2]) > 1.0 and len(points) > 0.85 * np.count_nonzero(view(table, wall=5.0).masks[0])


@pytest.mark.parametrize("scale", [0.5, 0.25, 2.0, 2 / 3])
def test_depth_of_another_size(scale: float) -> None:
    depth_camera = CAMERA.scaled(round(640 * scale), round(360 * scale))
    mask, depth = view(CRATE).masks[0], view(CRATE, camera=depth_camera).depth
    points = object_points(depth, mask, depth_camera)
    assert len(points) == pytest.approx(np.count_nonzero(mask) * scale**2, rel=0.03)
    assert np.quantile(distances_to(CRATE, points.xyz.astype(float)), 0.99) < 2e-3
    tiny = np.zeros_like(mask)
    tiny[201, 357] = True  # between the centres of pixels of smaller depth images
    assert len(object_points(depth, tiny, depth_camera)) >= 1


def test_pixels_without_a_ray_have_no_points() -> None:
    camera = CameraModel(640, 360, 460.0, 460.0, 319.5, 179.5, (-0.8, 0.0, 0.0, 0.0, 0.0))
    points = object_points(np.ones((360, 640), np.float32), np.ones((360, 640), bool), camera)
    assert len(points) == np.count_nonzero(np.isfinite(camera.rays[0])) and np.isfinite(points.xyz).all()


def test_metres() -> None:
    assert metres(np.array([[0, 1, 65535]], np.uint16)).tolist() == [
        [np.inf, pytest.approx(0.001), pytest.approx(65.535)]
    ]
    depth = np.array([[np.nan, -1.0, 0.0, np.inf, 2.5]], np.float32)
    assert metres(depth).tolist() == [[np.inf] * 4 + [2.5]] and np.isnan(depth[0, 0])


def test_input_is_not_changed() -> None:
    seen: View = as_measured(view(CRATE))
    depth, mask = seen.depth.copy(), seen.masks[0].copy()
    object_points(depth, mask, CAMERA)
    assert np.array_equal(depth, seen.depth, equal_nan=True) and np.array_equal(mask, seen.masks[0])


@pytest.mark.filterwarnings("error")
def test_impossible_numbers_are_not_measured() -> None:
    seen = view(CRATE)
    depth = seen.depth.copy()
    wild = np.array([np.nan, np.inf, -np.inf, -1.0, 0.0, 1e-30, 1e-38, 3e38, -3e38], np.float32)
    depth[::2] = np.resize(wild, depth[::2].shape)
    points = object_points(depth, seen.masks[0], CAMERA)
    assert len(points) > 0.4 * np.count_nonzero(seen.masks[0])
    assert distances_to(CRATE, points.xyz.astype(float)).max() < 1e-3
    whole = np.ones_like(seen.masks[0])  # up to the image's edge
    assert len(object_points(depth, whole, CAMERA)) > 0
    depth[:] = np.resize(wild, depth.shape)
    assert len(object_points(depth, whole, CAMERA)) == 0
    assert len(object_points(depth, seen.masks[0], CAMERA)) == 0
