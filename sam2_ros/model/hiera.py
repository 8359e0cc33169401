"""Hiera: the hierarchical image encoder (Ryali et al. 2023; SAM 2 paper, appendix C.1).

Plain transformer blocks over four stages of strides 4, 8, 16 and 32. Most blocks attend within windows; a few, late in
stage 3, attend to the whole image. Between stages, the queries of the first block are max-pooled 2x2.

What blocks add to stays in float32, also where autocast has them work in half precision: patches, and what leads from
one stage to the next. A rounding there is one that no later block can mend (docs/speed.md, "Half precision").
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_ros.model.attention import attention
from sam2_ros.model.config import HieraConfig
from sam2_ros.model.cpu_kernels.hiera_block import hiera_block
from sam2_ros.model.cpu_kernels.library import has_cpu_kernels
from sam2_ros.model.layers import (
    MLP,
    Kept,
    Linear,
    has_kernels,
    in_float32,
    in_half_on_gpu,
    rounded,
    takes_cpu_kernels,
    weights,
)


def max_pool(x: Tensor) -> Tensor:
    """2x2 max-pooling: [B, H, W, C] -> [B, H / 2, W / 2, C]."""
    return F.max_pool2d(x.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)


def to_windows(x: Tensor, window: int) -> Tensor:
    """Cut a map into windows, padded with zeros at the bottom and the right.

    [B, H, W, C] -> [B * windows, window, window, C]
    """
    b, h, w, c = x.shape
    if h % window or w % window:
        x = F.pad(x, (0, 0, 0, -w % window, 0, -h % window))
    rows, columns = x.shape[1] // window, x.shape[2] // window
    return x.view(b, rows, window, columns, window, c).transpose(2, 3).reshape(-1, window, window, c)


def from_windows(x: Tensor, height: int, width: int) -> Tensor:
    """Put windows together again and drop the padding: the inverse of `to_windows`."""
    window, c = x.shape[1], x.shape[-1]
    rows, columns = -(-height // window), -(-width // window)
    x = x.view(-1, rows, columns, window, window, c).transpose(2, 3).reshape(-1, rows * window, columns * window, c)
    return x[:, :height, :width]


def drop_path(x: Tensor, rate: float, training: bool) -> Tensor:
    """Stochastic depth: drop whole samples of a residual branch [B, ...]."""
    if not training or rate == 0.0:
        return x
    keep = torch.empty(x.shape[0], *[1] * (x.dim() - 1), device=x.device, dtype=x.dtype).bernoulli_(1 - rate)
    return x * keep / (1 - rate)


SMALL = 64
"""Tokens of a window up to which our kernel attends to them faster than PyTorch's."""

POOLED = 256
"""The same where queries are pooled, for which PyTorch makes copies and a pass of its own."""


WIDEST, FEWEST = 256, 32
"""Channels up to which, and tokens of a window from which on, our kernel for CPUs is the faster one."""


MANY = 2**20
"""Numbers of a map from which on products by tiles, in bfloat16, are faster than it, which stays in float32."""


