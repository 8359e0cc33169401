"""Attention on CPUs: the fastest of PyTorch's flash kernel, our C++ kernel, and matrix products in blocks.

PyTorch's flash kernel does not support values narrower than keys, and on CPUs without AMX bfloat16 is no faster than
float32. Our kernel supports narrow values. Without our kernel, matrix products with a softmax in between replace it.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from sam2_ros.acceleration.cpu.kernels.attention import cpu_attention
from sam2_ros.acceleration.cpu.kernels.library import AMX, has_cpu_kernels
from sam2_ros.acceleration.cpu.rotation import rotate_in_place
from sam2_ros.model.attention import attention as plain_attention
from sam2_ros.model.hiera import WindowAttention
from sam2_ros.model.memory_attention import MemoryTokens, RotaryAttention

MAX_SCORES = 2**22
"""Scores in memory at a time: 8 MB in bfloat16, which may fit into the last-level cache."""

MAX_QUERIES, MAX_KEYS = 4096, 1024
"""Size of a block of scores in float32: 16 MB."""

MIN_EXPONENT = -100
"""Exponents of two are clamped to this: subnormal numbers cost several times as much."""

MIN_KERNEL_SCORES = 2**18
"""Scores of a head from which our kernel is faster than PyTorch's for values as wide as keys, in bfloat16 with AMX. In
float32 it never is."""


def attention(query: Tensor, key: Tensor, value: Tensor, valid: Tensor | None = None) -> Tensor:
    """`sam2_ros.model.attention.attention` in inference mode."""
    narrow, half = value.shape[3] < key.shape[3], query.dtype == torch.bfloat16
    if narrow or (half and _flash_is_slower(query, key, valid)):
        return torch.ops.sam2_ros.attention_on_cpu(query, key.to(query.dtype), value.to(query.dtype), valid)
    return plain_attention(query, key, value, valid)


def gains_from_narrow_values(query: Tensor) -> bool:
    """Whether narrower values make attention faster."""
    return _has_kernel(query) or not (AMX and query.dtype == torch.bfloat16)


def _has_kernel(query: Tensor) -> bool:
    return query.shape[-1] % 2 == 0 and has_cpu_kernels(query.dtype)


def _flash_is_slower(query: Tensor, key: Tensor, valid: Tensor | None) -> bool:
    """Whether PyTorch's flash kernel is slower than ours or `blockwise_attention`, in bfloat16."""
    many = query.shape[2] * key.shape[2] >= MIN_KERNEL_SCORES
    return not AMX or valid is not None or (many and _has_kernel(query))


def _attention_on_cpu(query: Tensor, key: Tensor, value: Tensor, valid: Tensor | None) -> Tensor:
    return (cpu_attention if _has_kernel(query) else blockwise_attention)(query, key, value, valid)


# An operator, so that profilers see it. The first call of a `torch.library.custom_op` would import PyTorch's compiler,
# which takes a second and 150 MB.
torch.library.define("sam2_ros::attention_on_cpu", "(Tensor query, Tensor key, Tensor value, Tensor? valid) -> Tensor")
torch.library.impl("sam2_ros::attention_on_cpu", "CPU", _attention_on_cpu)


def blockwise_attention(query: Tensor, key: Tensor, value: Tensor, valid: Tensor | None = None) -> Tensor:
    """Attention by PyTorch's operations, with at most `MAX_SCORES` scores in memory; in float32 also by blocks of keys.

    With `valid`, rows of the batch are computed one by one, without their invalid keys.
    """
    b, heads, q, c = query.shape
    if valid is not None:
        rows = [(query[i, None], key[i, None, :, valid[i]], value[i, None, :, valid[i]]) for i in range(b)]
        return torch.cat([attention(*row) for row in rows])
    query, key, value = (x.reshape(b * heads, *x.shape[2:]) for x in (query * c**-0.5, key, value))
    n, k = key.shape[:2]
    result = query.new_empty(n, q, value.shape[2])
    if query.dtype == torch.float32 and q * k > MAX_QUERIES * MAX_KEYS:
        for i in range(n):
            for j in range(0, q, MAX_QUERIES):
                _flash_attention(query[i, j : j + MAX_QUERIES], key[i], value[i], result[i, j : j + MAX_QUERIES])
        return result.view(b, heads, q, -1)
    heads_at_once, rows_at_once = max(1, MAX_SCORES // (q * k)), min(q, max(1, MAX_SCORES // k))
    for i in range(0, n, heads_at_once):
        part_heads = slice(i, i + heads_at_once)
        for j in range(0, q, rows_at_once):
            part = query[part_heads, j : j + rows_at_once]
            scores = part @ key[part_heads].transpose(1, 2) if heads_at_once > 1 else F.linear(part[0], key[i])[None]
            torch.softmax(scores, dim=-1, out=scores)
            result[part_heads, j : j + rows_at_once] = scores @ value[part_heads]
    return result.view(b, heads, q, -1)


def _flash_attention(query: Tensor, key: Tensor, value: Tensor, result: Tensor) -> None:
    """softmax(query key') value, one block of keys after the other (Dao et al. 2022, section 3.1).

    Args:
        query: [Q, c], scaled.
        key: [K, c].
        value: [K, d].
        result: output [Q, d].
    """
    query = query * math.log2(math.e)  # exp2 is faster than exp
    buffer = query.new_empty(len(query) * min(MAX_KEYS, len(key)))
    largest = query.new_full((len(query), 1), -torch.inf)
    total = torch.zeros_like(largest)
    result.zero_()
    for keys, values in zip(key.split(MAX_KEYS), value.split(MAX_KEYS), strict=True):
        scores = torch.mm(query, keys.T, out=buffer[: len(query) * len(keys)].view(len(query), -1))
        new = torch.maximum(largest, scores.amax(dim=1, keepdim=True))
        rescale = torch.exp2(largest - new)
        largest = new
        weights = scores.sub_(largest).clamp_min_(MIN_EXPONENT).exp2_()
        total.mul_(rescale).add_(weights.sum(dim=1, keepdim=True))
        torch.addmm(result.mul_(rescale), weights, values, out=result)
    result.div_(total)


class CPUWindowAttention(WindowAttention):
    """In bfloat16, uses the fastest attention; in float32, that is PyTorch's."""

    attention = staticmethod(attention)

    @staticmethod
    def fits(module: WindowAttention, dtype: torch.dtype) -> bool:
        return dtype == torch.bfloat16


class CPURotaryAttention(RotaryAttention):
    """Rotates in place, and attends to memory values before their projection, while they are narrow."""

    def forward(self, query: Tensor, memory: MemoryTokens, rotation: Tensor) -> Tensor:  # type: ignore[override]
        q = rotate_in_place(self.q_proj(query), rotation).expand(len(memory.key), -1, -1)
        k = rotate_in_place(self.k_proj(memory.key), rotation, memory.pointer_tokens)
        # Attention is a weighted mean, so its result can be projected instead of the values.
        narrow = memory.value.shape[-1] < k.shape[-1] and gains_from_narrow_values(q)
        v = memory.value if narrow else self.v_proj(memory.value)
        x = attention(q[:, None], k[:, None], v[:, None], memory.valid).squeeze(1)
        return self.out_proj(self.v_proj(x) if narrow else x)
