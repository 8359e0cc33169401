"""What `pixels` does for every image, as CUDA graphs."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sam2_ros.model.config import SAM2Config
from sam2_ros.model.recording import SHAPES, Recording
from sam2_ros.tracking import pixels


class GraphedPixels:
    """Stands in for the module `pixels`, where images and masks change their size on a CUDA GPU.

    Some fifty small operations become two calls. They are recorded when the first image of a size comes.

    Args:
        objects: at most; more go without.
    """

    def __init__(self, objects: int) -> None:
        self._counts = [*(2**i for i in range(16) if 2**i < objects), objects]
        self._images: dict[tuple[int, ...], _Upload] = {}
        self._masks: dict[tuple[int, ...], _Download] = {}

    def to_network(self, image: np.ndarray, config: SAM2Config, device: torch.device) -> Tensor:
        """As `pixels.to_network`; it is overwritten by the next one of the same size."""
        height, width = pixels.checked(image).shape[:2]
        shape = config.shape(height, width)
        key = height, width, *shape
        if key not in self._images:
            _make_room(self._images, SHAPES)
            self._images[key] = _Upload(height, width, shape, device)
        return self._images[key](image)

    def to_masks(self, logits: Tensor, height: int, width: int, non_overlap: bool = False) -> np.ndarray:
        """As `pixels.to_masks`."""
        count = next((count for count in self._counts if count >= len(logits)), None)
        if count is None or not len(logits):
            return pixels.to_masks(logits, height, width, non_overlap)
        key = count, *logits.shape[1:], height, width
        if key not in self._masks:
            _make_room(self._masks, SHAPES * len(self._counts))
            self._masks[key] = _Download(count, logits, height, width)
        return self._masks[key](logits, non_overlap)


def _make_room(recordings: dict, most: int) -> None:
    while len(recordings) >= most:
        del recordings[next(iter(recordings))]


class _Upload:
    """Of images of one size."""

    def __init__(self, height: int, width: int, shape: tuple[int, int], device: torch.device) -> None:
        self._pinned = torch.zeros(height, width, 3, dtype=torch.uint8, pin_memory=device.type == "cuda")
        self._taken = torch.cuda.Event()
        self._recording = Recording(lambda image: pixels.resized(image, shape), (self._pinned.to(device),))

    def __call__(self, image: np.ndarray) -> Tensor:
        self._taken.synchronize()  # the last one may still be on its way
        self._pinned.numpy()[...] = image
        self._recording.inputs[0].copy_(self._pinned, non_blocking=True)
        self._taken.record(torch.cuda.current_stream(self._recording.inputs[0].device))
        return self._recording()


class _Download:
    """Of the masks of up to so many objects, on images of one size."""

    def __init__(self, count: int, logits: Tensor, height: int, width: int) -> None:
        self._pinned = torch.zeros(count, height, width, dtype=torch.bool, pin_memory=logits.is_cuda)
        room = logits.new_full((count, *logits.shape[1:]), -1.0)
        self._recording = Recording(lambda logits: pixels.cut(logits, height, width), (room,))

    def __call__(self, logits: Tensor, non_overlap: bool) -> np.ndarray:
        n = len(logits)
        self._recording.inputs[0][:n] = logits
        scaled, masks = self._recording()
        self._pinned[:n].copy_(masks[:n])
        found = self._pinned[:n].numpy().copy()
        return pixels.settled(found, scaled[:n]) if non_overlap else found
