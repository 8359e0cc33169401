"""Attention to memory on a CUDA GPU: python benchmarks/kernels.py [--objects 1 4 16] [--dtype bfloat16]

One layer of SAM 2 at 1024 px: 4096 queries at a full memory bank, 28,736 keys of 256 with values of 64. PyTorch's flash
kernel, which takes values as wide as keys only, so that they are projected first; and ours (`narrow_attention`), with
several ways of sharing out the work, and the projection afterwards. Medians; the largest difference of what comes out.
"""

from __future__ import annotations

import argparse

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor

QUERIES, KEYS, WIDE, NARROW = 4096, 7 * 4096 + 64, 256, 64


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--dtype", choices=["bfloat16", "float16"], default="bfloat16")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("there is no CUDA GPU; tests/model/test_narrow_attention.py checks the kernel without one")
    from triton.testing import do_bench

    from sam2_ros.model.narrow_attention import BLOCKS, Blocks, narrow_attention

    dtype = getattr(torch, options.dtype)
    console = Console()
    console.print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}, {options.dtype}")
    table = Table("objects", "kernel", "blocks", "ms", "TFLOP/s", "difference")
    for n in options.objects:
        query = torch.randn(n, 1, QUERIES, WIDE, device="cuda", dtype=dtype)
        key = torch.randn(n, 1, KEYS, WIDE, device="cuda", dtype=dtype)
        value = torch.randn(n, 1, KEYS, NARROW, device="cuda", dtype=dtype)
        projection = torch.randn(WIDE, NARROW, device="cuda", dtype=dtype) / 8

        def flash(query=query, key=key, value=value, projection=projection) -> Tensor:
            return F.scaled_dot_product_attention(query, key, F.linear(value, projection))

        expected = flash().float()
        spent = do_bench(flash, return_mode="median")
        work = 2 * n * QUERIES * KEYS * 1e-9  # of TFLOP in a ms, for each column of keys and values
        table.add_row(str(n), "PyTorch", "", f"{spent:.2f}", f"{2 * WIDE * work / spent:.0f}", "")
        for blocks in (BLOCKS, Blocks(64, 64, 4, 2), Blocks(128, 64, 8, 2), Blocks(128, 32, 8, 3),
                       Blocks(64, 32, 4, 3), Blocks(32, 64, 4, 2)):  # fmt: skip

            def ours(query=query, key=key, value=value, projection=projection, blocks=blocks) -> Tensor:
                return F.linear(narrow_attention(query, key, value, blocks=blocks), projection)

            try:
                wrong = (ours().float() - expected).abs().max().item()
                spent = do_bench(ours, return_mode="median")
            except Exception as error:  # too large for this GPU
                table.add_row(str(n), "sam2_ros", str(tuple(blocks)), "", "", type(error).__name__)
                continue
            rate = (WIDE + NARROW) * work / spent
            table.add_row(str(n), "sam2_ros", str(tuple(blocks)), f"{spent:.2f}", f"{rate:.0f}", f"{wrong:.1e}")
    console.print(table)


if __name__ == "__main__":
    main()
