"""Each object's mask on a topic of its own."""

from __future__ import annotations

import numpy as np
import pytest
from rclpy.lifecycle import LifecycleNode
from rclpy.parameter import Parameter
from robot import SIZE, Graph, Robot, header_of, picture
from sensor_msgs.msg import Image
from small_frames import frame, masklet

from sam2_ros.ros.log import Log
from sam2_ros.ros.outputs import masks
from sam2_ros.ros.topics import Topics

CUP, HAND = masklet(3, 10, 20, 31, 8, "cup"), masklet(7, 30, 20, 12, 40, "hand")


@pytest.fixture
def output(node: LifecycleNode) -> masks.MasksOutput:
    node.declare_parameter("publish_masks", True)
    return masks.MasksOutput(node, Topics(), Log(node.get_logger()))


def set_publish_masks(node: LifecycleNode, value: bool) -> None:
    (result,) = node.set_parameters([Parameter("publish_masks", value=value)])
    assert result.successful


def topics(node: LifecycleNode) -> list[str]:
    names = [publisher.topic_name for publisher in node.publishers]
    return sorted(name for name in names if "/masks" in name)


def show(output: masks.MasksOutput, index: int, *masklets) -> None:
    output.publish(frame(*masklets, index=index), header_of(index), picture(index))


def test_each_object_has_a_topic_while_it_is_tracked(node: LifecycleNode, output, robot: Robot) -> None:
    show(output, 0, CUP, HAND)
    cups = robot.listen(Image, "sam2/masks/object_3")
    assert topics(node) == ["/sam2/masks/object_3", "/sam2/masks/object_7"]
    robot.wait_for(output._publishers[3].get_subscription_count, "for the subscription")
    show(output, 1, CUP, HAND)
    show(output, 2, masklet(3, 0, 0, 9, 9, present=False))
    robot.wait_for(lambda: len(cups) == 2, "for the masks")
    for index, (message, mask) in enumerate(zip(cups, (CUP.mask, np.zeros(SIZE, bool)), strict=True), start=1):
        assert message.header == header_of(index) and message.encoding == "mono8"
        assert np.array_equal(np.reshape(message.data, SIZE), mask * np.uint8(255))
    assert topics(node) == ["/sam2/masks/object_3"]
    robot.wait_for(lambda: not robot.count_publishers("sam2/masks/object_7"), "for the end of the topic")
    output.release()
    robot.wait_for(lambda: not robot.count_publishers("sam2/masks/object_3"), "for the end of the topic")


def test_no_topics_unless_asked_for(node: LifecycleNode, output) -> None:
    set_publish_masks(node, False)
    show(output, 0, CUP, HAND)
    assert not topics(node)
    set_publish_masks(node, True)
    show(output, 1, CUP, HAND)
    assert len(topics(node)) == 2
    set_publish_masks(node, False)
    show(output, 2, CUP, HAND)
    assert not topics(node)


def test_no_image_is_made_while_nobody_listens(output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masks, "to_message", None)
    show(output, 0, CUP)


def test_very_many_objects_have_a_limited_number_of_topics(
    node: LifecycleNode, output, capfd: pytest.CaptureFixture[str], graph: Graph
) -> None:
    for index in range(2):
        show(output, index, *(masklet(number, number, 0, 1, 1) for number in range(1, masks.MAX_TOPICS + 6)))
    assert len(topics(node)) == masks.MAX_TOPICS
    log = graph.robot.wait_for_line(f"{masks.MAX_TOPICS + 5} objects are tracked")
    assert log.count("~/masks has topics for the first 64 only") == 1


def test_objects_that_come_and_go_leave_nothing(node: LifecycleNode, output) -> None:
    def kept() -> tuple[int, ...]:
        entities = node.default_callback_group.entities
        return len(list(node.publishers)), len(entities), len(list(node.waitables)), len(node._parameters)

    show(output, 0, masklet(1, 0, 0, 1, 1))
    before = kept()
    for number in range(2, 102):
        show(output, number, masklet(number, 0, 0, 1, 1))
    assert kept() == before and topics(node) == ["/sam2/masks/object_101"]
