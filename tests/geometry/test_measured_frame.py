"""Frames with shapes."""

from __future__ import annotations

import numpy as np
from depth_scene import CAMERA, Solid, turn, view

from sam2_ros.geometry.measured_frame import MeasuredFrame
from sam2_ros.tracking.masklet import Frame, Masklet

CUP = Solid((-0.2, 0.0, 1.0), (0.1, 0.1, 0.1), turn(20, 30))
BOX = Solid((0.2, 0.0, 1.2), (0.3, 0.2, 0.2), turn(20, -30))


def test_objects_without_measurement_or_presence_are_left_out() -> None:
    seen = view(CUP, BOX)
    nowhere = np.zeros_like(seen.masks[0])
    unmeasured = nowhere.copy()
    unmeasured[:20, :20] = True
    depth = seen.millimetres
    depth[:25, :25] = 0
    masks = [seen.masks[0], nowhere, seen.masks[1], unmeasured]
    masklets = [Masklet(i + 1, f"thing {i}", mask.any(), 0.9, 0.9, mask) for i, mask in enumerate(masks)]
    frame = Frame(0, 360, 640, tuple(masklets))
    measured = MeasuredFrame(frame, np.zeros((360, 640, 3), np.uint8), depth, CAMERA)
    assert [one.masklet.object_id for one in measured.objects] == [1, 3]
    assert measured.objects is measured.objects
    for one, solid in zip(measured.objects, (CUP, BOX), strict=True):
        assert np.linalg.norm(one.oriented.centre - solid.centre) < 0.01
        assert one.axis_aligned.centre[2] < solid.centre[2]


def test_colours_of_the_depth_images_pixels() -> None:
    image = np.random.default_rng(0).integers(0, 255, (360, 640, 3), np.uint8)
    window = np.s_[10:40, 100:180]
    same = MeasuredFrame(Frame(0, 360, 640, ()), image, np.zeros((360, 640), np.uint16), CAMERA)
    assert np.array_equal(same.colours(window), image[window])
    half = MeasuredFrame(Frame(0, 360, 640, ()), image, np.zeros((180, 320), np.uint16), CAMERA.scaled(320, 180))
    assert np.array_equal(half.colours(window), image[21:81:2, 201:361:2])
