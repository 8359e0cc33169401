"""The `camera` node: plays a video, a folder of images or a webcam like a camera driver."""

from __future__ import annotations

from sam2_ros.requirements import require

if __name__ == "__main__":
    require("camera")  # before the imports that would fail

import array
import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import rclpy
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.task import Future
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from sam2_ros.command_line import CommandParser
from sam2_ros.data.clips import ClipError
from sam2_ros.data.images import image_files, read_image
from sam2_ros.data.video_reader import VideoReader
from sam2_ros.msg import MaskletArray
from sam2_ros.ros import parameter_files, process
from sam2_ros.ros.declaration import declare
from sam2_ros.ros.images import to_jpeg, to_message
from sam2_ros.ros.parameters import CAMERA_PARAMETERS
from sam2_ros.ros.stamps import nanoseconds

DESCRIPTION = "Plays a video, a folder of images or a webcam like a camera driver, on the topic `image`."
EXAMPLES = """
%(prog)s --ros-args -p source:=clip.mp4 -r image:=/camera/image_raw
%(prog)s --ros-args -p source:=/dev/video0
"""
DEFAULT_RATE = 30.0
"""Images per second of a source without a rate of its own."""

RESEND_AFTER = 5.0
"""Seconds until an image without masklets is sent again, the first time; the wait doubles each time."""


class SourceError(ValueError):
    """A source that cannot be played; the message says why."""


class Source:
    """Images from a file, a folder or a webcam.

    Args:
        name: a video file, a folder of images, the number of a webcam or its device, or an address (rtsp://...).

    Raises:
        SourceError: the source does not exist or cannot be read.
    """

    def __init__(self, name: str) -> None:
        if not name:
            raise SourceError("no source is given: a video file, a folder of images, or the number of a webcam")
        self.name = name
        path = Path(name).expanduser()
        self._capture: cv2.VideoCapture | None = None
        self._files: list[Path] = []
        self._video: VideoReader | None = None
        self.live = name.isdecimal() or name.startswith("/dev/") or "://" in name
        """Whether the source is endless and has its own rate, like a webcam."""
        rate = 0.0
        try:
            if self.live:
                self._capture = cv2.VideoCapture(int(name) if name.isdecimal() else name)
                if not self._capture.isOpened():
                    raise SourceError(f"{name} cannot be opened as a camera")
                rate = self._capture.get(cv2.CAP_PROP_FPS)
            elif not path.exists():
                raise SourceError(f"{path}: no such file or folder")
            elif path.is_dir():
                self._files = image_files(path)
            else:
                self._video = VideoReader(path, fallback_fps=DEFAULT_RATE)
                rate = self._video.fps
        except (OSError, ValueError, ImportError) as error:
            raise SourceError(str(error)) from error
        self.rate = rate if 0 < rate < 1000 else DEFAULT_RATE
        """Images per second."""

    def images(self) -> Iterator[np.ndarray]:
        """The images in order, uint8 [H, W, 3] BGR, or uint16 [H, W] from 16-bit infrared files.

        Raises:
            SourceError: an image cannot be read, or a camera has no more.
        """
        if self._capture is not None:
            count = 0
            while (read := self._capture.read())[0]:
                yield read[1]
                count += 1
            raise SourceError(f"{self.name} gives no {'more ' if count else ''}images")
        try:
            for file in self._files:
                yield _read_bgr(file)
            if self._video is not None:
                self._video.rewind()
                for image in self._video:
                    yield cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        except ValueError as error:
            raise SourceError(str(error)) from error

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
        if self._video is not None:
            self._video.close()


