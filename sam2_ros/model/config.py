"""Configurations of the network.

The released models differ only in their image encoder and, between 2.0 and 2.1, in how memory represents absent objects
and the age of object pointers. The sizes are those of the SAM 2 paper (Ravi et al. 2024,
appendix C) and of the released checkpoints.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Integral

from sam2_ros.model.input_size import IMAGE, MAX_SIDE, STRIDE, nearest_size, parse_aspect

HALVES = ("bfloat16", "float16")


@dataclass(frozen=True)
class HieraConfig:
    """Sizes of the image encoder (Hiera, Ryali et al. 2023; SAM 2 paper, appendix C.1)."""

    embed_dim: int
    """Channels of stage 1; they double at every stage."""
    heads: int
    """Attention heads of stage 1; they double at every stage."""
    blocks: tuple[int, int, int, int]
    """Blocks of each stage (strides 4, 8, 16, 32)."""
    global_blocks: tuple[int, ...]
    """Indices, over all stages, of the blocks that attend to the whole image instead of a window."""
    windows: tuple[int, int, int, int] = (8, 4, 14, 7)
    """Side of the attention window of each stage, in tokens."""
    position_grid: tuple[int, int] = (7, 7)
    """Size of the learned background grid of position embeddings, resized to the image."""
    drop_path: float = 0.1
    """Stochastic depth at the last block, growing linearly from 0; training only."""

    @property
    def dims(self) -> tuple[int, int, int, int]:
        """Channels of each stage."""
        return (self.embed_dim, self.embed_dim * 2, self.embed_dim * 4, self.embed_dim * 8)


@dataclass(frozen=True)
class SAM2Config:
    """Sizes and switches of the whole network."""

    name: str
    hiera: HieraConfig
    image_size: int = 1024
    """Images are resized to about as many pixels as a square with this side; a multiple of 32."""
    aspect: str = "1:1"
    """Width to height of the input size, as in "16:9" or "1280x720"; or "image": that of each image. In the paper and
    the released models, a square."""
    dim: int = 256
    """Channels of the image features, the decoder and the object pointers."""
    memory_dim: int = 64
    """Channels of a memory; an object pointer is split into `dim / memory_dim` memory tokens."""
    memory_layers: int = 4
    """Layers of memory attention."""
    feedforward: int = 2048
    """Hidden width of the MLPs in memory attention and in the decoder's transformer."""
    decoder_heads: int = 8
    iou_head_dim: int = 256
    dropout: float = 0.1
    """In memory attention; training only."""
    recent_memories: int = 6
    """Most recent frames whose memory is kept, beside the prompted ones."""
    max_pointers: int = 16
    """Object pointers in memory attention: of prompted frames and of up to `max_pointers - 1` recent frames."""
    remembered_presence: float | None = None
    """Only tracked frames with a presence logit above this enter the memory bank; None: all, as in the paper. Memories
    of frames on which the object is hidden outweigh the prompted frame, and keep the object from being found again.
    With a number, the memories recalled are the last ones that entered, whatever their age."""
    memory_stride: int = 1
    """Of the frames that entered, the last one and those whose index is a multiple of this are recalled, so that as
    many memories reach further back. Only with `remembered_presence`; 1 as in the paper."""
    closer_look: bool = False
    """The answer to a prompt for something small is sought once more in a window around it
    (`sam2_ros.tracking.closer_look`). Not in the paper."""
    box_agreement: bool = False
    """The answer to a box is that of the four masks whose bounding box agrees best with it, instead of the single mask
    (`sam2_ros.tracking.box_agreement`). Not in the paper."""
    absent_memory_embedding: bool = True
    """2.1: a learned vector is added to the memory of a frame on which the object is absent."""
    pointer_time_encoding: bool = True
    """2.1: object pointers carry a projected sine encoding of their age."""
    half: str = "bfloat16"
    """Half precision that suits the weights: "bfloat16", with which the released ones were trained; or "float16", with
    three more bits of precision, but a maximum of 65504."""

    def __post_init__(self) -> None:
        size = self.image_size
        if not isinstance(size, Integral) or not STRIDE <= size <= MAX_SIDE or size % STRIDE:
            raise ValueError(
                f"images of {size!r} pixels: the side of the square must be a multiple of {STRIDE}, up to {MAX_SIDE}"
            )
        if self.half not in HALVES:
            raise ValueError(f"half is {self.half!r}; it must be one of {', '.join(HALVES)}")
        if self.aspect != IMAGE:
            parse_aspect(self.aspect)

    def shape(self, height: int, width: int) -> tuple[int, int]:
        """Input size, height and width in pixels, for an image of this size."""
        if self.aspect != IMAGE:
            width, height = parse_aspect(self.aspect)
        return nearest_size(height, width, self.image_size)

    def at(self, image_size: int | None = None, aspect: str | None = None) -> SAM2Config:
        """The same network with another input size or aspect; the weights fit all. None: unchanged."""
        return replace(
            self,
            image_size=self.image_size if image_size is None else image_size,
            aspect=self.aspect if aspect is None else aspect,
        )


_TINY = HieraConfig(96, 1, (1, 2, 7, 2), (5, 7, 9))
_SMALL = HieraConfig(96, 1, (1, 2, 11, 2), (7, 10, 13))
_BASE_PLUS = HieraConfig(112, 2, (2, 3, 16, 3), (12, 16, 20), position_grid=(14, 14))
_LARGE = HieraConfig(144, 2, (2, 6, 36, 4), (23, 33, 43), windows=(8, 4, 16, 8))

# The small model that ships with the package, narrow enough for two CPU cores. From stride 16 on, maps are so small
# that global attention costs less than windows.
_DEFAULT = SAM2Config(
    "default",
    HieraConfig(32, 1, (1, 2, 5, 2), tuple(range(3, 10)), windows=(8, 8, 8, 8), position_grid=(8, 8), drop_path=0.0),
    image_size=448,
    aspect=IMAGE,
    dim=128,
    memory_dim=64,
    memory_layers=2,
    feedforward=512,
    decoder_heads=4,
    iou_head_dim=128,
    dropout=0.0,
    remembered_presence=0.0,
    memory_stride=3,
    closer_look=True,
    box_agreement=True,
    half="float16",  # activations stay below 1000 (tests/tracking/test_tracker_half_precision.py)
)


def _released(version: str, size: str, hiera: HieraConfig) -> SAM2Config:
    is_2_1 = version == "sam2.1"
    return SAM2Config(f"{version}_hiera_{size}", hiera, absent_memory_embedding=is_2_1, pointer_time_encoding=is_2_1)


CONFIGS: dict[str, SAM2Config] = {
    config.name: config
    for config in [
        _DEFAULT,
        *(
            _released(version, size, hiera)
            for version in ("sam2", "sam2.1")
            for size, hiera in (("tiny", _TINY), ("small", _SMALL), ("base_plus", _BASE_PLUS), ("large", _LARGE))
        ),
    ]
}
