"""Boxes as messages of vision_msgs."""

from __future__ import annotations

from types import ModuleType

import cv2
import numpy as np
import pytest
from depth_scene import CAMERA, Solid, turn, view
from std_msgs.msg import Header

from sam2_ros.geometry.measured_frame import MeasuredFrame
from sam2_ros.ros.outputs.objects_3d import to_array
from sam2_ros.tracking.masklet import Frame, Masklet

CRATE = Solid((0.1, 0.1, 1.2), (0.3, 0.2, 0.25), turn(25, 35, 10))
HEADER = Header(frame_id="camera_optical")


def measured() -> MeasuredFrame:
    seen = view(CRATE)
    masklets = (
        Masklet(3, "crate", True, 0.75, 0.9, seen.masks[0]),
        Masklet(4, "gone", False, 0.1, 0.9, np.zeros_like(seen.masks[0])),
    )
    return MeasuredFrame(Frame(0, 360, 640, masklets), np.zeros((360, 640, 3), np.uint8), seen.depth, CAMERA)


@pytest.mark.parametrize("is_oriented", [True, False])
def test_detection_of_an_object(vision: ModuleType, is_oriented: bool) -> None:
    array = to_array(measured(), HEADER, is_oriented)
    (detection,) = array.detections
    assert array.header == detection.header == HEADER and detection.id == "3"
    (result,) = detection.results
    assert (result.hypothesis.class_id, result.hypothesis.score) == ("crate", 0.75)
    assert result.pose.pose.orientation.w == 1.0 and 0.95 < result.pose.pose.position.z < 1.2
    pose, size = detection.bbox.center, detection.bbox.size
    vector = np.array([pose.orientation.x, pose.orientation.y, pose.orientation.z])
    length = float(np.linalg.norm(vector))
    angle = 2 * np.arctan2(length, pose.orientation.w)
    if not is_oriented:
        assert angle == 0 and size.z < 0.35
        return
    rotation = cv2.Rodrigues(vector / length * angle)[0]
    assert np.allclose(rotation, CRATE.rotation, atol=0.02)
    assert [size.x, size.y, size.z] == pytest.approx(CRATE.size, abs=0.01)
    assert [pose.position.x, pose.position.y, pose.position.z] == pytest.approx(CRATE.centre, abs=0.01)
