"""The step of a stream as CUDA graphs: hundreds of kernels, launched by one call."""

from __future__ import annotations

import logging
from dataclasses import replace
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from sam2_ros.acceleration.cuda.recording import SHAPES, Recording, counts_up_to
from sam2_ros.acceleration.cuda.tf32 import rounding_as_well
from sam2_ros.acceleration.inference import Inference
from sam2_ros.acceleration.network import joined
from sam2_ros.model.layers import in_float32
from sam2_ros.model.sam2 import SAM2, Decoded, ImageFeatures, Memories

log = logging.getLogger("sam2_ros")


class GraphedNetwork:
    """A `Network` that records and replays the work on every image; the work on prompts runs eagerly.

    All shapes in a graph are fixed. So there is one for 1, 2, 4 ... objects, each with room for as many memories as a
    `MemoryBank` ever recalls. Unused rows and memories are marked as invalid, and attention leaves them out. Everything
    is recorded in `warm_up`, or for the first image of a new shape: nothing when objects come and go. Shapes that
    cannot be recorded run eagerly. After the weights have changed, everything is recorded again.

    Args:
        network: on a CUDA GPU.
        objects: maximum number; with more, and with more than `MAX_OBJECTS`, the network runs eagerly.
        maps, pointers: the most memories and object pointers of one object.
    """

    def __init__(self, network: Inference, objects: int, maps: int, pointers: int) -> None:
        self.network = network
        self.choice = replace(network.choice, graphs=True)
        self.config = network.config
        self.device = network.device
        self.missing_weights = network.missing_weights
        self._counts = counts_up_to(objects)
        self._room = maps, pointers
        self._shapes: dict[tuple[int, int], _Graphs | None] = {}
        self._choosing = Lock()  # images are encoded in one thread, objects tracked in another

    def encode_image(self, image: Tensor) -> ImageFeatures:
        if len(image) > 1:  # one image is recorded
            return joined([self.encode_image(one) for one in image.split(1)])
        height, width = image.shape[2:]
        with self._choosing:
            if self.network.follow_weights():  # graphs read values computed from the old weights
                self._shapes.clear()
        graphs = self._graphs(height, width)
        return self.network.encode_image(image) if graphs is None else graphs.encode(image)

    def condition(self, features: ImageFeatures, memories: Memories | None) -> Tensor:
        return self.network.condition(features, memories)

    def decode(self, *args: Any, **kwargs: Any) -> Decoded:
        return self.network.decode(*args, **kwargs)

    def decode_mask(self, features: ImageFeatures, mask: Tensor) -> Decoded:
        return self.network.decode_mask(features, mask)

    def encode_memory(
        self, features: ImageFeatures, mask_logits: Tensor, presence_logit: Tensor, prompted: bool | Tensor
    ) -> Tensor:
        return self.network.encode_memory(features, mask_logits, presence_logit, prompted)

    def track(self, features: ImageFeatures, memories: Memories) -> tuple[Decoded, Tensor]:
        rows, columns = features.stride16.shape[2:]
        graphs = self._graphs(16 * rows, 16 * columns)
        steps = {} if graphs is None else graphs.steps
        step = next((step for count, step in steps.items() if count >= len(memories.maps)), None)
        return self.network.track(features, memories) if step is None else step(features, memories)

    def warm_up(self) -> None:
        """Record the shapes that are likely before any image has come: of cameras with 4:3 and 16:9, or the only shape.

        Raises:
            RuntimeError: it cannot be recorded.
        """
        for height, width in {self.config.shape(3, 4), self.config.shape(9, 16)}:
            if self._graphs(height, width) is None:
                raise RuntimeError("no CUDA graphs can be recorded, the log says why; accelerate=False needs none")

    @torch.no_grad()
    def _graphs(self, height: int, width: int) -> _Graphs | None:
        with self._choosing:
            if (height, width) in self._shapes:
                graphs = self._shapes.pop((height, width))
            else:
                while len(self._shapes) >= SHAPES:
                    del self._shapes[next(iter(self._shapes))]
                graphs = self._record(height, width)
            self._shapes[height, width] = graphs  # in order of their last use
            return graphs

    def _record(self, height: int, width: int) -> _Graphs | None:
        try:
            # An eighth of bfloat16's rounding; float16 rounds no more than that, so float32 stays unrounded beside it.
            coarse = self.choice.dtype == torch.bfloat16
            with rounding_as_well(coarse):
                return _Graphs(self.network, height, width, self._counts, self._room)
        except Exception as error:  # Triton's errors have no common class
            torch.cuda.empty_cache()
            log.warning("images of %dx%d run without CUDA graphs, which is slower: %s", width, height, error)
            return None


