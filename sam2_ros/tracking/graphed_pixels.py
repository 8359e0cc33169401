"""The functions of `pixels` that run for every image, as CUDA graphs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from sam2_ros.acceleration.cuda.recording import SHAPES, Recording, counts_up_to
from sam2_ros.model.config import SAM2Config
from sam2_ros.tracking import pixels

log = logging.getLogger("sam2_ros")


class GraphedPixels:
    """Replacement of the module `pixels` on a CUDA GPU.

    Some fifty small operations become two calls. They are recorded when the first image of a size comes, for up to the
    highest number of masks.

    Args:
        objects: maximum number.
    """

    def __init__(self, objects: int) -> None:
        self._counts = counts_up_to(objects)
        self._sizes: dict[tuple[int, int], _Size | None] = {}

    def to_network(self, image: np.ndarray, config: SAM2Config, device: torch.device) -> Tensor:
        """As `pixels.to_network`; the next image of the same size overwrites the result."""
        height, width = pixels.check_image(image).shape[:2]
        if (height, width) in self._sizes:
            size = self._sizes.pop((height, width))
        else:
            while len(self._sizes) >= SHAPES:
                del self._sizes[next(iter(self._sizes))]
            size = self._record(height, width, config, device)
        self._sizes[height, width] = size  # in order of their last use
        return pixels.to_network(image, config, device) if size is None else size.to_network(image)

    def _record(self, height: int, width: int, config: SAM2Config, device: torch.device) -> _Size | None:
        try:
            return _Size(height, width, config.shape(height, width), self._counts, device)
        except RuntimeError as error:
            log.warning("images of %dx%d are resized without CUDA graphs: %s", width, height, error)
            return None

    def to_masks(
        self,
        logits: Tensor,
        height: int,
        width: int,
        non_overlap: bool = False,
        prompted: Mapping[int, np.ndarray] = pixels.NO_MASKS,
    ) -> np.ndarray:
        """As `pixels.to_masks`."""
        size = self._size_for(logits, height, width)
        if size is None:
            return pixels.to_masks(logits, height, width, non_overlap, prompted)
        scaled, ready = size.begin_masks(logits)
        return pixels.resolve_overlaps(ready(), scaled, non_overlap, prompted)

    def begin_masks(self, logits: Tensor, height: int, width: int) -> Callable[[], np.ndarray]:
        """Begin with `to_masks` and return a function that waits for the masks.

        Call it before the next masks are begun.
        """
        size = self._size_for(logits, height, width)
        if size is None:
            return lambda: pixels.to_masks(logits, height, width)
        return size.begin_masks(logits)[1]

    def _size_for(self, logits: Tensor, height: int, width: int) -> _Size | None:
        size = self._sizes.get((height, width))
        fits = size is not None and 0 < len(logits) <= max(self._counts) and logits.shape[1:] == size.grid
        return size if fits else None


class _Size:
    """Recordings for images of one size, and the masks on them."""

    def __init__(
        self, height: int, width: int, shape: tuple[int, int], counts: list[int], device: torch.device
    ) -> None:
        def to_network(image: Tensor) -> Tensor:
            return pixels.resized(image, shape)

        def to_masks(logits: Tensor) -> tuple[Tensor, Tensor]:
            return pixels.resize_logits(logits, height, width)

        pinned = device.type == "cuda"  # the GPU reads and writes it without the CPU
        self._image = torch.zeros(height, width, 3, dtype=torch.uint8, pin_memory=pinned)
        self._taken, self._found = torch.cuda.Event(), torch.cuda.Event()
        self._to_network = Recording(to_network, (self._image.to(device),))
        self.grid = torch.Size(side // 4 for side in shape)
        self._masks = torch.zeros(counts[-1], height, width, dtype=torch.bool, pin_memory=pinned)
        pool = torch.cuda.graph_pool_handle()  # outputs are copied at once, so that all may use the same memory
        self._to_masks = {
            count: Recording(to_masks, (torch.full((count, *self.grid), -1.0, device=device),), pool)
            for count in reversed(counts)
        }

    def to_network(self, image: np.ndarray) -> Tensor:
        self._taken.synchronize()  # the last copy may still be running
        self._image.numpy()[...] = image
        target = self._to_network.inputs[0]
        target.copy_(self._image, non_blocking=True)
        self._taken.record(torch.cuda.current_stream(target.device))
        return self._to_network()

    def begin_masks(self, logits: Tensor) -> tuple[Tensor, Callable[[], np.ndarray]]:
        """Logits at the image's size, and a function that waits for the masks."""
        n = len(logits)
        recording = self._to_masks[min(count for count in self._to_masks if count >= n)]
        recording.inputs[0][:n] = logits
        scaled, masks = recording()
        self._masks[:n].copy_(masks[:n], non_blocking=True)
        self._found.record(torch.cuda.current_stream(masks.device))

        def ready() -> np.ndarray:
            self._found.synchronize()
            return self._masks[:n].numpy().copy()

        return scaled[:n], ready
