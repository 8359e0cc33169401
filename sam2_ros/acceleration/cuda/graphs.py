"""The streaming step as CUDA graphs: hundreds of kernels that a GPU is told to run in one call."""

from __future__ import annotations

import logging
from collections.abc import Hashable
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from sam2_ros.acceleration.cuda.recording import SHAPES, Recording, counts_up_to
from sam2_ros.acceleration.cuda.tf32 import rounding_as_well
from sam2_ros.model.layers import constant_weights
from sam2_ros.model.position import axial_rotation, sine_grid
from sam2_ros.model.sam2 import SAM2, Decoded, ImageFeatures, Memories

log = logging.getLogger("sam2_ros")

GPU = "cuda"
"""The kind of device that has graphs."""


class GraphedSAM2:
    """Stands in for `SAM2` in a `Tracker`: what is done for every image is recorded and replayed, what prompts need is
    not.

    All shapes in a graph are fixed. So there is one for 1, 2, 4 ... objects, each with room for as many memories as a
    `MemoryBank` ever recalls. Rows and memories that are not there are marked as such, and attention leaves them out.
    Everything is recorded in `warm_up`, or when the first image of a shape comes: nothing when objects come and go.
    What cannot be recorded runs as it is.

    Args:
        model: in eval mode, on a CUDA GPU. Its weights must not change.
        objects: at most; with more, and with more than `MOST_OBJECTS`, the model runs as it is.
        maps, pointers: the most that one object remembers.

    Raises:
        TypeError: it is no PyTorch model but, for instance, exported graphs.
        ValueError: it is not on a CUDA GPU.
    """

    def __init__(self, model: SAM2, objects: int, maps: int, pointers: int) -> None:
        if not isinstance(model, SAM2):
            raise TypeError(
                f"{type(model).__name__} has no CUDA graphs, only PyTorch models have; use accelerate='off'"
            )
        if model.device.type != GPU:
            raise ValueError(f"CUDA graphs need a CUDA GPU, and this model is on {model.device}; use accelerate='off'")
        self.model = model
        self.config = model.config
        self._counts = counts_up_to(objects)
        self._room = maps, pointers
        self._shapes: dict[tuple[int, int], _Graphs | None] = {}
        self._choosing = Lock()  # images are encoded in one thread, objects tracked in another
        self._constants: dict[Hashable, object] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def encode_image(self, image: Tensor) -> ImageFeatures:
        """As `SAM2.encode_image`."""
        height, width = image.shape[2:]
        graphs = self._graphs(height, width)
        return self.model.encode_image(image) if graphs is None else graphs.encode(image)

    def track(self, features: ImageFeatures, memories: Memories) -> tuple[Decoded, Tensor]:
        """As `SAM2.track`."""
        rows, columns = features.stride16.shape[2:]
        graphs = self._graphs(16 * rows, 16 * columns)
        steps = {} if graphs is None else graphs.steps
        step = next((step for count, step in steps.items() if count >= len(memories.maps)), None)
        return self.model.track(features, memories) if step is None else step(features, memories)

    def warm_up(self) -> None:
        """Records what can be known before an image is there: shapes of cameras with 4:3 and 16:9, or the only one.

        Raises:
            RuntimeError: it cannot be recorded.
        """
        for height, width in {self.config.shape(3, 4), self.config.shape(9, 16)}:
            if self._graphs(height, width) is None:
                raise RuntimeError("no CUDA graphs can be recorded, the log says why; accelerate off needs none")

    @torch.no_grad()
    def _graphs(self, height: int, width: int) -> _Graphs | None:
        with self._choosing:
            if (height, width) in self._shapes:
                graphs = self._shapes.pop((height, width))
            else:
                while len(self._shapes) >= SHAPES:
                    del self._shapes[next(iter(self._shapes))]
                graphs = self._record(height, width)
            self._shapes[height, width] = graphs  # the last is the one that was used last
            return graphs

    def _record(self, height: int, width: int) -> _Graphs | None:
        try:
            # An eighth of bfloat16's rounding; float16 rounds no more than that, so beside it float32 stays what it is.
            coarse = torch.is_autocast_enabled(GPU) and torch.get_autocast_dtype(GPU) == torch.bfloat16
            with constant_weights(self._constants), rounding_as_well(coarse):
                return _Graphs(self.model, height, width, self._counts, self._room)
        except Exception as error:  # Triton's have no common class
            torch.cuda.empty_cache()
            log.warning("images of %dx%d run without CUDA graphs, which is slower: %s", width, height, error)
            return None


