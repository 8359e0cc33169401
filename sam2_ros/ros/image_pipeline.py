"""The pipeline from the image queue to the tracker: decodes and encodes images, optionally one ahead."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from sam2_ros.data.image_message import ImageDecoder
from sam2_ros.ros.image_queue import ArrivedImage, ImageQueue
from sam2_ros.tracking.encoded_image import EncodedImage


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """A decoded image with its features, which do not depend on the tracked objects."""

    arrived: ArrivedImage
    pixels: np.ndarray
    """uint8 [H, W, 3] RGB."""
    encoded: EncodedImage

    @property
    def stamp(self) -> int:
        """Stamp of the image, ns."""
        return self.arrived.stamp


class ImagePipeline:
    """Decodes and encodes the images of a queue in order. Thread-safe, except that only one thread may call `next`.

    Args:
        decoder: decodes image messages.
        encode: computes the features of uint8 [H, W, 3] RGB.
        ahead: encode the next image in another thread while the current one is processed.
    """

    def __init__(
        self,
        queue: ImageQueue,
        decoder: ImageDecoder,
        encode: Callable[[np.ndarray], EncodedImage],
        ahead: bool = False,
    ) -> None:
        self._queue = queue
        self._decoder = decoder
        self._encode = encode
        # PyTorch works with as many cores in this thread as in the tracker's: with fewer, the features' last bits would
        # depend on when an image came.
        self._encoder = ThreadPoolExecutor(1, "encoder") if ahead else None
        self._lock = threading.Lock()
        self._ahead: tuple[ArrivedImage, Future[PreparedImage]] | None = None
        self._processing = False

    def __len__(self) -> int:
        """Number of waiting images, including the one that is encoded ahead."""
        with self._lock:
            return len(self._queue) + (self._ahead is not None)

    @property
    def stamps(self) -> tuple[int, ...]:
        """Stamps of the waiting images in order, ns."""
        with self._lock:
            ahead = [self._ahead[0]] if self._ahead is not None else []
            return tuple(image.stamp for image in (*ahead, *self._queue.waiting()))

    def put(self, image: ArrivedImage) -> ArrivedImage | None:
        """Add an image. Returns the dropped image, if any, which may be the new one."""
        with self._lock:
            dropped = self._queue.put(image)
            self._begin_next()
            return dropped

    def next(self) -> PreparedImage | None:
        """Take the next image; None: none is waiting. It counts as being processed until `idle` or the next call.

        Raises:
            ImageError: the image cannot be decoded.
        """
        with self._lock:
            ahead, self._ahead = self._ahead, None
            arrived = self._queue.take() if ahead is None else None
            self._processing = ahead is not None or arrived is not None
        if ahead is not None:
            try:
                image = ahead[1].result()
            finally:  # an error's traceback refers to this call, and so to the future that has the error: a circle
                ahead = None
        elif arrived is not None:
            image = self._prepare(arrived)
        else:
            return None
        with self._lock:
            self._begin_next()
        return image

    def idle(self) -> None:
        """Note that no image is being processed: the next one is encoded on demand."""
        with self._lock:
            self._processing = False

    def clear(self) -> None:
        """Drop all images."""
        with self._lock:
            self._queue.clear()
            self._ahead = None

    def close(self) -> None:
        """End the encoder's thread."""
        if self._encoder is not None:
            self._encoder.shutdown()

    def _begin_next(self) -> None:
        """Begin to encode the next image while another is processed. The lock is held."""
        if self._encoder is None or not self._processing or self._ahead is not None:
            return
        if (image := self._queue.take()) is not None:
            self._ahead = image, self._encoder.submit(self._prepare, image)

    def _prepare(self, arrived: ArrivedImage) -> PreparedImage:
        pixels = self._decoder.to_rgb(arrived.message)
        return PreparedImage(arrived, pixels, self._encode(pixels))
