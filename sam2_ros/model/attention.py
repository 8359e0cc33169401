"""The one function through which all attention of the network goes."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_ros.model.cpu_kernels.attention import cpu_attention
from sam2_ros.model.cpu_kernels.library import AMX, has_cpu_kernels
from sam2_ros.model.layers import Linear, has_kernels, learns_nothing_on_cpu, weights_are_constant

BLOCK = 2**22
"""Scores that are held at a time on a CPU: 8 MB in bfloat16, which its last cache may hold."""

ROWS, COLUMNS = 4096, 1024
"""Queries and keys whose scores are held at a time on a CPU in float32: 16 MB."""

SMALLEST = -100
"""Powers of two below which weights are not told apart there: subnormal numbers cost several times as much."""

KEPT = 2**18
"""Scores of one head that are kept on a CPU for the backward pass, in bfloat16: 512 KB."""


FEW = 32
"""Queries or keys of one head, for which a GPU takes our kernel: a decoder's tokens, and the image's at them."""

LONELY = 4096
"""Queries of all heads for which it does so where there are as many keys: an image of 1024 pixels, 256 wide. For four
times as many, PyTorch's kernels have enough to do (benchmarks/kernels.py)."""


CUDNN_FROM = 4 * 4096
"""Queries of all heads, from which on cuDNN's kernel is the faster one on an H200, where keys are many too: 256 wide,
it takes 1.4 times as long for 4096, and less than half as long for 16 times as many (benchmarks/kernels.py); this lies
between."""


MANY = 2**18
"""Scores of one head from which on our kernel is faster in bfloat16 than PyTorch's where values are as wide as keys, on
a CPU with AMX. In float32 it is not."""


def gains_from_narrow_values(x: Tensor, width: int, masked: bool) -> bool:
    """Whether attention of queries like x is the faster the narrower values are, of a width. Flash kernels don't take
    narrow ones, and ours for GPUs no masks."""
    if learns_nothing_on_cpu(x):
        return _has_cpu_kernel(x) or not (AMX and x.dtype == torch.bfloat16)
    return (width >= 16 and not masked and has_kernels(x, x.shape[-1], width)) or torch.compiler.is_exporting()


def _has_cpu_kernel(x: Tensor) -> bool:
    """Whether ours takes queries like x. What is exported has to do without."""
    return not torch.compiler.is_exporting() and x.shape[-1] % 2 == 0 and has_cpu_kernels(x.dtype)


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    valid: Tensor | None = None,
    dropout: float = 0.0,
    lengths: Tensor | None = None,
) -> Tensor:
    """softmax(query key' / sqrt(c)) value.

    PyTorch's fused (flash) kernels do it wherever they are the fastest. They don't take values narrower than keys. Our
    own kernels do, on a GPU (`narrow_attention`) as on a CPU (`cpu_kernels`); where there are none for this CPU, two
    matrix products with a softmax between them. These are the faster ones in bfloat16, too, which PyTorch's kernel
    computes at the pace of float32, forwards and backwards, unless the CPU has AMX.

    Args:
        query: [B, heads, Q, c].
        key: [B, heads, K, c].
        value: [B, heads, K, d].
        valid: bool [B, K], False for keys to leave out; None: all count. PyTorch's flash kernel takes none.
        dropout: chance that a weight is dropped, where something is learnt.
        lengths: int32 [B], how many of the first keys count, in place of `valid` where our kernel for GPUs is taken.

    Returns:
        [B, heads, Q, d].
    """
    narrow, half = value.shape[3] < key.shape[3], query.dtype == torch.bfloat16
    if learns_nothing_on_cpu(query) and (narrow or (half and _flash_is_slower(query, key, valid))):
        function = _in_blocks if torch.compiler.is_exporting() else torch.ops.sam2_ros.attention_on_cpu
        return function(query, key.to(query.dtype), value.to(query.dtype), valid)
    if lengths is not None or (valid is None and _is_for_the_gpu_kernel(query, key, value)):
        from sam2_ros.model.gpu_kernels.narrow_attention import narrow_attention

        return narrow_attention(query, key.to(query.dtype), value.to(query.dtype), lengths)
    few = query.shape[2] * key.shape[2] <= KEPT
    if query.device.type == "cpu" and half and torch.is_grad_enabled() and valid is None and few and not dropout:
        scores = query * query.shape[3] ** -0.5 @ key.transpose(2, 3)
        return torch.softmax(scores, dim=-1).to(value.dtype) @ value
    mask = None if valid is None else valid[:, None, None, :]
    if query.is_cuda and mask is None and weights_are_constant() and _is_large(query, key):
        # Only where something is recorded, since it holds for all threads.
        with nn.attention.sdpa_kernel(_LARGE, set_priority=True):
            return F.scaled_dot_product_attention(query, key, value)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)


