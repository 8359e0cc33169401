"""Label images, as numbers and as colours."""

from __future__ import annotations

import numpy as np
import pytest
from rclpy.lifecycle import LifecycleNode
from robot import SIZE, Robot, header_of, picture
from sensor_msgs.msg import Image
from small_frames import frame, masklet

from sam2_ros.ros import label_images
from sam2_ros.ros.outputs.labels import LabelsOutput
from sam2_ros.ros.topics import Topics
from sam2_ros.tracking.object_colours import colour

TABLE, CUP = masklet(1, 0, 40, 128, 50), masklet(300, 20, 30, 12, 30)
BEYOND = masklet(65536, 100, 0, 20, 20)


def test_both_show_the_same_objects(node: LifecycleNode, robot: Robot) -> None:
    output = LabelsOutput(node, Topics())
    numbers, colours = robot.listen(Image, "sam2/labels"), robot.listen(Image, "sam2/labels/color")
    node.trigger_configure()
    node.trigger_activate()
    for publisher in (output._numbers, output._colours):
        robot.wait_for(publisher.get_subscription_count, "for the subscription")
    output.publish(frame(CUP, TABLE, masklet(2, 0, 0, 9, 9, present=False), BEYOND), header_of(0), picture(0))
    robot.wait_for(lambda: numbers and colours, "for the pictures")
    (labels,), (picture_,) = numbers, colours
    assert labels.header == picture_.header == header_of(0)
    assert (labels.encoding, picture_.encoding) == ("mono16", "rgb8")
    ids = np.frombuffer(labels.data, "<u2").reshape(SIZE)
    expected = np.where(CUP.mask, 300, np.where(TABLE.mask, 1, 0))
    assert np.array_equal(ids, expected), "the smaller object is in front"
    shown = np.reshape(picture_.data, (*SIZE, 3))
    for object_id in (0, 1, 300):
        assert np.all(shown[ids == object_id] == (colour(object_id) if object_id else (0, 0, 0)))


def test_nothing_is_computed_while_nobody_listens(node: LifecycleNode, monkeypatch: pytest.MonkeyPatch) -> None:
    output = LabelsOutput(node, Topics())
    monkeypatch.setattr(label_images, "_smallest_last", None)
    output.publish(frame(CUP), header_of(0), picture(0))
