"""Attention on CUDA, by whichever of our kernel, cuDNN's and PyTorch's flash kernel is the fastest.

PyTorch's fused kernels take no values narrower than keys, and leave most of a GPU idle where queries or keys are few.
"""

from __future__ import annotations

from threading import Lock

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_ros.acceleration.cuda.kernels.key_projection import projected_keys
from sam2_ros.acceleration.cuda.kernels.narrow_attention import MAX_DECODER_TOKENS, narrow_attention, takes_wide_values
from sam2_ros.acceleration.cuda.kernels.window_attention import window_attention
from sam2_ros.acceleration.cuda.memory_tokens import CountedTokens
from sam2_ros.acceleration.cuda.probe import autocast_dtype, suits_triton, triton_works
from sam2_ros.acceleration.cuda.rotation import rotate_in_place
from sam2_ros.model.attention import Attention
from sam2_ros.model.attention import attention as plain_attention
from sam2_ros.model.hiera import WindowAttention
from sam2_ros.model.memory_attention import MemoryTokens, RotaryAttention

MIN_WIDTH = 16
"""Minimum width of queries, keys and values: the least that tensor cores take."""

MAX_FLOAT32_WIDTH, MAX_HALF_WIDTH = 64, 128
"""Maximum width of queries, keys and values in float32 and in half precision, where queries or keys are few: what
shared memory suffices for."""

MAX_IDLE_QUERIES = 4096
"""Maximum number of queries, over all heads, for which our kernel is taken where there are as many keys: an image of
1024 pixels, 256 wide. Four times as many keep PyTorch's kernels busy (benchmarks/cuda_kernels.py)."""

MIN_CUDNN_QUERIES = 4 * 4096
"""Minimum number of queries, over all heads, for which cuDNN's kernel is taken where keys are many too. 256 wide on an
H200, it takes 1.4 times as long as PyTorch's for 4096 queries, and less than half as long for 16 times as many
(benchmarks/cuda_kernels.py); this lies between."""

MIN_KEYS = 1024
"""Minimum number of keys that count as many."""

MAX_WINDOW_TOKENS = 64
"""Maximum number of tokens of a window for which our kernel is faster than PyTorch's."""

MAX_POOLED_TOKENS = 256
"""The same maximum where queries are pooled, for which PyTorch makes copies and a separate pass."""

MAX_WINDOW_WIDTH = 128
"""Maximum width of a head that the kernel for windows takes."""

_CUDNN_FIRST = [
    nn.attention.SDPBackend.CUDNN_ATTENTION,
    nn.attention.SDPBackend.FLASH_ATTENTION,
    nn.attention.SDPBackend.EFFICIENT_ATTENTION,
    nn.attention.SDPBackend.MATH,
]

_choosing = Lock()
"""Lock on PyTorch's order of kernels, which holds for all threads: one at a time changes it and changes it back."""


def attention(query: Tensor, key: Tensor, value: Tensor, valid: Tensor | None = None) -> Tensor:
    """`sam2_ros.model.attention.attention` in inference mode."""
    if valid is None and suits_narrow_attention(query, key, value):
        return narrow_attention(query, key.to(query.dtype), value.to(query.dtype))
    if valid is None and _suits_cudnn(query, key):
        with _choosing, nn.attention.sdpa_kernel(_CUDNN_FIRST, set_priority=True):
            return F.scaled_dot_product_attention(query, key, value)
    return plain_attention(query, key, value, valid)


def suits_narrow_attention(query: Tensor, key: Tensor, value: Tensor) -> bool:
    """Whether our kernel takes these queries, keys and values, and is faster than PyTorch's: where values are narrow,
    or queries or keys so few that PyTorch's kernels leave most of a GPU idle."""
    widths = query.shape[3], value.shape[3]
    few = min(query.shape[2], key.shape[2]) <= MAX_DECODER_TOKENS
    if few and max(widths) > (MAX_FLOAT32_WIDTH if query.dtype == torch.float32 else MAX_HALF_WIDTH):
        return False
    if not few and query.dtype != autocast_dtype(query):
        return False
    if min(widths) < MIN_WIDTH or not suits_triton(query.device, *widths):
        return False
    return few or value.shape[3] < key.shape[3] or _leaves_idle(query, key)


def _leaves_idle(query: Tensor, key: Tensor) -> bool:
    """Whether PyTorch's kernels would leave most of a GPU idle, so that it is faster to split the keys, too."""
    few, many = query.shape[:3].numel() <= MAX_IDLE_QUERIES, min(query.shape[2], key.shape[2]) >= MIN_KEYS
    return few and many and query.shape[3] == 256 and takes_wide_values(query.device)


def _suits_cudnn(query: Tensor, key: Tensor) -> bool:
    return query.shape[:3].numel() >= MIN_CUDNN_QUERIES and key.shape[2] >= MIN_KEYS


def _gains_from_narrow_values(query: Tensor, value: Tensor) -> bool:
    """Whether narrower values make attention faster: flash kernels don't take narrow ones."""
    widths = query.shape[-1], value.shape[-1]
    in_half = query.dtype == autocast_dtype(query)
    return MIN_WIDTH <= widths[1] < widths[0] and in_half and suits_triton(query.device, *widths)


class CUDAAttention(Attention):
    """Attention through our kernel where tokens are few, as in the decoder."""

    attention = staticmethod(attention)


class CUDAWindowAttention(WindowAttention):
    """Window attention through our kernel, which also pools queries, where windows are small."""

    attention = staticmethod(attention)

    def prepare(self, dtype: torch.dtype) -> None:
        width = self.proj.in_features // self.heads
        has_kernel = width <= MAX_WINDOW_WIDTH and triton_works(self.proj.weight.device)
        self.max_kernel_tokens = (MAX_POOLED_TOKENS if self.pool else MAX_WINDOW_TOKENS) if has_kernel else 0

    def attend(self, qkv: Tensor) -> Tensor:
        if qkv.shape[1:3].numel() <= self.max_kernel_tokens and qkv.dtype == autocast_dtype(qkv):
            return window_attention(qkv, self.heads, self.pool)
        return super().attend(qkv)


class CUDARotaryAttention(RotaryAttention):
    def forward(self, query: Tensor, memory: MemoryTokens, rotation: Tensor) -> Tensor:  # type: ignore[override]
        q = rotate_in_place(self.q_proj(query), rotation).expand(len(memory.key), -1, -1)
        if isinstance(memory, CountedTokens):
            return self._attend_to_counted(q, memory, rotation)
        k = rotate_in_place(self.k_proj(memory.key), rotation, memory.pointer_tokens)
        # Attention is a mean of values with weights that sum to 1, so narrow values can be projected afterwards.
        narrow = memory.valid is None and _gains_from_narrow_values(q, memory.value)
        v = memory.value if narrow else self.v_proj(memory.value)
        x = attention(q[:, None], k[:, None], v[:, None], memory.valid).squeeze(1)
        return self.out_proj(self.v_proj(x) if narrow else x)

    def _attend_to_counted(self, query: Tensor, memory: CountedTokens, rotation: Tensor) -> Tensor:
        weight, bias = self.k_proj.rounded_weight, self.k_proj.bias
        key = projected_keys(memory.key, weight, bias, rotation, memory.counts, memory.pointer_tokens)
        x = narrow_attention(query[:, None], key[:, None], memory.value[:, None], lengths=memory.counts[1])
        return self.out_proj(self.v_proj(x.squeeze(1)))
