"""From masklets and depth to shapes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from sam2_ros.data.compressed_image import ImageError
from sam2_ros.data.depth_message import depth_of
from sam2_ros.geometry.camera import CameraError, CameraModel, same_view
from sam2_ros.geometry.measured_frame import MeasuredFrame
from sam2_ros.ros.configured_stream import ConfiguredStream
from sam2_ros.ros.depth.matcher import DepthMatcher
from sam2_ros.ros.depth.pairs import Depth, WaitingFrame
from sam2_ros.ros.depth.shape_output import ShapeOutput
from sam2_ros.ros.depth.transport import depth_kind, depth_topic
from sam2_ros.ros.excerpt import excerpt
from sam2_ros.ros.log import Log
from sam2_ros.ros.stamps import nanoseconds
from sam2_ros.ros.topics import Topics
from sam2_ros.tracking.masklet import Frame

PATIENCE = 2.0
"""Seconds without a match until a warning: depth may be slower than images, and starts later."""

DEPTH_EVENTS = ("received", "matched", "unmatched", "unusable", "dropped")
"""What is counted: depth images that arrive while they are wanted; images with depth, without, with depth or a
calibration that cannot be used, and those for which there was no time."""

REGISTERED = "publish it registered to the image (RealSense: align_depth.enable:=true; others: depth_image_proc)"


class Measuring:
    """Measures the objects of each image once its depth is there, and gives them to outputs that are wanted.

    A FrameOutput: `publish` only hands the image over, so that masklets are not held up. Active between `open` and
    `close`.
    """

    def __init__(
        self, node: Node, topics: Topics, log: Log, configured: ConfiguredStream, outputs: Sequence[ShapeOutput]
    ) -> None:
        self._node = node
        self._topics = topics
        self._log = log
        self._configured = configured
        self._outputs = outputs
        self._matcher: DepthMatcher | None = None  # while active
        self._info: CameraInfo | None = None
        self._camera: CameraModel | None = None  # the last one, with its rays
        self._good = 0.0  # s of the monotonic clock, when depth was matched last, or not wanted
        self._problem: tuple[float, str] = 0.0, ""  # when it occurred, s of the monotonic clock
        self.note = ""
        """What is strange about the depth that is used; empty: nothing."""

    @property
    def wanted(self) -> bool:
        """Whether an output needs depth."""
        return any(output.wanted for output in self._outputs)

    @property
    def problem(self) -> str:
        """Why nothing can be measured at the moment, with what to do; empty: no problem."""
        when, text = self._problem
        return text if time.monotonic() - when < PATIENCE else ""

    def open(self) -> None:
        """Accept images and depth."""
        self._good = time.monotonic()
        self._matcher = DepthMatcher(self._value("depth_queue_size"), self._tolerance, self._measure)

    def close(self) -> None:
        """Drop what waits."""
        matcher, self._matcher = self._matcher, None
        if matcher is not None:
            matcher.stop()

    def put_info(self, info: CameraInfo) -> None:
        """Use this calibration from now on."""
        self._info = info

    def put_depth(self, stamp: int, data: bytes) -> None:
        """Add a depth image: its stamp in ns, and the serialized message."""
        if (matcher := self._matcher) is not None and self.wanted:
            matcher.put_depth(Depth(stamp, data))
            self._count("received")

    def publish(self, frame: Frame, header: Header, image: np.ndarray) -> None:
        if (matcher := self._matcher) is None:
            return
        now = time.monotonic()
        if not self.wanted:
            self._good = now
            return
        stamp = stamp if (stamp := nanoseconds(header.stamp)) > 0 else frame.stamp
        if matcher.put_frame(WaitingFrame(frame, header, image, stamp, now + self._value("depth_wait"))):
            self._count("dropped")

    # The methods below run in the matcher's thread.

    def _measure(self, waiting: WaitingFrame, depth: Depth | None, nearest: Depth | None) -> None:
        if not self._node.context.ok():  # the process is ending
            return
        try:
            if depth is None:
                self._count("unmatched")
                if time.monotonic() - self._good > PATIENCE:
                    self._warn(self._mismatch(waiting, nearest))
                return
            measured = self._measured(waiting, depth)
            self._count("matched")
            for output in self._outputs:
                if output.wanted:
                    output.publish(measured, waiting.header)
            self._good, self._problem = time.monotonic(), (0.0, "")
        except (CameraError, ImageError) as error:
            self._count("unusable")
            self._warn(str(error))
        except Exception as error:  # go on with the next image after any error
            if self._node.context.ok():
                self._count("unusable")
                self._log.error(f"{type(error).__name__}: {error}", throttle_duration_sec=5.0)

    def _measured(self, waiting: WaitingFrame, depth: Depth) -> MeasuredFrame:
        message = deserialize_message(depth.data, depth_kind(self._node))
        distances = depth_of(message, self._value("max_image_pixels"))
        if (info := self._info) is None:
            raise CameraError("no camera_info has come; remap camera_info to that of the image")
        frame_ids = message.header.frame_id, waiting.header.frame_id
        self.note = ""
        if frame_ids[0] != frame_ids[1]:
            self.note = (
                f"depth is in the frame {excerpt(frame_ids[0], 80)!r}, the image in {excerpt(frame_ids[1], 80)!r}. Only"
                f" depth that is seen from the image's camera fits its pixels: {REGISTERED}"
            )
            self._log.warning("D" + self.note[1:], once=True)
        camera = CameraModel.from_info(info, self._value("image_rectified"))
        size, image_size = distances.shape[::-1], waiting.image.shape[1::-1]
        if not same_view((camera.width, camera.height), image_size):
            raise CameraError(
                f"camera_info is of images of {camera.width} x {camera.height} pixels, and the image has"
                f" {image_size[0]} x {image_size[1]}; remap camera_info to that of the image"
            )
        if not same_view(size, image_size):
            raise CameraError(
                f"the depth image has {size[0]} x {size[1]} pixels, which is no scale of the image's {image_size[0]} x"
                f" {image_size[1]}; {REGISTERED}"
            )
        camera = camera.scaled(*size)
        if self._camera is None or camera != self._camera:
            self._camera = camera
        return MeasuredFrame(waiting.frame, waiting.image, distances, self._camera)

    def _mismatch(self, waiting: WaitingFrame, nearest: Depth | None) -> str:
        """Why an image has no depth."""
        if nearest is not None:
            apart = (nearest.stamp - waiting.stamp) / 1e9
            side = "after" if apart > 0 else "before"
            return (
                f"the depth image nearest to the image has a stamp {abs(apart):.3f} s {side} it, more than"
                " depth_tolerance; synchronise the two, or raise depth_tolerance or depth_queue_size"
            )
        topic = depth_topic(self._node, self._topics)
        if publishers := self._node.get_publishers_info_by_topic(topic):
            types = ", ".join(sorted({info.topic_type for info in publishers}))
            return (
                f"no depth has come on {topic}, where {types} is published: it is silent, or depth_transport is wrong"
            )
        return f"no depth has come on {topic}, which has no publisher: remap depth"

    def _warn(self, text: str) -> None:
        self._problem = time.monotonic(), text
        self._log.warning(f"No points and boxes: {text}", throttle_duration_sec=10.0)

    def _tolerance(self) -> int:
        return round(1e9 * self._value("depth_tolerance"))

    def _count(self, event: str) -> None:
        self._configured.meter.count(f"depth {event}")

    def _value(self, parameter: str) -> Any:
        return self._node.get_parameter(parameter).value
