"""The `sam2` node, which times what happens to each image inside: python watched_node.py FILE [--ros-args ...]

Each line of FILE is the JSON of one image: seconds of the wall's clock and of the thread's, by stage, as `latency.py`
reads them.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the node does

import functools
import gc
import json
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from sam2_ros import msg
from sam2_ros.acceleration import Network
from sam2_ros.data.image_message import ImageDecoder
from sam2_ros.ros import masklets, node
from sam2_ros.ros.stamps import nanoseconds
from sam2_ros.tracking import pixels, rle, tracker

NETWORK = "network"
HAND_OVER = "callback to the tracker's thread"
PUBLISH = "publish"
COLLECTIONS = "garbage collections, in any stage"
"""They also count towards the stage that they interrupt."""
STAGES = (
    HAND_OVER,
    "message to pixels",
    "resize, normalise",
    "objects, history",
    "logits to masks",
    "masklets",
    "messages, boxes",
    "run lengths",
    PUBLISH,
    "rest",
)
CALLS = ("encode_image", "condition", "decode", "decode_mask", "encode_memory", "track")


class Watch:
    """Times stages from the callback of an image to the return of the publisher of its masklets.

    A stage inside another does not count towards the outer one. An image that comes while another is in the node waits
    for it, so it is not measured.

    Args:
        write: called with the measurements of each image.
    """

    def __init__(self, write: Callable[[dict[str, Any]], None]) -> None:
        self._write = write
        self._wall: dict[str, float] = defaultdict(float)
        self._thread: dict[str, float] = defaultdict(float)
        self._inner = threading.local()  # seconds of the stages inside the running one
        self._inside: list[int] = []  # stamps of the images that have come and are not yet answered
        self._measured = 0
        self._began = 0.0
        self._collection = 0.0
        gc.callbacks.append(self._on_collection)

    def begin(self, stamp: int) -> None:
        """The callback of an image begins."""
        if not self._inside:
            self._wall.clear()
            self._thread.clear()
            self._measured, self._began = stamp, time.perf_counter()
        self._inside.append(stamp)

    def taken(self) -> None:
        """The tracker's thread has taken the image."""
        self._wall.setdefault(HAND_OVER, time.perf_counter() - self._began)

    def end(self, stamp: int, objects: int) -> None:
        """The masklets of an image are published; older images are not inside any more either."""
        if stamp == self._measured:
            wall = {**self._wall, "all": time.perf_counter() - self._began}
            late = len(self._inside) - 1
            self._write({"objects": objects, "late": late, "wall": wall, "thread": dict(self._thread)})
        self._inside = [inside for inside in self._inside if inside > stamp]

    def timed(self, function: Callable, stage: str) -> Callable:
        """The function, which counts towards a stage."""

        @functools.wraps(function)
        def watched(*arguments: Any, **named: Any) -> Any:
            outer = getattr(self._inner, "seconds", (0.0, 0.0))
            self._inner.seconds = (0.0, 0.0)
            wall, thread = time.perf_counter(), time.thread_time()
            try:
                return function(*arguments, **named)
            finally:
                wall, thread = time.perf_counter() - wall, time.thread_time() - thread
                inside = self._inner.seconds
                self._wall[stage] += wall - inside[0]
                self._thread[stage] += thread - inside[1]
                self._inner.seconds = outer[0] + wall, outer[1] + thread

        return watched

    def _on_collection(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._collection = time.perf_counter()
        else:
            self._wall[COLLECTIONS] += time.perf_counter() - self._collection


class TimedNetwork:
    """A network whose functions count as `NETWORK`."""

    def __init__(self, network: Network, watch: Watch) -> None:
        self._network = network
        for name in CALLS:
            setattr(self, name, watch.timed(getattr(network, name), NETWORK))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)


class WatchedNode(node.Sam2Node):
    """The node, whose image callback and publisher of masklets are watched."""

    watch: Watch

    def create_subscription(self, kind: type, topic: str, callback: Callable, *arguments: Any, **named: Any) -> Any:
        def on_image(message: Any) -> None:
            self.watch.begin(nanoseconds(message.header.stamp))
            callback(message)

        watched = on_image if kind.__name__ == "Image" and "image" in topic else callback
        return super().create_subscription(kind, topic, watched, *arguments, **named)

    def create_lifecycle_publisher(self, kind: type, *arguments: Any, **named: Any) -> Any:
        publisher = super().create_lifecycle_publisher(kind, *arguments, **named)
        if kind is msg.MaskletArray:
            publish = self.watch.timed(publisher.publish, PUBLISH)

            def watched(message: msg.MaskletArray) -> None:
                publish(message)
                self.watch.end(nanoseconds(message.header.stamp), sum(masklet.present for masklet in message.masklets))

            publisher.publish = watched
        return publisher


def watch_stages(watch: Watch) -> None:
    """Time the stages of all nodes of this process from now on."""
    make = tracker.accelerated
    tracker.accelerated = lambda *arguments: TimedNetwork(make(*arguments), watch)
    to_rgb = watch.timed(ImageDecoder.to_rgb, "message to pixels")

    def taken_to_rgb(self: ImageDecoder, message: Any) -> Any:
        watch.taken()
        return to_rgb(self, message)

    ImageDecoder.to_rgb = taken_to_rgb
    for owner, function, stage in (
        (pixels, "to_network", "resize, normalise"),
        (tracker.Tracker, "step", "objects, history"),
        (pixels, "to_masks", "logits to masks"),
        (tracker, "masklets_of", "masklets"),
        (masklets, "to_array", "messages, boxes"),
        (rle, "encode", "run lengths"),
    ):
        setattr(owner, function, watch.timed(getattr(owner, function), stage))


def main() -> int:
    with open(sys.argv.pop(1), "w") as file:
        WatchedNode.watch = Watch(lambda measured: print(json.dumps(measured), file=file, flush=True))
        watch_stages(WatchedNode.watch)
        node.Sam2Node = WatchedNode
        return node.main()


if __name__ == "__main__":
    sys.exit(main())
