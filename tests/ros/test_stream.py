"""Images and prompts in, masklets and answers out."""

from __future__ import annotations

import numpy as np
from robot import SIZE, Robot, header_of

from sam2_ros import msg
from sam2_ros.tracking import rle


def mask_of(masklet: msg.Masklet) -> np.ndarray:
    return rle.decode(np.array(masklet.mask.counts), masklet.mask.height, masklet.mask.width)


def test_every_image_is_answered_also_without_objects(robot: Robot, sam2) -> None:
    for index in range(3):
        answer = robot.show(index)
        assert answer == msg.MaskletArray(header=header_of(index), height=SIZE[0], width=SIZE[1])
