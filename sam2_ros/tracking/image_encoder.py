"""The image encoder of one tracker, or of several that share a network."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from sam2_ros.acceleration import Network
from sam2_ros.model.sam2 import ImageFeatures
from sam2_ros.system.fair_lock import FairLock
from sam2_ros.tracking.closer_look import pixels_for
from sam2_ros.tracking.encoded_image import EncodedImage
from sam2_ros.tracking.graphed_pixels import GraphedPixels


class ImageEncoder:
    """Encodes images. Thread-safe; images that wait at the same time are encoded as one batch.

    Args:
        network: computes the features.
        pixels: resizes and normalises: the module `tracking.pixels`, or its replacement on a GPU.
        keep_pixels: images keep what a closer look needs of them.
    """

    def __init__(self, network: Network, pixels: GraphedPixels | ModuleType, keep_pixels: bool = False) -> None:
        self.turn = FairLock()
        """Held while the network encodes. Trackers that shall not compute meanwhile have the same."""
        self._network = network
        self._pixels = pixels
        self._keep_pixels = keep_pixels
        self._guard = threading.Lock()
        self._waiting: list[tuple[np.ndarray, Future[EncodedImage]]] = []

    def encode(self, image: np.ndarray) -> EncodedImage:
        """The features of an image.

        Args:
            image: uint8 [H, W, 3], RGB.

        Raises:
            ValueError: the image is of another type or shape.
        """
        answer: Future[EncodedImage] = Future()
        with self._guard:
            self._waiting.append((image, answer))
        with self.turn:
            if not answer.done():  # otherwise the thread before has encoded it, too
                self._encode_waiting()
        try:
            return answer.result()
        finally:  # as in `_fail`
            del answer

    def _encode_waiting(self) -> None:
        with self._guard:
            waiting, self._waiting = self._waiting, []
        try:
            self._encode_all(waiting)
        except BaseException as error:  # other threads wait for their answers
            for _, answer in waiting:
                if not answer.done():
                    _fail(answer, error)
            raise

    def _encode_all(self, waiting: list[tuple[np.ndarray, Future[EncodedImage]]]) -> None:
        """Encode images; those whose inputs have the same shape in one batch."""
        batches: dict[torch.Size, list[tuple[Tensor, np.ndarray, Future[EncodedImage]]]] = {}
        with torch.no_grad():
            for image, answer in waiting:
                try:
                    network_input = self._pixels.to_network(image, self._network.config, self._network.device)
                except Exception as error:
                    _fail(answer, error)
                else:
                    if len(waiting) > 1 and isinstance(self._pixels, GraphedPixels):
                        network_input = network_input.clone()  # the next image overwrites it
                    batches.setdefault(network_input.shape, []).append((network_input, image, answer))
            for batch in batches.values():
                self._encode_batch(batch)

    def _encode_batch(self, batch: list[tuple[Tensor, np.ndarray, Future[EncodedImage]]]) -> None:
        """Encode inputs [1, 3, h, w] of one shape together; if that fails, one by one."""
        inputs, features = [entry[0] for entry in batch], None
        try:
            features = self._network.encode_image(torch.cat(inputs) if len(inputs) > 1 else inputs[0])
        except Exception as error:  # out of memory, for instance
            if len(batch) == 1:
                _fail(batch[0][2], error)
                return
        if features is None:  # not above: what the failed batch has computed is in memory as long as its error
            for entry in batch:
                self._encode_batch([entry])
            return
        for i, (_, image, answer) in enumerate(batch):
            height, width, _ = image.shape
            own = features if len(batch) == 1 else _one_of(features, i)
            kept = pixels_for(image, self._network.config) if self._keep_pixels else None
            answer.set_result(EncodedImage(height, width, own, kept))


def _fail(answer: Future[EncodedImage], error: BaseException) -> None:
    """Give an error to who waits for an image.

    Without its traceback, which refers to the answer: a circle around the image, and on a GPU around what was computed
    of it, until Python looks for circles. There would be no memory for the next image, either.
    """
    answer.set_exception(error.with_traceback(None))


def _one_of(features: ImageFeatures, i: int) -> ImageFeatures:
    """The features of one image of a batch, as tensors of their own: views would keep all of the batch in memory."""
    return ImageFeatures(**{name: x.clone() for name, x in vars(features[i : i + 1]).items()})
