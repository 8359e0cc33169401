"""The queue of image messages."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field

from sensor_msgs.msg import CompressedImage, Image


@dataclass(frozen=True, eq=False)
class ArrivedImage:
    """An image message and its time of arrival."""

    message: Image | CompressedImage
    stamp: int  # ns
    time: float = field(default_factory=time.monotonic)  # s


class ImageQueue:
    """The queue between a camera and a tracker that may be slower. Thread-safe.

    Args:
        limit: maximum number of waiting images. 1: a new image replaces the waiting one. More: images are kept in
            order, and a new image is dropped if the queue is full.
    """

    def __init__(self, limit: int = 1) -> None:
        self._limit = limit
        self._images: deque[ArrivedImage] = deque()
        self._lock = threading.Lock()

    def put(self, image: ArrivedImage) -> ArrivedImage | None:
        """Add an image. Returns the dropped image, if any, which may be the new one."""
        with self._lock:
            if len(self._images) < self._limit:
                self._images.append(image)
                return None
            if self._limit > 1:
                return image
            dropped = self._images.pop()
            self._images.append(image)
            return dropped

    def take(self) -> ArrivedImage | None:
        """Take the next image; None: the queue is empty."""
        with self._lock:
            return self._images.popleft() if self._images else None

    def clear(self) -> None:
        """Drop all images."""
        with self._lock:
            self._images.clear()

    def __len__(self) -> int:
        return len(self._images)

    @property
    def keeps_all(self) -> bool:
        """Whether every image is processed, rather than only the newest."""
        return self._limit > 1

    def waiting(self) -> list[ArrivedImage]:
        """The waiting images in order."""
        with self._lock:
            return list(self._images)
