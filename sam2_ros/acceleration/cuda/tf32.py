"""Whether PyTorch's matrix products of float32 round their inputs to TF32 on a GPU, which the program decides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import torch

NEW = hasattr(torch.backends.cuda.matmul, "fp32_precision")
"""Whether there is the switch of PyTorch 2.9; where a program uses it, reading the old one raises an error."""

_switching = Lock()


def products_round() -> bool:
    """Whether they are rounded now."""
    matmul = torch.backends.cuda.matmul
    return matmul.fp32_precision == "tf32" if NEW else matmul.allow_tf32


@contextmanager
def rounding_as_well(rounds: bool) -> Iterator[None]:
    """Round products to TF32 within it if `rounds`, else as the program wants it. The switch holds for all threads, of
    which one at a time may hold it."""
    matmul, name = torch.backends.cuda.matmul, "fp32_precision" if NEW else "allow_tf32"
    with _switching:
        before = getattr(matmul, name)
        if rounds:
            setattr(matmul, name, "tf32" if NEW else True)
        try:
            yield
        finally:
            setattr(matmul, name, before)
