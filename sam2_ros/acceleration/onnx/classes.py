"""Classes for export, in place of the plain network's: without operations that ONNX lacks, and faster."""

from __future__ import annotations

import torch
from torch import Tensor

from sam2_ros.acceleration.cached import CachedHiera, CachedMemoryAttention, CachedRandomFourier, CachedSAM2
from sam2_ros.acceleration.twin import Classes
from sam2_ros.model.attention import attention
from sam2_ros.model.hiera import Hiera
from sam2_ros.model.memory_attention import MemoryAttention, MemoryTokens, RotaryAttention
from sam2_ros.model.position import RandomFourier
from sam2_ros.model.sam2 import SAM2


class OnnxMemoryAttention(CachedMemoryAttention):
    """Rotations as cosines and sines, float32 [cells, C / 2, 2]: ONNX has no complex numbers."""

    def rotation(self, height: int, width: int) -> Tensor:
        plain = super(CachedMemoryAttention, self).rotation
        return self.rotations.get((height, width), lambda: torch.view_as_real(plain(height, width)))


class OnnxRotaryAttention(RotaryAttention):
    """Attention to unprojected values of memory, whose mean is projected afterwards. The result is the same, since the
    weights sum to 1, and takes a third less time where values are narrower than keys."""

    def forward(self, query: Tensor, memory: MemoryTokens, rotation: Tensor) -> Tensor:  # type: ignore[override]
        objects = memory.key.shape[0]  # len() would fix their number in the graph
        q = rotate(self.q_proj(query), rotation).expand(objects, -1, -1)
        k = rotate(self.k_proj(memory.key), rotation, memory.pointer_tokens)
        narrow = memory.value.shape[-1] < k.shape[-1]
        v = memory.value if narrow else self.v_proj(memory.value)
        x = attention(q[:, None], k[:, None], v[:, None], memory.valid).squeeze(1)
        return self.out_proj(self.v_proj(x) if narrow else x)


def rotate(x: Tensor, rotation: Tensor, pointer_tokens: int = 0) -> Tensor:
    """`sam2_ros.model.position.rotate` without complex numbers."""
    cells = x.shape[1] - pointer_tokens
    a, b = x[:, :cells].unflatten(1, (-1, len(rotation))).unflatten(-1, (-1, 2)).unbind(-1)
    cosine, sine = rotation.unbind(-1)
    rotated = torch.stack((a * cosine - b * sine, a * sine + b * cosine), dim=-1).flatten(-2).flatten(1, 2)
    return torch.cat((rotated, x[:, cells:]), dim=1) if pointer_tokens else rotated


ONNX_CLASSES: Classes = {
    SAM2: CachedSAM2,
    Hiera: CachedHiera,
    RandomFourier: CachedRandomFourier,
    MemoryAttention: OnnxMemoryAttention,
    RotaryAttention: OnnxRotaryAttention,
}