class _Graphs:
    """For images of one shape."""

    def __init__(self, model: SAM2, height: int, width: int, counts: list[int], room: tuple[int, int]) -> None:
        image = torch.zeros(1, 3, height, width, device=model.device)
        self._image = Recording(model.encode_image, (image,))
        features = self._image.outputs
        grid, config = features.stride16.shape[2:], model.config
        self._tables = [  # which are cached elsewhere, and might be let go there
            axial_rotation(*grid, config.dim, model.device),
            *(sine_grid(*grid, dim, model.device) for dim in (config.dim, config.memory_dim)),
        ]
        self.steps: dict[int, _Step] = {}
        pool = torch.cuda.graph_pool_handle()  # what comes out is copied at once, so all may use the same memory
        for count in sorted(counts, reverse=True):
            try:
                self.steps[count] = _Step(model, features, count, room, pool)
            except torch.OutOfMemoryError:
                torch.cuda.empty_cache()
                log.warning("too little GPU memory for a CUDA graph of %d objects: so many run as they are", count)
        self.steps = dict(sorted(self.steps.items()))

    def encode(self, image: Tensor) -> ImageFeatures:
        self._image.inputs[0].copy_(image)
        return ImageFeatures(**{name: x.clone() for name, x in vars(self._image()).items()})


class _Step:
    """Tracking of up to so many objects on an image of one shape."""

    def __init__(
        self,
        model: SAM2,
        features: ImageFeatures,
        count: int,
        room: tuple[int, int],
        pool: tuple[int, int],
    ) -> None:
        device = model.device
        decoded = model.decode(model.without_memory(features), features)  # in the types in which things are remembered
        map = model.encode_memory(features, decoded.mask_logits, decoded.presence_logit, prompted=False)
        maps, pointers = room
        channels, *grid = map.shape[1:]
        self._memories = Memories(
            map.new_zeros(count, maps, *grid, channels).movedim(-1, 2),  # as a bank lays them out
            torch.ones(count, maps, dtype=torch.int64, device=device),
            decoded.pointer.new_zeros(count, pointers, model.config.dim),
            torch.ones(count, pointers, dtype=torch.int64, device=device),
            torch.ones(count, maps, dtype=torch.bool, device=device),
            torch.ones(count, pointers, dtype=torch.bool, device=device),
        )
        self._features = ImageFeatures(**{name: torch.empty_like(x).copy_(x) for name, x in vars(features).items()})
        self._recorded = Recording(model.track, (self._features, self._memories), pool)

    def __call__(self, features: ImageFeatures, memories: Memories) -> tuple[Decoded, Tensor]:
        for name, x in vars(self._features).items():
            x.copy_(getattr(features, name))
        ours = self._memories
        _lay_in(ours.maps, ours.map_age, ours.map_valid, memories.maps, memories.map_age, memories.map_valid)
        _lay_in(
            *(ours.pointers, ours.pointer_age, ours.pointer_valid),
            *(memories.pointers, memories.pointer_age, memories.pointer_valid),
        )
        n = len(memories.maps)
        ours.map_valid[n:, :1] = True  # rows that nobody reads would be the mean of nothing
        decoded, maps = self._recorded()
        return Decoded(**{name: x[:n].clone() for name, x in vars(decoded).items()}), maps[:n].clone()


def _lay_in(
    values: Tensor, ages: Tensor, valid: Tensor, given: Tensor, given_ages: Tensor, given_valid: Tensor | None
) -> None:
    """Puts what is remembered, [N, M, ...], into the first rows and columns of what has room for more."""
    n, m = given_ages.shape
    values[:n, :m].copy_(given)
    ages[:n, :m].copy_(given_ages)
    valid.zero_()
    valid[:n, :m] = True if given_valid is None else given_valid
