"""Attention on a CUDA GPU: python benchmarks/cuda_kernels.py [--objects 1 4 16] [--dtype bfloat16]

The attention of SAM 2 at 1024 px. To memory: 4096 queries at a full memory bank, 28,736 keys of 256 with values of 64.
PyTorch's flash kernel takes values as wide as keys, so that they are projected first; cuDNN's takes narrow ones, too;
ours (`narrow_attention`) projects afterwards, with several ways of sharing out the work. With room, a bank for ten maps
and 19 pointers is full but for three of each. Within an image: 4096 queries and keys of 256. Tokens and image: what the
mask decoder does in float32, 8 heads of 16. And the projection and rotation of the keys. Medians; how far what
attention gives is from float32 (or float64), as the norm of the difference over the norm.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

QUERIES, MAPS, POINTERS, WIDE, NARROW = 4096, 7, 64, 256, 64
ROOM = 10 * QUERIES + 76
SOME = slice(0, QUERIES, 64)
"""Number of queries whose results are compared: all of them are too many in float32."""
WAYS = (
    *(((64, 64, 8, 2), 1), ((64, 64, 4, 3), 1), ((64, 64, 4, 3), 4)),
    *(((128, 64, 8, 3), 1), ((128, 64, 8, 3), 8), ((128, 128, 8, 2), 1)),
)
"""Queries and keys of a block, warps, stages; parts of the keys."""
KERNELS = {"flash": SDPBackend.FLASH_ATTENTION, "cuDNN": SDPBackend.CUDNN_ATTENTION}


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--dtype", choices=["bfloat16", "float16"], default="bfloat16")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("there is no CUDA GPU; tests/acceleration/cuda checks the kernels without one")
    from triton.testing import do_bench

    from sam2_ros.acceleration.cuda.kernels.key_projection import projected_keys
    from sam2_ros.acceleration.cuda.kernels.narrow_attention import Blocks, narrow_attention
    from sam2_ros.acceleration.cuda.kernels.rotation import rotate_in_place
    from sam2_ros.model.position import axial_rotation

    dtype = getattr(torch, options.dtype)
    console = Console()
    console.print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}, {options.dtype}")
    table = Table("objects", "what", "kernel", "ms", "TFLOP/s", "difference", box=None, padding=(0, 2, 0, 0))

    def row(
        n: int,
        direction: str,
        kernel: str,
        function: Callable[[], Tensor],
        tflop: float,
        expected: Tensor | None = None,
    ) -> None:
        try:
            result = function().float()
            spent = do_bench(function, warmup=10, rep=60, return_mode="median")
        except Exception as error:  # too large for this GPU, or not available
            table.add_row(str(n), direction, kernel, "", "", type(error).__name__)
            return
        wrong = "" if expected is None else f"{float((result - expected).norm() / expected.norm()):.1e}"
        rate = f"{1000 * tflop / spent:.0f}" if tflop else ""
        table.add_row(str(n), direction, kernel, f"{spent:.3f}", rate, wrong)

    def random(n: int, *shape: int) -> Tensor:
        return torch.randn(n, *shape, device="cuda").to(dtype)

    for n in options.objects:
        query, own = random(n, 1, QUERIES, WIDE), random(n, 1, QUERIES, WIDE)
        room_key, room_value = random(n, 1, ROOM, WIDE), random(n, 1, ROOM, NARROW)
        placed, keys = MAPS * QUERIES, MAPS * QUERIES + POINTERS
        key, value = (x[:, :, :keys].contiguous() for x in (room_key, room_value))
        counts = torch.tensor([[placed] * n, [keys] * n], dtype=torch.int32, device="cuda")
        projection = random(WIDE, NARROW) / 8
        work = 2e-12 * n * QUERIES
        scores = query[:, :, SOME].float() @ key.float().mT * WIDE**-0.5
        expected = F.linear(scores.softmax(-1) @ value.float(), projection.float())
        narrow = (WIDE + NARROW) * key.shape[2] * work

        for name, backend in KERNELS.items():

            def theirs(backend=backend, query=query, key=key, value=value, projection=projection) -> Tensor:
                with sdpa_kernel(backend):
                    return F.scaled_dot_product_attention(query, key, F.linear(value, projection))[:, :, SOME]

            row(n, "to memory", f"PyTorch, {name}", theirs, 2 * WIDE * key.shape[2] * work, expected)

        def cudnn_narrow(query=query, key=key, value=value, projection=projection) -> Tensor:
            with sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
                return F.linear(F.scaled_dot_product_attention(query, key, value), projection)[:, :, SOME]

        row(n, "to memory", "PyTorch, cuDNN, narrow", cudnn_narrow, narrow, expected)
        for blocks, parts in (None, None), *WAYS:

            def ours(query=query, key=key, value=value, projection=projection, blocks=blocks, parts=parts) -> Tensor:
                blocks = Blocks(*blocks) if blocks else None
                return F.linear(narrow_attention(query, key, value, None, blocks, parts), projection)[:, :, SOME]

            row(n, "to memory", f"ours {blocks}, {parts}" if blocks else "ours", ours, narrow, expected)

        def with_room(query=query, key=room_key, value=room_value, counts=counts, projection=projection) -> Tensor:
            return F.linear(narrow_attention(query, key, value, counts[1]), projection)[:, :, SOME]

        row(n, "to memory, with room", "ours", with_room, narrow, expected)

        scores = query[:, :, SOME].float() @ own.float().mT * WIDE**-0.5
        expected = scores.softmax(-1) @ query.float()
        for name, backend in KERNELS.items():

            def theirs(backend=backend, query=query, own=own) -> Tensor:
                with sdpa_kernel(backend):
                    return F.scaled_dot_product_attention(query, own, query)[:, :, SOME]

            row(n, "within an image", f"PyTorch, {name}", theirs, 2 * WIDE * QUERIES * work, expected)

        def own_kernel(query=query, own=own) -> Tensor:
            return narrow_attention(query, own, query)[:, :, SOME]

        row(n, "within an image", "ours", own_kernel, 2 * WIDE * QUERIES * work, expected)

        tokens, image = torch.randn(n, 8, 8, 16, device="cuda"), torch.randn(n, 8, QUERIES, 16, device="cuda")
        for direction, queries, key_tokens in (("tokens to image", tokens, image), ("image to tokens", image, tokens)):
            expected = (queries.double() @ key_tokens.double().mT / 4).softmax(-1) @ key_tokens.double()
            for kernel, function in (("PyTorch", F.scaled_dot_product_attention), ("ours", narrow_attention)):
                attend = partial(function, queries, key_tokens, key_tokens)
                row(n, direction + ", float32", kernel, attend, 4e-12 * n * 8 * 8 * 16 * QUERIES, expected.float())

        rotation = axial_rotation(64, 64, WIDE, query.device)
        keys = key[:, 0]

        def complex_product(keys=keys, rotation=rotation) -> Tensor:
            maps = keys[:, :-POINTERS].float().unflatten(1, (-1, len(rotation))).unflatten(-1, (-1, 2))
            maps = torch.view_as_real(torch.view_as_complex(maps) * rotation).flatten(-2).flatten(1, 2).to(keys.dtype)
            return torch.cat((maps, keys[:, -POINTERS:]), dim=1)

        row(n, "rotation", "PyTorch", complex_product, 0, complex_product().float())
        scratch = keys.clone()
        row(n, "rotation", "ours, in place", partial(rotate_in_place, scratch, rotation, POINTERS), 0)

        weight, bias, tokens = projection, random(WIDE), value[:, 0]

        def product_and_rotation(tokens=tokens, weight=weight, bias=bias, rotation=rotation) -> Tensor:
            return rotate_in_place(F.linear(tokens, weight, bias), rotation, POINTERS)

        expected = product_and_rotation().float()
        row(n, "keys", "product, then rotation in place", product_and_rotation, 0, expected)
        row(n, "keys", "ours", partial(projected_keys, tokens, weight, bias, rotation, counts, POINTERS), 0, expected)
    console.print(table)


if __name__ == "__main__":
    main()
