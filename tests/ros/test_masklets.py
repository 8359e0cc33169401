"""Masks and boxes of prompts, and the masklets that answer them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from robot import CLICK, SIZE, Graph, Robot, header_of, picture
from sensor_msgs.msg import RegionOfInterest
from std_msgs.msg import Header

from sam2_ros import msg, srv
from sam2_ros.ros.images import to_message
from sam2_ros.tracking import rle

LARGE = (480, 640)


def mask_prompt(*rectangles: tuple[int, int, int, int], size: tuple[int, int] = SIZE) -> tuple[np.ndarray, msg.Prompt]:
    """A mask of rectangles x, y, width, height, and its prompt."""
    mask = np.zeros(size, np.uint8)
    for x, y, width, height in rectangles:
        mask[y : y + height, x : x + width] = 255
    return mask > 0, msg.Prompt(mask=to_message(mask, "mono8", Header()))


@pytest.mark.parametrize(
    ("settings", "box"), [({}, (16, 24, 26, 24)), ({"box_min_part": 0.0}, (16, 24, 112, 72))], ids=str
)
def test_stray_pixels_widen_boxes_only_if_box_min_part_is_0(
    graph: Graph, robot: Robot, checkpoint: Path, settings, box
) -> None:
    graph.sam2(checkpoint=str(checkpoint), **settings)
    robot.wait_until_connected()
    robot.show(0)
    mask, prompt = mask_prompt((16, 24, 26, 24), (125, 95, 3, 1))
    masklet = robot.call(srv.PromptObject, "sam2/prompt", prompt=prompt).result.masklet
    assert np.array_equal(rle.decode(masklet.mask.counts, *SIZE), mask), "masks are unchanged"
    x, y, width, height = box
    assert masklet.box == RegionOfInterest(x_offset=x, y_offset=y, width=width, height=height)
    (listed,) = robot.call(srv.ListObjects, "sam2/list").objects
    assert listed.box == masklet.box


def test_too_small_masks_are_refused(robot: Robot, sam2) -> None:
    robot.show(0)
    mask, prompt = mask_prompt((40, 36, 9, 1))
    result = robot.call(srv.PromptObject, "sam2/prompt", prompt=prompt).result
    masklet = result.masklet
    assert result.accepted and np.array_equal(rle.decode(masklet.mask.counts, *SIZE), mask)
    assert masklet.present and masklet.presence > 0.99 and (masklet.box.width, masklet.box.height) == (9, 1)
    robot.show(1, picture(1, LARGE))
    _, prompt = mask_prompt((40, 36, 1, 2), size=LARGE)
    refused = robot.call(srv.PromptObject, "sam2/prompt", prompt=prompt).result
    assert not refused.accepted and "too few for the network to hold: in images of 640 x 480" in refused.message


def test_memory_bank_keeps_at_most_prompted_memories(graph: Graph, robot: Robot, checkpoint: Path) -> None:
    node = graph.sam2(checkpoint=str(checkpoint), prompted_memories=2)
    robot.wait_until_connected()
    for index in range(4):
        robot.show(index)
        prompt = msg.Prompt(object_id=1, clicks=CLICK.clicks)
        assert robot.call(srv.PromptObject, "sam2/prompt", header=header_of(index), prompt=prompt).result.accepted
    remembered = node.cameras[0].stream.call(lambda tracker: list(tracker.objects[1].bank.prompted)).result()
    assert remembered == [0, 3]