class _Graphs:
    """Recordings for images of one shape."""

    def __init__(self, network: Inference, height: int, width: int, counts: list[int], room: tuple[int, int]) -> None:
        image = torch.zeros(1, 3, height, width, device=network.device)
        self._tables = _tables(network.model, height, width, image)  # graphs read them for as long as they live
        self._image = Recording(network.encode_image, (image,))
        features = self._image.outputs
        self.steps: dict[int, _Step] = {}
        pool = torch.cuda.graph_pool_handle()  # outputs are copied at once, so all may use the same memory
        for count in sorted(counts, reverse=True):
            try:
                self.steps[count] = _Step(network, features, count, room, pool)
            except torch.OutOfMemoryError:
                torch.cuda.empty_cache()
                log.warning("too little GPU memory for a CUDA graph of %d objects: so many run without one", count)
        self.steps = dict(sorted(self.steps.items()))

    def encode(self, image: Tensor) -> ImageFeatures:
        self._image.inputs[0].copy_(image)
        return ImageFeatures(**{name: x.clone() for name, x in vars(self._image()).items()})


def _tables(model: SAM2, height: int, width: int, like: Tensor) -> list[Tensor]:
    """Position encodings that a twin caches for a size of image, and may drop when other sizes come."""
    grid = height // 16, width // 16
    with in_float32(like):
        return [
            model.image_encoder.trunk.position(height // 4, width // 4),
            *(model.position(*grid, channels) for channels in (model.config.dim, model.config.memory_dim)),
            model.memory_attention.rotation(*grid),
            model.sam_prompt_encoder.pe_layer.grid(*grid),
        ]


class _Step:
    """Tracking of up to `count` objects on an image of one shape."""

    def __init__(
        self,
        network: Inference,
        features: ImageFeatures,
        count: int,
        room: tuple[int, int],
        pool: tuple[int, int],
    ) -> None:
        device = network.device
        decoded = network.decode(network.condition(features, None), features)  # in the types of memories
        map = network.encode_memory(features, decoded.mask_logits, decoded.presence_logit, prompted=False)
        maps, pointers = room
        channels, *grid = map.shape[1:]
        self._memories = Memories(
            map.new_zeros(count, maps, *grid, channels).movedim(-1, 2),  # in the memory bank's layout
            torch.ones(count, maps, dtype=torch.int64, device=device),
            decoded.pointer.new_zeros(count, pointers, network.config.dim),
            torch.ones(count, pointers, dtype=torch.int64, device=device),
            torch.ones(count, maps, dtype=torch.bool, device=device),
            torch.ones(count, pointers, dtype=torch.bool, device=device),
        )
        self._features = ImageFeatures(**{name: torch.empty_like(x).copy_(x) for name, x in vars(features).items()})
        self._recorded = Recording(network.track, (self._features, self._memories), pool)

    def __call__(self, features: ImageFeatures, memories: Memories) -> tuple[Decoded, Tensor]:
        for name, x in vars(self._features).items():
            x.copy_(getattr(features, name))
        ours = self._memories
        _fill(ours.maps, ours.map_age, ours.map_valid, memories.maps, memories.map_age, memories.map_valid)
        _fill(
            *(ours.pointers, ours.pointer_age, ours.pointer_valid),
            *(memories.pointers, memories.pointer_age, memories.pointer_valid),
        )
        n = len(memories.maps)
        ours.map_valid[n:, :1] = True  # attention over no memory at all would give NaN in unused rows
        decoded, maps = self._recorded()
        return Decoded(**{name: x[:n].clone() for name, x in vars(decoded).items()}), maps[:n].clone()


def _fill(
    values: Tensor, ages: Tensor, valid: Tensor, memories: Tensor, memory_ages: Tensor, memory_valid: Tensor | None
) -> None:
    """Copy memories [N, M, ...] to the first rows and columns of a larger buffer, and mark them as valid."""
    n, m = memory_ages.shape
    values[:n, :m].copy_(memories)
    ages[:n, :m].copy_(memory_ages)
    valid.zero_()
    valid[:n, :m] = True if memory_valid is None else memory_valid
