"""A camera and a node that needs no time to think: python played_masklets.py [--rate 20] [--delay 0.04]

Publishes the demo's scene, to and fro, as the images of a camera, and some time after each its true masklets, as the
`sam2` node would: what a subscriber needs can be measured while nothing else works.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from sam2_ros import msg, srv
from sam2_ros.ros import process
from sam2_ros.ros.images import to_message
from sam2_ros.ros.masklets import to_array
from sam2_ros.ros.topics import IMAGE_TOPIC
from sam2_ros.scenes.demo_scene import NAMES, demo_scene
from sam2_ros.tracking.masklet import Frame, Masklet

FRAMES = 46


class PlayedMasklets:
    """The two nodes.

    Args:
        rate: images per second.
        delay: seconds from an image to its masklets.
    """

    def __init__(self, rate: float, delay: float) -> None:
        self.camera, self.sam2 = Node("camera"), Node("sam2")
        self._images = self.camera.create_publisher(Image, "image", qos_profile_sensor_data)
        self._masklets = self.sam2.create_publisher(msg.MaskletArray, "~/masklets", 10)
        self.sam2.create_subscription(Image, "image", lambda image: None, qos_profile_sensor_data)
        self.sam2.create_service(srv.PromptObject, "~/prompt", lambda request, response: response)
        status = DiagnosticStatus(
            level=DiagnosticStatus.OK,
            name=f"{self.sam2.get_fully_qualified_name()}: tracking",
            values=[KeyValue(key=IMAGE_TOPIC, value=self._images.topic_name)],
        )
        diagnostics = self.sam2.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.sam2.create_timer(1.0, lambda: diagnostics.publish(DiagnosticArray(status=[status])))
        self._period, self._delay = 1 / rate, delay
        clip = demo_scene(FRAMES)
        there_and_back = [*range(FRAMES), *range(FRAMES - 2, 0, -1)]
        self._images_to_send = [to_message(clip.frames[index], "rgb8", Header()) for index in there_and_back]
        self._masklets_to_send = [_masklets(clip.masks[index]) for index in there_and_back]

    def play(self) -> None:
        """Until rclpy is shut down."""
        number, due = 0, time.monotonic()
        while rclpy.ok():
            header = Header(stamp=self.camera.get_clock().now().to_msg(), frame_id="camera")
            image = self._images_to_send[number % len(self._images_to_send)]
            masklets = self._masklets_to_send[number % len(self._images_to_send)]
            image.header = masklets.header = header
            self._images.publish(image)
            time.sleep(self._delay)
            self._masklets.publish(masklets)
            number, due = number + 1, due + self._period
            time.sleep(max(due - time.monotonic(), 0))


def _masklets(masks: np.ndarray) -> msg.MaskletArray:
    found = [
        Masklet(object_id, NAMES[object_id], bool(mask.any()), float(mask.any()), 0.9, mask)
        for object_id, mask in zip(NAMES, masks, strict=True)
    ]
    return to_array(Frame(0, *masks.shape[1:], tuple(found)), Header())


def _play(rate: float, delay: float) -> int:
    nodes = PlayedMasklets(rate, delay)
    executor = MultiThreadedExecutor(2)
    for node in (nodes.camera, nodes.sam2):
        executor.add_node(node)
    threading.Thread(target=executor.spin, daemon=True).start()
    nodes.play()
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=20.0, help="images a second")
    parser.add_argument("--delay", type=float, default=0.04, help="seconds from an image to its masklets")
    options = parser.parse_args(process.own_arguments("played_masklets"))
    return process.run("played_masklets", lambda: _play(options.rate, options.delay))


if __name__ == "__main__":
    sys.exit(main())