def _is_for_the_gpu_kernel(query: Tensor, key: Tensor, value: Tensor) -> bool:
    """Whether ours takes them, and is the faster one: where values are narrow, or queries or keys so few that PyTorch's
    kernels leave most of a GPU idle."""
    widths = query.shape[3], value.shape[3]
    if torch.compiler.is_compiling() or min(widths) < 16:  # asked first: what follows would fix lengths that are free
        return False
    few = min(query.shape[2], key.shape[2]) <= FEW
    if few and max(widths) > (64 if query.dtype == torch.float32 else 128):  # shared memory ends somewhere
        return False
    if not has_kernels(query, *widths, float32=few):
        return False
    return few or value.shape[3] < key.shape[3] or _leaves_idle(query, key)


def _leaves_idle(query: Tensor, key: Tensor) -> bool:
    """Whether PyTorch's kernels would leave most of a GPU idle, so that it is faster to share out the keys, too."""
    from sam2_ros.model.gpu_kernels.narrow_attention import takes_wide_values

    few, many = query.shape[:3].numel() <= LONELY, min(query.shape[2], key.shape[2]) >= 1024
    return few and many and query.shape[3] == 256 and takes_wide_values(query.device)


def _flash_is_slower(query: Tensor, key: Tensor, valid: Tensor | None) -> bool:
    """Whether PyTorch's flash kernel is, on a CPU in bfloat16."""
    return not AMX or valid is not None or (query.shape[2] * key.shape[2] >= MANY and _has_cpu_kernel(query))


def _is_large(query: Tensor, key: Tensor) -> bool:
    return query.shape[:3].numel() >= CUDNN_FROM and key.shape[2] >= 1024


_LARGE = [
    nn.attention.SDPBackend.CUDNN_ATTENTION,
    nn.attention.SDPBackend.FLASH_ATTENTION,
    nn.attention.SDPBackend.EFFICIENT_ATTENTION,
    nn.attention.SDPBackend.MATH,
]


def _on_cpu(query: Tensor, key: Tensor, value: Tensor, valid: Tensor | None) -> Tensor:
    """By our kernel, or else by PyTorch's operations. An operator of its own: profilers see it, and compiled code takes
    it as it is, whose loops depend on how much is remembered."""
    return (cpu_attention if _has_cpu_kernel(query) else _in_blocks)(query, key, value, valid)