class PatchEmbed(nn.Module):
    """Overlapping 7x7 patches at stride 4, and where they are: [B, 3, H, W] -> [B, H / 4, W / 4, dim]."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, kernel_size=7, stride=4, padding=3)

    def forward(self, image: Tensor, position: Callable[[int, int], Tensor]) -> Tensor:
        """position: gives what is added to a map of some height and width, [1, height, width, dim]."""
        if in_half_on_gpu(image):
            from sam2_ros.model.gpu_kernels.patch_embedding import patch_embedding

            where = position(image.shape[2] // 4, image.shape[3] // 4)
            return patch_embedding(image.contiguous(), self.proj.weight, self.proj.bias, where, stride=4)
        if takes_cpu_kernels(image):
            from sam2_ros.model.cpu_kernels.patch_embedding import patch_embedding

            where = position(image.shape[2] // 4, image.shape[3] // 4)
            return patch_embedding(image, self.proj.weight, self.proj.bias, where)
        with in_float32(image):
            x = self.proj(image).permute(0, 2, 3, 1).contiguous()  # all that is added to it takes its layout
        return x + position(*x.shape[1:3])


class WindowAttention(nn.Module):
    """Self-attention over a [B, H, W, dim] map or window, optionally with queries pooled 2x2."""

    def __init__(self, dim: int, dim_out: int, heads: int, pool: bool) -> None:
        super().__init__()
        self.heads = heads
        self.pool = pool
        self.qkv = Linear(dim, dim_out * 3)
        self.proj = Linear(dim_out, dim_out)

    def forward(self, x: Tensor) -> Tensor:
        """[B, H, W, dim] -> [B, H, W, dim_out], or half the height and width when pooling."""
        return self.proj(self.attend(self.qkv(x)))

    def attend(self, qkv: Tensor) -> Tensor:
        """[B, H, W, 3 * dim_out] -> [B, H, W, dim_out], or half the height and width when pooling."""
        small = qkv.shape[1:3].numel() <= (POOLED if self.pool else SMALL) and qkv.shape[3] <= 3 * self.heads * 128
        if small and has_kernels(qkv):
            from sam2_ros.model.gpu_kernels.window_attention import window_attention

            return window_attention(qkv, self.heads, self.pool)
        b = qkv.shape[0]
        q, k, v = qkv.chunk(3, dim=-1)
        if self.pool:
            q = max_pool(q)
        h, w = q.shape[1:3]
        q, k, v = (t.reshape(b, -1, self.heads, t.shape[-1] // self.heads).transpose(1, 2) for t in (q, k, v))
        return attention(q, k, v).transpose(1, 2).reshape(b, h, w, -1)


class Block(nn.Module):
    """Pre-norm transformer block; the first of a stage also halves the map and widens the channels."""

    def __init__(self, dim: int, dim_out: int, heads: int, window: int, pool: bool, drop: float) -> None:
        super().__init__()
        self.window = window
        self.pool = pool
        self.drop = drop
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = WindowAttention(dim, dim_out, heads, pool)
        self.norm2 = nn.LayerNorm(dim_out, eps=1e-6)
        self.mlp = MLP(dim_out, dim_out * 4, dim_out, layers=2, activation="gelu")
        if dim != dim_out:
            self.proj = Linear(dim, dim_out)

    def forward(self, x: Tensor) -> Tensor:
        """[B, H, W, dim] -> [B, H, W, dim_out], or half the height and width when pooling."""
        if not self.training and self.pool == hasattr(self, "proj") and in_half_on_gpu(x):
            return self._fused(x, torch.get_autocast_dtype("cuda"))
        if self._is_for_the_cpu_kernel(x):
            return hiera_block(x, self.weights(), self.attn.heads, self.window, self.norm1.eps)
        shortcut = x
        x = self.norm1(x)
        if hasattr(self, "proj"):
            with in_float32(x):
                shortcut = self.proj(x)
        if self.pool:
            shortcut = max_pool(shortcut)
        if self.window:  # noqa: SIM108
            x = from_windows(self.attn(to_windows(x, self.window)), *shortcut.shape[1:3])
        else:
            x = self.attn(x)
        x = shortcut + drop_path(x, self.drop, self.training)
        return x + drop_path(self.mlp(self.norm2(x)), self.drop, self.training)

    def weights(self) -> list[Tensor]:
        """All of them, as our kernel for CPUs takes them."""
        layers = (self.norm1, self.attn.qkv, self.attn.proj, *([self.proj] if self.pool else []))
        return weights(*layers, self.norm2, *self.mlp.layers)

    def _is_for_the_cpu_kernel(self, x: Tensor) -> bool:
        """Whether to take it for x: in float32, also where autocast asks for less, since it is as fast."""
        if self.training or not takes_cpu_kernels(x):
            return False
        if x.numel() > MANY and torch.is_autocast_enabled("cpu") and has_cpu_kernels(torch.bfloat16):
            return False
        many = not self.window or self.window**2 >= FEWEST
        even = not (self.pool and (x.shape[1] % 2 or x.shape[2] % 2 or self.window % 2))  # what is odd is cut off
        return many and even and self.attn.proj.out_features <= WIDEST and self.pool == hasattr(self, "proj")

    def _fused(self, x: Tensor, half: torch.dtype) -> Tensor:
        """The same by our kernels for GPUs: rounding, cutting into windows, putting them together, GELU and sums happen
        on the way into a product or out of it, and are no passes over memory of their own."""
        from sam2_ros.model.gpu_kernels.fused_linear import fused_linear
        from sam2_ros.model.gpu_kernels.layer_norm import layer_norm
        from sam2_ros.model.gpu_kernels.pooled_linear import pooled_linear

        def norm(x: Tensor, by: nn.LayerNorm, dtype: torch.dtype, window: int = 0) -> Tensor:
            return layer_norm(x, by.weight, by.bias, by.eps, dtype, window=window)

        def linear(x: Tensor, by: nn.Linear, **then: object) -> Tensor:
            return fused_linear(x, rounded(by.weight, half), by.bias, **then)

        shortcut = x = x.contiguous()
        if self.pool:  # and then channels are widened, too
            shortcut = pooled_linear(norm(x, self.norm1, x.dtype), self.proj.weight, self.proj.bias)
        x = self.attn.attend(self.attn.qkv(norm(x, self.norm1, half, self.window)))
        x = linear(x, self.attn.proj, residual=shortcut, window=x.shape[1] if self.window else 0)
        up, down = self.mlp.layers
        return linear(linear(norm(x, self.norm2, half), up, gelu=True), down, residual=x)


class Hiera(nn.Module):
    """The image encoder's trunk: a picture in, four feature maps out."""

    def __init__(self, config: HieraConfig) -> None:
        super().__init__()
        dim, window = config.embed_dim, config.windows[0]
        self.patch_embed = PatchEmbed(dim)
        self.pos_embed = nn.Parameter(torch.zeros(1, dim, *config.position_grid))
        self.pos_embed_window = nn.Parameter(torch.zeros(1, dim, window, window))
        self._position = Kept()

        self.blocks = nn.ModuleList()
        self.stage_ends = [sum(config.blocks[: stage + 1]) - 1 for stage in range(4)]
        depth = sum(config.blocks)
        for stage, blocks in enumerate(config.blocks):
            for i in range(blocks):
                index = len(self.blocks)
                first = i == 0 and stage > 0
                # A stage's first block still sees the map of the stage before, so it uses that stage's window.
                window = config.windows[stage - 1 if first else stage]
                self.blocks.append(
                    Block(
                        dim=config.dims[stage - 1 if first else stage],
                        dim_out=config.dims[stage],
                        heads=config.heads * 2**stage,
                        window=0 if index in config.global_blocks else window,
                        pool=first,
                        drop=config.drop_path * index / (depth - 1),
                    )
                )

    def position(self, height: int, width: int) -> Tensor:
        """Learnt positions, a resized background plus a tiled window: [1, height, width, dim]."""
        window = self.pos_embed_window

        def compute() -> Tensor:
            background = F.interpolate(self.pos_embed, size=(height, width), mode="bicubic")
            tiles = window.tile(1, 1, -(-height // window.shape[2]), -(-width // window.shape[3]))
            return (background + tiles[:, :, :height, :width]).permute(0, 2, 3, 1).contiguous()

        return self._position(compute, (height, width), self.pos_embed, window)

    def forward(self, image: Tensor) -> list[Tensor]:
        """[B, 3, H, W] -> maps [B, dims[i], H / stride, W / stride] of strides 4, 8, 16, 32."""
        x = self.patch_embed(image, self.position)
        maps = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.stage_ends:
                maps.append(x.permute(0, 3, 1, 2))
        return maps
