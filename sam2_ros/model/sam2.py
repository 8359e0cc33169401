"""SAM 2: the whole network, as five stateless functions of tensors (SAM 2 paper, section 4).

    encode_image     image                       -> features
    condition        features, memories          -> features conditioned on memory
    decode           features, prompts           -> mask, predicted IoU, presence, object pointer
    decode_mask      features, mask prompt       -> the same, for a given mask
    encode_memory    features, mask              -> a memory

The memory bank is in `sam2_ros.tracking`.

Shapes: B images of H x W pixels (`SAM2Config.shape`), N objects, h = H / 16, w = W / 16, C = dim, c = memory_dim.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_ros.model.config import SAM2Config
from sam2_ros.model.layers import MLP, in_float32
from sam2_ros.model.mask_decoder import SINGLE, MaskDecoder, best_candidate, is_stable
from sam2_ros.model.memory_attention import MemoryAttention, MemoryTokens
from sam2_ros.model.memory_encoder import MemoryEncoder
from sam2_ros.model.neck import ImageEncoder
from sam2_ros.model.position import sine_grid, sine_time
from sam2_ros.model.prompt_encoder import PromptEncoder

ABSENT_LOGIT = -1024.0
"""Mask logit of every pixel of a frame on which the object is not visible."""


@dataclass(frozen=True)
class ImageFeatures:
    """Output of the image encoder for B images."""

    stride4: Tensor
    """Skip connection of the decoder: [B, C / 8, H / 4, W / 4]."""
    stride8: Tensor
    """Skip connection of the decoder: [B, C / 4, H / 8, W / 8]."""
    stride16: Tensor
    """Input of memory attention, mask decoder and memory encoder: [B, C, H / 16, W / 16]."""

    def __getitem__(self, index: slice | Tensor) -> ImageFeatures:
        """Features of some of the images."""
        return ImageFeatures(self.stride4[index], self.stride8[index], self.stride16[index])


@dataclass(frozen=True)
class Memories:
    """Memories of N objects: M maps and P object pointers each, in any order."""

    maps: Tensor
    """[N, M, c, h, w]."""
    map_age: Tensor
    """Frames since each memory was made, or its place among the recent ones, the newest first: 1 .. recent_memories; 0
    for prompted frames of any age: int64 [N, M]."""
    pointers: Tensor
    """[N, P, C]."""
    pointer_age: Tensor
    """Frames since each pointer was made, negative for future frames: [N, P]."""
    map_valid: Tensor | None = None
    """bool [N, M], False for padding; None: all are valid."""
    pointer_valid: Tensor | None = None
    """bool [N, P], False for padding; None: all are valid."""


@dataclass(frozen=True)
class Decoded:
    """Outputs of the decoder for N objects on one frame."""

    mask_logits: Tensor
    """The chosen mask; `ABSENT_LOGIT` everywhere if the object is absent: [N, H / 4, W / 4]."""
    visible_logits: Tensor
    """The chosen mask, even if the object is absent: [N, H / 4, W / 4]."""
    iou: Tensor
    """Predicted IoU of the chosen mask, 0 .. 1: [N]."""
    presence_logit: Tensor
    """Above 0 if the object is visible: [N]."""
    pointer: Tensor
    """Object pointer, for the memory bank: float32 [N, C]."""
    all_logits: Tensor
    """Single mask and three candidates, even if the object is absent: [N, 4, H / 4, W / 4]."""
    all_iou: Tensor
    """Predicted IoU of all masks, 0 .. 1: [N, 4]."""


class SAM2(nn.Module):
    """The network. Parameters carry the names of the released checkpoints."""

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        self.config = config
        self.missing_weights: tuple[str, ...] = ()
        """Names of weights missing in the loaded checkpoint: those of memory, if it was trained on images only."""
        dim, memory_dim = config.dim, config.memory_dim
        self.image_encoder = ImageEncoder(config)
        self.memory_attention = MemoryAttention(config)
        self.memory_encoder = MemoryEncoder(config)
        self.sam_prompt_encoder = PromptEncoder(dim)
        self.sam_mask_decoder = MaskDecoder(config)
        self.mask_downsample = nn.Conv2d(1, 1, kernel_size=4, stride=4)
        self.obj_ptr_proj = MLP(dim, dim, dim, layers=3)
        # Row d - 1 is for memories d frames old; the last row for prompted frames of any age.
        self.maskmem_tpos_enc = nn.Parameter(torch.zeros(config.recent_memories + 1, 1, 1, memory_dim))
        self.no_mem_embed = nn.Parameter(torch.zeros(1, 1, dim))
        self.no_mem_pos_enc = nn.Parameter(torch.zeros(1, 1, dim))  # in the checkpoints, but unused
        self.no_obj_ptr = nn.Parameter(torch.zeros(1, dim))
        if config.absent_memory_embedding:
            self.no_obj_embed_spatial = nn.Parameter(torch.zeros(1, memory_dim))
        if config.pointer_time_encoding:
            self.obj_ptr_tpos_proj = nn.Linear(dim, memory_dim)
        for parameter in (
            *(self.maskmem_tpos_enc, self.no_mem_embed, self.no_mem_pos_enc, self.no_obj_ptr),
            *(self.image_encoder.trunk.pos_embed, self.image_encoder.trunk.pos_embed_window),
        ):
            nn.init.trunc_normal_(parameter, std=0.02)

    @property
    def device(self) -> torch.device:
        return self.no_mem_embed.device

    @property
    def dtype(self) -> torch.dtype:
        return self.no_mem_embed.dtype

    def encode_image(self, image: Tensor) -> ImageFeatures:
        """Normalised images [B, 3, H, W] -> features. Runs once per image, for any number of objects."""
        stride4, stride8, stride16 = self.image_encoder(image)
        with in_float32(image):
            decoder = self.sam_mask_decoder
            return ImageFeatures(decoder.conv_s0(stride4), decoder.conv_s1(stride8), stride16)

    def condition(self, features: ImageFeatures, memories: Memories | None) -> Tensor:
        """Condition stride-16 features on memory (paper, "Memory attention"): [N, C, h, w].

        Args:
            features: of the newest image; or, in training, of the image of each of N objects.
            memories: of the N objects; None: no memory, as at a first prompt or on a still image.
        """
        if memories is None:
            return features.stride16 + self.no_mem_embed.view(1, -1, 1, 1)
        height, width = memories.maps.shape[3:]
        position = self.position(height, width, self.config.dim).to(features.stride16.dtype)
        return self.memory_attention(features.stride16, position, self.memory_tokens(memories))

    def position(self, height: int, width: int, channels: int) -> Tensor:
        """`sine_grid` on the network's device: float32 [channels, height, width]."""
        return sine_grid(height, width, channels, self.device)

    def memory_tokens(self, memories: Memories) -> MemoryTokens:
        """Flatten memories to the keys and values of memory attention, with temporal and spatial position."""
        n, m, c, h, w = memories.maps.shape
        parts = self.config.dim // c  # memory tokens of an object pointer
        temporal = self.maskmem_tpos_enc[memories.map_age - 1].view(n, m, 1, c)  # age 0 reads the last row
        position = (self.position(h, w, c).flatten(1).T + temporal).flatten(1, 2)
        pointer_position = self.pointer_position(memories).repeat_interleave(parts, dim=1)
        maps = memories.maps.flatten(3).transpose(2, 3).flatten(1, 2)  # [N, M * h * w, c]
        pointers = memories.pointers.reshape(n, -1, c)
        value = torch.cat((maps, pointers), dim=1)
        position = torch.cat((position, pointer_position), dim=1)
        return MemoryTokens(value, value + position, pointers.shape[1], _valid_tokens(memories, h * w, parts))

    def pointer_position(self, memories: Memories) -> Tensor:
        """Temporal position of object pointers, 0 in SAM 2.0: [N, P, c]."""
        c = memories.maps.shape[2]
        if not self.config.pointer_time_encoding:
            return memories.pointers.new_zeros(*memories.pointers.shape[:2], c)
        age = memories.pointer_age / (self.config.max_pointers - 1)
        return self.obj_ptr_tpos_proj(sine_time(age, self.config.dim).to(memories.pointers.dtype))

    def decode(
        self,
        conditioned: Tensor,
        features: ImageFeatures,
        points: Tensor | None = None,
        labels: Tensor | None = None,
        mask_prompt: Tensor | None = None,
        multimask: bool | Tensor = True,
    ) -> Decoded:
        """Decode masks of N objects from prompts, or from memory alone (paper, "Prompt encoder and mask decoder").

        Stays in float32 under autocast, since its outputs are compared with each other and with 0: in bfloat16,
        candidates would tie and the edges of masks move.

        Args:
            conditioned: [N, C, h, w], from `condition`.
            features: for N objects, or of one image with all of them.
            points: x, y in pixels of the network's input: [N, P, 2]; None: no points.
            labels: `PointLabel` of each point: int64 [N, P].
            mask_prompt: mask logits of an earlier result: [N, 1, H / 4, W / 4]; None: no mask prompt.
            multimask: choose the best of the three candidates, as for ambiguous prompts (at most one click) and for
                frames without a prompt; else the single mask. One bool for all, or bool [N].
        """
        n, _, h, w = conditioned.shape
        with in_float32(conditioned):
            encoder = self.sam_prompt_encoder
            dense = encoder.no_mask() if mask_prompt is None else encoder.mask(mask_prompt)
            if points is None or labels is None:
                sparse = encoder.nothing().expand(n, -1, -1)
            else:
                sparse = encoder.points(points, labels, 16 * h, 16 * w)
            raw = self.sam_mask_decoder(
                conditioned + dense,
                encoder.pe_layer.grid(h, w),
                sparse,
                features.stride4,
                features.stride8,
            )

        best = best_candidate(raw)
        rows = torch.arange(n, device=best.device)
        if multimask is True:
            chosen = pointed = best
        else:
            multimask = torch.as_tensor(multimask, device=best.device).expand(n)
            pointed = torch.where(multimask, best, SINGLE)
            # The best candidate replaces an unstable single mask, but not its pointer.
            unstable = multimask if self.training else multimask | ~is_stable(raw.logits[:, SINGLE])
            chosen = torch.where(unstable, best, SINGLE)
        with in_float32(conditioned):
            pointer = self.obj_ptr_proj(raw.tokens[rows, pointed])
        logits = raw.logits[rows, chosen]
        present = (raw.presence_logit > 0)[:, None]
        return Decoded(
            mask_logits=torch.where(present[..., None], logits, ABSENT_LOGIT),
            visible_logits=logits,
            iou=raw.iou[rows, chosen],
            presence_logit=raw.presence_logit,
            pointer=torch.where(present, pointer, self.no_obj_ptr),
            all_logits=raw.logits,
            all_iou=raw.iou,
        )

    def track(self, features: ImageFeatures, memories: Memories) -> tuple[Decoded, Tensor]:
        """Segment N objects on the newest image from memory alone, and encode the result: one step of a stream.

        Returns:
            The results of `decode` and of `encode_memory`.
        """
        decoded = self.decode(self.condition(features, memories), features, multimask=True)
        memory = self.encode_memory(features, decoded.mask_logits, decoded.presence_logit, prompted=False)
        return decoded, memory

    def decode_mask(self, features: ImageFeatures, mask: Tensor) -> Decoded:
        """Take a given mask as the result, and compute its object pointer from unconditioned features.

        Args:
            features: for N objects.
            mask: 0 or 1, float: [N, 1, H, W].
        """
        logits = logits_of(mask).squeeze(1)
        with in_float32(mask):
            mask_prompt = self.mask_downsample(mask)
        decoded = self.decode(features.stride16, features, mask_prompt=mask_prompt, multimask=False)
        present = mask.flatten(1).any(dim=1)
        return Decoded(
            mask_logits=logits,
            visible_logits=logits,
            iou=torch.ones_like(decoded.iou),
            presence_logit=present * 20.0 - 10.0,
            pointer=torch.where(present[:, None], decoded.pointer, self.no_obj_ptr),
            all_logits=logits[:, None].expand(-1, 4, -1, -1),
            all_iou=torch.ones_like(decoded.all_iou),
        )

    def encode_memory(
        self, features: ImageFeatures, mask_logits: Tensor, presence_logit: Tensor, prompted: bool | Tensor
    ) -> Tensor:
        """Encode the memory of a frame (paper, "Memory encoder"): [N, c, h, w], in the precision of the computation.

        Args:
            features: for N objects, or of one image with all of them.
            mask_logits: [N, H / 4, W / 4].
            presence_logit: [N].
            prompted: whether a frame is prompted: its mask is binarised. One bool for all, or bool [N].
        """
        memory = self.memory_encoder(features.stride16, mask_logits, prompted)
        if self.config.absent_memory_embedding:
            absent = (presence_logit <= 0).view(-1, 1, 1, 1)
            memory = memory + (absent * self.no_obj_embed_spatial[:, :, None, None]).to(memory.dtype)
        return memory


def logits_of(mask: Tensor) -> Tensor:
    """Mask logits of a given mask: 0 or 1, float [N, 1, H, W] -> -10 .. 10, [N, 1, H / 4, W / 4]."""
    size = (mask.shape[2] // 4, mask.shape[3] // 4)
    return F.interpolate(mask * 20 - 10, size, mode="bilinear", antialias=True)


def _valid_tokens(memories: Memories, map_tokens: int, pointer_tokens: int) -> Tensor | None:
    """`MemoryTokens.valid`: bool [N, M * map_tokens + P * pointer_tokens]; None: all are valid."""
    if memories.map_valid is None and memories.pointer_valid is None:
        return None
    maps, pointers = memories.map_valid, memories.pointer_valid
    maps = torch.ones_like(memories.map_age, dtype=torch.bool) if maps is None else maps
    pointers = torch.ones_like(memories.pointer_age, dtype=torch.bool) if pointers is None else pointers
    valid = (maps.repeat_interleave(map_tokens, dim=1), pointers.repeat_interleave(pointer_tokens, dim=1))
    return torch.cat(valid, dim=1)