def _in_blocks(query: Tensor, key: Tensor, value: Tensor, valid: Tensor | None) -> Tensor:
    """By PyTorch's operations with at most `BLOCK` scores at a time; in float32, where there are many, over blocks of
    keys.

    Where not all keys count, one row of the batch after the other, each without those that don't.
    """
    b, heads, q, c = query.shape
    if valid is not None:
        rows = [(query[i, None], key[i, None, :, valid[i]], value[i, None, :, valid[i]]) for i in range(b)]
        return torch.cat([attention(*row) for row in rows])
    query, key, value = (x.reshape(b * heads, *x.shape[2:]) for x in (query * c**-0.5, key, value))
    n, k = key.shape[:2]
    found = query.new_empty(n, q, value.shape[2])
    if query.dtype == torch.float32 and q * k > ROWS * COLUMNS:
        for i in range(n):
            for j in range(0, q, ROWS):
                _over_keys(query[i, j : j + ROWS], key[i], value[i], found[i, j : j + ROWS])
        return found.view(b, heads, q, -1)
    together, rows = max(1, BLOCK // (q * k)), min(q, max(1, BLOCK // k))
    for i in range(0, n, together):
        some = slice(i, i + together)
        for j in range(0, q, rows):
            part = query[some, j : j + rows]
            scores = part @ key[some].transpose(1, 2) if together > 1 else F.linear(part[0], key[i])[None]
            torch.softmax(scores, dim=-1, out=scores)
            found[some, j : j + rows] = scores @ value[some]
    return found.view(b, heads, q, -1)


def _over_keys(query: Tensor, key: Tensor, value: Tensor, found: Tensor) -> None:
    """softmax(query key') value -> found, key after key, as flash attention does it (Dao et al. 2022, section 3.1).

    Scores are used while caches still hold them. What was found so far shrinks when a larger one comes.

    Args:
        query: [Q, c], scaled.
        key: [K, c].
        value: [K, d].
        found: [Q, d], for the answer.
    """
    query = query * math.log2(math.e)  # powers of two are the faster ones
    buffer = query.new_empty(len(query) * min(COLUMNS, len(key)))
    largest = query.new_full((len(query), 1), -torch.inf)
    total = torch.zeros_like(largest)
    found.zero_()
    for keys, values in zip(key.split(COLUMNS), value.split(COLUMNS), strict=True):
        scores = torch.mm(query, keys.T, out=buffer[: len(query) * len(keys)].view(len(query), -1))
        new = torch.maximum(largest, scores.amax(dim=1, keepdim=True))
        shrunk = torch.exp2(largest - new)
        largest = new
        weights = scores.sub_(largest).clamp_min_(SMALLEST).exp2_()
        total.mul_(shrunk).add_(weights.sum(dim=1, keepdim=True))
        torch.addmm(found.mul_(shrunk), weights, values, out=found)
    found.div_(total)


# Not `torch.library.custom_op`, whose first call loads PyTorch's compiler: a second, and 150 MB.
torch.library.define("sam2_ros::attention_on_cpu", "(Tensor query, Tensor key, Tensor value, Tensor? valid) -> Tensor")
torch.library.impl("sam2_ros::attention_on_cpu", "CPU", _on_cpu)


@torch.library.register_fake("sam2_ros::attention_on_cpu")
def _shape_of_attention(query: Tensor, key: Tensor, value: Tensor, valid: Tensor | None) -> Tensor:
    return query.new_empty(*query.shape[:3], value.shape[3])


def attention_kernel(device: torch.device, dtype: torch.dtype, head_dim: int = 256) -> str:
    """The kernel of memory attention: triton, our own; or what PyTorch chooses where there is no mask: flash,
    efficient, cudnn, math or overrideable."""
    probe = torch.empty(1, 1, 64, head_dim, device=device, dtype=dtype)
    with torch.no_grad():
        if has_kernels(probe, head_dim):
            return "triton"
    choice = torch._fused_sdp_choice(probe, probe, probe)
    names = {int(backend): name.split("_")[0].lower() for name, backend in nn.attention.SDPBackend.__members__.items()}
    return names.get(int(choice), "unknown")


class Attention(nn.Module):
    """Multi-head attention with separate projections, optionally at a narrower inner width.

    The two-way transformer of the mask decoder halves the width in its cross-attentions (SAM paper, appendix A);
    memory attention projects 64-wide memories to full width (SAM 2 paper, appendix C.1).
    """

    def __init__(self, dim: int, heads: int, inner_dim: int | None = None, key_dim: int | None = None) -> None:
        super().__init__()
        inner_dim = inner_dim or dim
        key_dim = key_dim or dim
        self.heads = heads
        self.q_proj = Linear(dim, inner_dim)
        self.k_proj = Linear(key_dim, inner_dim)
        self.v_proj = Linear(key_dim, inner_dim)
        self.out_proj = Linear(inner_dim, dim)

    def projections(self) -> list[nn.Module]:
        """Of queries, keys, values, and of what is found."""
        return [self.q_proj, self.k_proj, self.v_proj, self.out_proj]

    def split(self, x: Tensor) -> Tensor:
        """[B, T, inner] -> [B, heads, T, inner / heads]."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """query [B, Q, dim], key and value [B, K, key_dim] -> [B, Q, dim]."""
        q, k, v = self.split(self.q_proj(query)), self.split(self.k_proj(key)), self.split(self.v_proj(value))
        return self.out_proj(attention(q, k, v).transpose(1, 2).flatten(2))
