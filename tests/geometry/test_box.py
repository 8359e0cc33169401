"""Boxes around what a sensor sees of boxes with known poses."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from depth_scene import CAMERA, Solid, as_measured, turn, view

from sam2_ros.geometry.box import Box3D, axis_aligned, oriented
from sam2_ros.geometry.points import object_points


def points_on(solid: Solid, measured: bool) -> np.ndarray:
    seen = as_measured(view(solid)) if measured else view(solid)
    return object_points(seen.depth, seen.masks[0], CAMERA).xyz


def angle_between(box: Box3D, solid: Solid) -> float:
    """The largest angle between an axis of the one and the nearest axis of the other, degrees."""
    cosines = np.abs(box.rotation.T @ solid.rotation).max(0)
    return float(np.rad2deg(np.arccos(np.clip(cosines, 0, 1))).max())


CRATES = {
    "three faces": Solid((0.1, 0.1, 1.2), (0.3, 0.2, 0.25), turn(25, 35, 10)),
    "two faces": Solid((-0.1, 0.0, 1.5), (0.3, 0.4, 0.25), turn(0, 40, 0)),
    "far away": Solid((0.3, 0.3, 2.5), (0.3, 0.2, 0.25), turn(25, 35, 10)),
    "long": Solid((0.0, 0.1, 1.5), (0.9, 0.08, 0.08), turn(20, 30, -15)),
}


@pytest.mark.parametrize("measured", [False, True], ids=["exact", "measured"])
@pytest.mark.parametrize("name", CRATES)
def test_oriented_box_is_the_solid(name: str, measured: bool) -> None:
    solid = CRATES[name]
    box = oriented(points_on(solid, measured))
    assert angle_between(box, solid) < 2.5
    assert np.linalg.norm(box.centre - solid.centre) < 0.015
    order = np.abs(box.rotation.T @ solid.rotation).argmax(1)  # its axes may have other names
    assert np.abs(box.size - np.array(solid.size)[order]).max() < 0.03
    assert np.allclose(box.rotation.T @ box.rotation, np.eye(3)) and np.linalg.det(box.rotation) > 0


@pytest.mark.parametrize("measured", [False, True], ids=["exact", "measured"])
def test_axis_aligned_box_is_that_of_the_visible_surface(measured: bool) -> None:
    """Behind, a part cannot be seen."""
    solid = CRATES["three faces"]
    box = axis_aligned(points_on(solid, measured))
    corners = solid.corners
    low, high = corners.min(1), corners.max(1)
    assert np.array_equal(box.rotation, np.eye(3))
    assert np.abs(box.centre[:2] - (low + high)[:2] / 2).max() < 0.01
    assert np.abs(box.size[:2] - (high - low)[:2]).max() < 0.035
    assert abs(box.centre[2] - box.size[2] / 2 - low[2]) < 0.015


@pytest.mark.parametrize("angle", [0, 20, 44])
def test_single_face_gives_a_flat_box(angle: float) -> None:
    solid = Solid((0.1, 0.0, 1.2), (0.3, 0.2, 0.1), turn(z=angle))
    seen = view(solid)
    box = oriented(object_points(seen.depth, seen.masks[0], CAMERA).xyz[:, ::3])
    assert angle_between(box, solid) < 1.5
    assert sorted(box.size) == pytest.approx([0.0, 0.2, 0.3], abs=0.01)


def test_axes_are_named_after_the_nearest_of_the_camera() -> None:
    """So that the pose of a thing that hardly moves hardly changes."""
    for angle in range(-40, 45, 5):
        box = oriented(points_on(Solid((0.0, 0.1, 1.2), (0.3, 0.2, 0.25), turn(10, angle, 5)), measured=True))
        assert np.trace(box.rotation) > 2.0 and box.rotation.diagonal().min() > 0.7


@pytest.mark.parametrize("number", [1, 2, 3, 7])
def test_few_points(number: int) -> None:
    points = np.random.default_rng(number).random((3, number)).astype(np.float32) + 1
    for box in (axis_aligned(points), oriented(points)):
        own = box.rotation.T @ (points - box.centre[:, None])
        assert (np.abs(own) <= box.size[:, None] / 2 + 1e-5).all() and np.isfinite(box.quaternion).all()
    assert np.array_equal(oriented(np.ones((3, number), np.float32)).size, [0, 0, 0])


def test_noise_does_not_widen_the_box() -> None:
    """It would with the number of pixels, if the outermost counted."""
    rng = np.random.default_rng(0)
    flat = np.concatenate([rng.uniform(-0.5, 0.5, (2, 200_000)), 2 + 0.01 * rng.standard_normal((1, 200_000))])
    assert axis_aligned(flat.astype(np.float32)).size == pytest.approx([0.99, 0.99, 0.05], abs=0.01)


@pytest.mark.parametrize("angles", [(0, 0, 0), (30, 0, 0), (10, -70, 20), (180, 0, 0), (0, 0, 90), (120, 33, -150)])
def test_quaternion_is_the_rotation(angles: tuple[float, float, float]) -> None:
    rotation = turn(*angles)
    x, y, z, w = Box3D(np.zeros(3), np.ones(3), rotation).quaternion
    assert np.hypot(np.linalg.norm([x, y, z]), w) == pytest.approx(1)
    axis = np.array([x, y, z])
    length = np.linalg.norm(axis)
    vector = axis / length * 2 * np.arctan2(length, w) if length else axis
    assert np.allclose(cv2.Rodrigues(vector)[0], rotation, atol=1e-6)