def _read_bgr(file: Path) -> np.ndarray:
    """uint8 [H, W, 3] BGR, or uint16 [H, W]. Raises ClipError."""
    try:
        return cv2.cvtColor(read_image(file), cv2.COLOR_RGB2BGR)
    except ClipError:
        image = cv2.imread(str(file), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
        if image is None or image.dtype != np.uint16:
            raise
        return image if image.ndim == 2 else (image >> 8).astype(np.uint8)


class CameraNode(Node):
    """Publishes the images of a source, stamped with the time at which they are sent.

    `finished` is done after the last image; its result is the number of images, or it raises `SourceError`.

    Raises:
        SourceError: the source cannot be played.
        ValueError: a parameter is not accepted.
    """

    def __init__(self, **kwargs) -> None:
        super().__init__("camera", **kwargs)
        declare(self, CAMERA_PARAMETERS)
        self._rate: float = self._value("rate")
        self._loop: bool = self._value("loop")
        self._wait_for_masklets: bool = self._value("wait_for_masklets")
        self._wait_for_subscribers: int = self._value("wait_for_subscribers")
        self._frame_id = str(self._value("frame_id"))
        parameter_files.warn_of_unused(self, sys.argv)

        self._source = Source(str(self._value("source")))
        self.finished: Future = Future()
        self._stop = threading.Event()
        self._raw = self._publisher(Image, "image")
        self._jpeg = self._publisher(CompressedImage, "image/compressed")
        self._consumed: dict[int, threading.Event] = {}  # by stamp, ns; set when masklets with that stamp arrive
        if self._wait_for_masklets:
            self.create_subscription(MaskletArray, "masklets", self._on_masklets, 10)
        for line in parameter_files.unused_qos(self):
            self.get_logger().warning(line)
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    def destroy_node(self) -> None:
        self._stop.set()
        self._thread.join()
        self._source.close()
        super().destroy_node()

    def _value(self, parameter: str):
        return self.get_parameter(parameter).value

    def _publisher(self, kind: type, topic: str) -> Publisher:
        # As camera drivers do. To lose no image: qos_overrides.<topic>.publisher.reliability reliable, on both ends.
        qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
        return self.create_publisher(
            kind, topic, qos, qos_overriding_options=QoSOverridingOptions.with_default_policies()
        )

    def _run(self) -> None:
        try:
            count = self._play()
            for publisher in (self._raw, self._jpeg):
                publisher.wait_for_all_acked(Duration(seconds=RESEND_AFTER))  # where it is reliable
        except Exception as error:
            if self.context.ok():
                self.finished.set_exception(error)
            else:  # Ctrl-C makes rclpy close the publishers while an image is being sent
                self.finished.cancel()
        else:
            self.finished.set_result(count)

    def _play(self) -> int:
        """Plays the source to its end or until `_stop` is set. Returns the number of images."""
        while self._subscribers() < self._wait_for_subscribers:
            self.get_logger().info("Waiting for subscribers", once=True)
            if self._stop.wait(0.02):
                return 0
        period = 1 / (self._rate or self._source.rate)
        self.get_logger().info(
            f"Playing {self._source.name} "
            + ("at the rate of masklets" if self._wait_for_masklets else f"at {1 / period:.4g} images per second")
        )
        count, due = 0, time.monotonic()
        while True:
            for image in self._source.images():
                if self._stop.is_set():
                    return count
                self._send(image)
                count += 1
                if not self._wait_for_masklets and not (self._source.live and not self._rate):
                    due = max(due + period, time.monotonic() - period)  # late: do not hurry to catch up
                    self._stop.wait(due - time.monotonic())
            if not self._loop:
                self.get_logger().info(f"End of {self._source.name}, {count} images")
                return count

    def _send(self, image: np.ndarray) -> None:
        header = Header(stamp=self.get_clock().now().to_msg(), frame_id=self._frame_id)
        consumed = self._consumed[nanoseconds(header.stamp)] = threading.Event()
        timeout = RESEND_AFTER
        while True:
            if self._raw.get_subscription_count():
                self._raw.publish(to_message(image, "bgr8" if image.ndim == 3 else "mono16", header))
            if self._jpeg.get_subscription_count():
                self._jpeg.publish(to_jpeg(image, header) if image.ndim == 3 else _to_png(image, header))
            if not self._wait_for_masklets or self._wait_until_consumed(consumed, timeout):
                break
            self.get_logger().warning(f"No masklets for an image in {timeout:g} s, sending it again")
            timeout *= 2
        self._consumed.clear()

    def _wait_until_consumed(self, consumed: threading.Event, timeout: float) -> bool:
        """Waits for masklets, or until `_stop` is set. Returns False after the timeout."""
        deadline = time.monotonic() + timeout
        while not consumed.wait(0.1):
            if self._stop.is_set():
                return True
            if time.monotonic() > deadline:
                return False
        return True

    def _on_masklets(self, message: MaskletArray) -> None:
        if (consumed := self._consumed.get(nanoseconds(message.header.stamp))) is not None:
            consumed.set()

    def _subscribers(self) -> int:
        return self._raw.get_subscription_count() + self._jpeg.get_subscription_count()


def _to_png(image: np.ndarray, header: Header) -> CompressedImage:
    """A CompressedImage message from uint16 [H, W], which a JPEG cannot hold."""
    data = cv2.imencode(".png", image)[1].tobytes()
    return CompressedImage(header=header, format="mono16; png compressed mono16", data=array.array("B", data))


def main() -> int:
    names = ", ".join(spec.name for spec in CAMERA_PARAMETERS)
    parameters = f"Parameters are given as --ros-args -p NAME:=VALUE: {names}. docs/parameters.md describes them."
    usage = "%(prog)s [-h] [--ros-args -p source:=FILE -p NAME:=VALUE ...]"
    parser = CommandParser("sam2_ros.ros.camera", f"{DESCRIPTION}\n\n{parameters}", EXAMPLES, usage)
    parser.parse_args(process.own_arguments("camera"))
    return process.run("camera", _run)


def _run() -> int:
    try:
        node = CameraNode()
    except Exception as error:  # no such file, a parameter of the wrong type or out of range
        if rclpy.ok():  # otherwise a signal has arrived in the meantime
            print(f"camera: {error}", file=sys.stderr)
            return 1
        return 0
    with contextlib.suppress(ExternalShutdownException):
        rclpy.spin_until_future_complete(node, node.finished)
    status = 0
    if node.finished.done() and node.finished.exception() is not None:
        print(f"camera: {node.finished.exception()}", file=sys.stderr)
        status = 1
    node.destroy_node()
    return status


if __name__ == "__main__":
    sys.exit(main())
