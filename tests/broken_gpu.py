"""A stand-in for a GPU that fails: the real network on the CPU raises PyTorch's errors of a GPU, at a chosen call.

It shows what the node does with such errors, not that a GPU raises them. As a program it is the node with such a GPU:

    python tests/broken_gpu.py encode 3 "CUDA error: an illegal memory access was encountered" --ros-args ...
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import torch

from sam2_ros.tracking.tracker import Tracker

ILLEGAL_ACCESS = (
    "CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be asynchronously reported at some"
    " other API call, so the stacktrace below might be incorrect."
)


def illegal_access() -> Exception:
    """The error as this PyTorch raises it (a stand-in's)."""
    return getattr(torch, "AcceleratorError", RuntimeError)(ILLEGAL_ACCESS)


def out_of_memory() -> Exception:
    """The error as PyTorch raises it (a stand-in's)."""
    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. (a stand-in for a GPU says so)")


def breaking(
    function: Callable[..., Any], error: Callable[[], Exception], first: int, number: int | None = 1
) -> Callable[..., Any]:
    """A function that raises an error at call `first`, counted from 0, and the next ones, `number` in all.

    Args:
        number: None: for ever, as after an error that loses the GPU.
    """
    calls = itertools.count()

    def call(*arguments: Any, **named: Any) -> Any:
        call_number = next(calls)
        if call_number >= first and (number is None or call_number < first + number):
            raise error()
        return function(*arguments, **named)

    return call


def main() -> NoReturn:
    method, first, text = sys.argv[1:4]
    del sys.argv[1:4]
    setattr(Tracker, method, breaking(getattr(Tracker, method), lambda: RuntimeError(text), int(first), None))
    from sam2_ros.ros import node

    node.main()


if __name__ == "__main__":
    main()
