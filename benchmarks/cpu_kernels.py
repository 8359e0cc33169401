"""Speed of kernels for CPUs beside PyTorch's: python benchmarks/cpu_kernels.py [--threads 2] [--dtype float32 bfloat16]

Cross-attention to memory: the queries of an image and a full memory bank, keys of 256 with values of 64, at 1024 px and
at the default model's input size for 640x480. PyTorch's flash kernel needs values as wide as keys, so they are
projected first; our kernel, and its replacement without a compiler ("blockwise"), take narrow ones, which are projected
afterwards. Self-attention and rotation: bfloat16.
All take turns; medians. The difference is that from float64, as the norm of the difference over the norm. GFLOP/s count
the necessary operations, those with narrow values, beside the rate of a large matrix product.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from machine import ceilings
from rich.console import Console
from rich.table import Table
from torch import Tensor
from tqdm import tqdm

from sam2_ros.acceleration.cpu.attention import blockwise_attention
from sam2_ros.acceleration.cpu.kernels.attention import cpu_attention
from sam2_ros.acceleration.cpu.kernels.library import AMX, cpu_capability, has_cpu_kernels
from sam2_ros.acceleration.cpu.kernels.rotation import rotate_in_place
from sam2_ros.model.position import axial_rotation

WIDE, NARROW, MAPS, POINTERS = 256, 64, 7, 64
GRIDS = {"1024": (64, 64), "default": (18, 24)}
"""Rows and columns of an image's tokens."""
HEADS = ((1, WIDE), (4, 96), (8, 56), (8, 72))
"""Number and width of heads in self-attention at 1024 px: of memory attention, and of the encoders of tiny, base_plus
and large."""


def measure(ways: dict[str, Callable[[], Tensor]], rounds: int, what: str) -> dict[str, float]:
    """Median seconds of each function."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for i in tqdm(range(rounds + 1), desc=what, leave=False):
        for name, function in ways.items():
            start = time.perf_counter()
            function()
            if i:
                spent[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in spent.items()}


def cross_attention(grid: tuple[int, int], objects: int, dtype: torch.dtype) -> dict[str, Callable[[], Tensor]]:
    """Kernels for cross-attention to a full memory bank; and a sample of the exact result, "float64"."""
    cells = grid[0] * grid[1]
    keys = MAPS * cells + POINTERS
    query, key, value = (
        torch.randn(objects, 1, n, width).to(dtype) for n, width in ((cells, WIDE), (keys, WIDE), (keys, NARROW))
    )
    projection = (torch.randn(WIDE, NARROW) / NARROW**0.5).to(dtype)
    ways = {
        "PyTorch's flash": lambda: F.scaled_dot_product_attention(query, key, F.linear(value, projection)),
        "blockwise": lambda: F.linear(blockwise_attention(query, key, value), projection),
    }
    if has_cpu_kernels(dtype):
        ways["ours"] = lambda: F.linear(cpu_attention(query, key, value), projection)
    few = query[:1, :, ::64].double()
    exact = (few @ key[:1].double().mT * WIDE**-0.5).softmax(-1) @ value[:1].double() @ projection.double().mT
    ways["float64"] = lambda: exact
    return ways


def self_attention(heads: int, width: int, dtype: torch.dtype) -> dict[str, Callable[[], Tensor]]:
    """Kernels for self-attention of an image; and a sample of the exact result, "float64"."""
    query, key, value = (torch.randn(1, heads, 64 * 64, width).to(dtype) for _ in range(3))
    ways = {"PyTorch's flash": lambda: F.scaled_dot_product_attention(query, key, value)}
    if has_cpu_kernels(dtype):
        ways["ours"] = lambda: cpu_attention(query, key, value)
    exact = F.scaled_dot_product_attention(query[:, :, ::64].double(), key.double(), value.double())
    return ways | {"float64": lambda: exact}


def rotation_of_keys(grid: tuple[int, int], objects: int) -> dict[str, Callable[[], object]]:
    """Kernels that rotate the keys of a memory bank in place."""
    rotation = axial_rotation(*grid, WIDE, torch.device("cpu"))
    keys = torch.randn(objects, MAPS * len(rotation) + POINTERS, WIDE).bfloat16()

    def pytorch() -> Tensor:
        placed = keys[:, :-POINTERS].unflatten(1, (-1, len(rotation))).unflatten(-1, (-1, 2))
        return placed.copy_(torch.view_as_real(torch.view_as_complex(placed.float()).mul_(rotation)))

    ways = {"PyTorch's product": pytorch}
    if has_cpu_kernels(torch.bfloat16):
        ways["ours"] = lambda: rotate_in_place(keys, rotation, POINTERS)
    return ways


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--threads", type=int, nargs="+", default=[torch.get_num_threads()])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    console = Console()
    capability = cpu_capability()
    console.print(f"{capability}{', AMX' if AMX else ''}, PyTorch {torch.__version__}", highlight=False)
    for threads in options.threads:
        for dtype in options.dtype:
            torch.set_num_threads(threads)
            rate = ceilings("cpu", dtype, False, threads)["flops"] / 1e9
            title = f"{dtype}, {threads} thread{'s' if threads > 1 else ''}; largest matrix product: {rate:.0f} GFLOP/s"
            table = Table("", "objects", "", "ms", "GFLOP/s", "difference", title=title, title_justify="left", box=None)
            kind = getattr(torch, dtype)
            cases = [
                (f"cross-attention, {name}", n, cross_attention(grid, n, kind), grid) for name, grid in GRIDS.items()
                for n in options.objects
            ]  # fmt: skip
            if dtype == "bfloat16":
                cases += [
                    (f"self-attention, {heads} x {width}", 1, self_attention(heads, width, kind), None)
                    for heads, width in HEADS
                ]
                cases += [("rotation", n, rotation_of_keys(GRIDS["1024"], n), None) for n in options.objects]
            for what, n, ways, grid in cases:
                exact = ways.pop("float64", None)
                for name, seconds in measure(ways, options.rounds, what).items():
                    work = 0.0
                    if grid:
                        cells = grid[0] * grid[1]
                        work = 2e-9 * n * cells * (MAPS * cells + POINTERS) * (WIDE + NARROW)
                    wrong = ""
                    if exact:
                        difference = ways[name]()[:1, :, ::64].double() - exact()
                        wrong = f"{float(difference.norm() / exact().norm()):.1e}"
                    rate = f"{work / seconds:.0f}" if work else ""
                    table.add_row(what, str(n), name, f"{1e3 * seconds:.2f}", rate, wrong)
                    what = ""
            console.print(table, highlight=False)


if __name__ == "__main__":
    main()
