"""PyTorch's switch that decides whether matrix products of float32 round their inputs to TF32 on a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import torch

NEW = hasattr(torch.backends.cuda.matmul, "fp32_precision")
"""Whether PyTorch has the switch of version 2.9; after a program has used it, reading the old one raises an error."""

_switching = Lock()


def products_round() -> bool:
    """Whether products round their inputs to TF32."""
    matmul = torch.backends.cuda.matmul
    return matmul.fp32_precision == "tf32" if NEW else matmul.allow_tf32


@contextmanager
def rounding_as_well(rounds: bool) -> Iterator[None]:
    """Round products to TF32 inside the context if `rounds`, else as the program has set it. The switch holds for all
    threads; one at a time may change it."""
    matmul, name = torch.backends.cuda.matmul, "fp32_precision" if NEW else "allow_tf32"
    with _switching:
        before = getattr(matmul, name)
        if rounds:
            setattr(matmul, name, "tf32" if NEW else True)
        try:
            yield
        finally:
            setattr(matmul, name, before)
