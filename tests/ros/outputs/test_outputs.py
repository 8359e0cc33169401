"""All outputs of the node, with its network, for one image."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
from robot import CLICK, SIZE, Graph, Robot, header_of
from sensor_msgs.msg import Image

from sam2_ros import srv
from sam2_ros.tracking import rle
from sam2_ros.tracking.object_colours import colour


def test_all_outputs_show_the_same_mask(vision: ModuleType, graph: Graph, robot: Robot, checkpoint: Path) -> None:
    node = graph.sam2(checkpoint=str(checkpoint), publish_masks=True)
    detections = robot.listen(vision.Detection2DArray, "sam2/detections_2d")
    labels, colours = robot.listen(Image, "sam2/labels"), robot.listen(Image, "sam2/labels/color")
    robot.wait_until_connected()
    robot.show(0)
    robot.prompt(CLICK)
    robot.show(1)
    masks = robot.listen(Image, "sam2/masks/object_1")
    of_objects = node.cameras[0].outputs.masks._publishers
    robot.wait_for(lambda: 1 in of_objects and of_objects[1].get_subscription_count(), "for the subscription")
    (masklet,) = robot.show(2).masklets
    pictures = (detections, labels, colours, masks)
    robot.wait_for(lambda: all(each and each[-1].header == header_of(2) for each in pictures), "for the outputs")

    mask = rle.decode(masklet.mask.counts, *SIZE)
    assert np.array_equal(np.reshape(masks[-1].data, SIZE) > 0, mask)
    assert np.array_equal(np.frombuffer(labels[-1].data, "<u2").reshape(SIZE) == 1, mask)
    assert np.array_equal(np.all(np.reshape(colours[-1].data, (*SIZE, 3)) == colour(1), axis=2), mask)
    (detection,) = detections[-1].detections
    box, centre = masklet.box, detection.bbox.center.position
    assert (detection.bbox.size_x, detection.bbox.size_y) == (box.width, box.height)
    assert (centre.x - box.width / 2, centre.y - box.height / 2) == (box.x_offset, box.y_offset)
    assert np.isclose(detection.results[0].hypothesis.score, masklet.presence)

    assert robot.call(srv.RemoveObject, "sam2/remove", object_id=1).success
    robot.show(3)
    robot.wait_for(lambda: detections[-1].header == header_of(3) and not of_objects, "for the next image")
    assert not detections[-1].detections

    robot.prompt(CLICK)
    robot.show(4)
    robot.wait_for(lambda: 2 in of_objects, "for the topic of the new object")
    node.trigger_deactivate()
    node.trigger_cleanup()
    assert not of_objects
