"""Hiera: the hierarchical image encoder (Ryali et al. 2023; SAM 2 paper, appendix C.1).

Plain transformer blocks over four stages of strides 4, 8, 16 and 32. Most blocks attend within windows; a few, late in
stage 3, attend to the whole image. Between stages, the queries of the first block are max-pooled 2x2.

Under autocast, the residual stream stays in float32: patch embedding and the shortcut projections between stages. A
rounding error there would reach every later block (docs/speed.md, "Half precision").
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_ros.model.attention import attention
from sam2_ros.model.config import HieraConfig
from sam2_ros.model.layers import MLP, in_float32


def max_pool(x: Tensor) -> Tensor:
    """2x2 max-pooling: [B, H, W, C] -> [B, H / 2, W / 2, C]."""
    return F.max_pool2d(x.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)


def to_windows(x: Tensor, window: int) -> Tensor:
    """Partition a map into windows, padded with zeros at the bottom and the right.

    [B, H, W, C] -> [B * windows, window, window, C]
    """
    b, h, w, c = x.shape
    if h % window or w % window:
        x = F.pad(x, (0, 0, 0, -w % window, 0, -h % window))
    rows, columns = x.shape[1] // window, x.shape[2] // window
    return x.view(b, rows, window, columns, window, c).transpose(2, 3).reshape(-1, window, window, c)


def from_windows(x: Tensor, height: int, width: int) -> Tensor:
    """Merge windows into a map of height x width, without padding: the inverse of `to_windows`."""
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


class PatchEmbed(nn.Module):
    """Overlapping 7x7 patches at stride 4: [B, 3, H, W] -> [B, H / 4, W / 4, dim]."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, kernel_size=7, stride=4, padding=3)

    def forward(self, image: Tensor) -> Tensor:
        return self.proj(image).permute(0, 2, 3, 1)


class WindowAttention(nn.Module):
    """Self-attention over a [B, H, W, dim] map or window, optionally with queries pooled 2x2."""

    attention = staticmethod(attention)

    def __init__(self, dim: int, dim_out: int, heads: int, pool: bool) -> None:
        super().__init__()
        self.heads = heads
        self.pool = pool
        self.qkv = nn.Linear(dim, dim_out * 3)
        self.proj = nn.Linear(dim_out, dim_out)

    def forward(self, x: Tensor) -> Tensor:
        """[B, H, W, dim] -> [B, H, W, dim_out], or half the height and width when pooling."""
        return self.proj(self.attend(self.qkv(x)))

    def attend(self, qkv: Tensor) -> Tensor:
        """[B, H, W, 3 * dim_out] -> [B, H, W, dim_out], or half the height and width when pooling."""
        b = qkv.shape[0]
        q, k, v = qkv.chunk(3, dim=-1)
        if self.pool:
            q = max_pool(q)
        h, w = q.shape[1:3]
        q, k, v = (t.reshape(b, -1, self.heads, t.shape[-1] // self.heads).transpose(1, 2) for t in (q, k, v))
        return self.attention(q, k, v).transpose(1, 2).reshape(b, h, w, -1)


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
            self.proj = nn.Linear(dim, dim_out)

    def forward(self, x: Tensor) -> Tensor:
        """[B, H, W, dim] -> [B, H, W, dim_out], or half the height and width when pooling."""
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


class Hiera(nn.Module):
    """The image encoder's trunk: an image to four feature maps."""

    def __init__(self, config: HieraConfig) -> None:
        super().__init__()
        dim, window = config.embed_dim, config.windows[0]
        self.patch_embed = PatchEmbed(dim)
        self.pos_embed = nn.Parameter(torch.zeros(1, dim, *config.position_grid))
        self.pos_embed_window = nn.Parameter(torch.zeros(1, dim, window, window))

        self.blocks = nn.ModuleList()
        self.stage_ends = [sum(config.blocks[: stage + 1]) - 1 for stage in range(4)]
        depth = sum(config.blocks)
        for stage, blocks in enumerate(config.blocks):
            for i in range(blocks):
                index = len(self.blocks)
                first = i == 0 and stage > 0
                # The first block of a stage gets the map of the previous stage, so it uses that stage's window.
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
        """Position embedding, a resized background plus a tiled window: [1, height, width, dim]."""
        background = F.interpolate(self.pos_embed, size=(height, width), mode="bicubic")
        window = self.pos_embed_window
        tiles = window.tile(1, 1, -(-height // window.shape[2]), -(-width // window.shape[3]))
        return (background + tiles[:, :, :height, :width]).permute(0, 2, 3, 1)

    def embed(self, image: Tensor) -> Tensor:
        """Patch and position embedding: [B, 3, H, W] -> [B, H / 4, W / 4, dim]."""
        with in_float32(image):
            x = self.patch_embed(image).contiguous()  # the residual stream keeps its memory format
            return x + self.position(*x.shape[1:3])

    def forward(self, image: Tensor) -> list[Tensor]:
        """[B, 3, H, W] -> maps [B, dims[i], H / stride, W / stride] of strides 4, 8, 16, 32."""
        x = self.embed(image)
        maps = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.stage_ends:
                maps.append(x.permute(0, 3, 1, 2))
        return maps
