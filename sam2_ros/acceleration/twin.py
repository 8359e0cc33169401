"""A network made of faster classes that shares its weights with the plain one."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from itertools import chain
from typing import Any, TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)

Classes = Mapping[type[nn.Module], type[Any]]
"""A class of the plain network -> the faster class that replaces it.

A faster class inherits from the plain one and computes the same. It may define two methods:

    fits(module, dtype) -> bool     static: whether it supports a module of the plain class, by its sizes and the
                                    precision of the computation; without it, always.
    prepare(dtype) -> None          precompute from the weights. Must not register parameters.

For inputs that it does not support, its `forward` calls its parent's.
"""


def twin_of(module: M, classes: Classes, dtype: torch.dtype) -> M:
    """Copy a module, in eval mode, with faster classes in place of plain ones. Parameters and buffers are shared.

    Args:
        dtype: precision of autocast; float32 without autocast.
    """
    shared = {id(tensor): tensor for tensor in chain(module.parameters(), module.buffers())}
    twin = deepcopy(module, shared).eval()
    for part in twin.modules():
        faster = classes.get(type(part))
        if faster is not None and (not hasattr(faster, "fits") or faster.fits(part, dtype)):
            part.__class__ = faster
    prepare(twin, dtype)
    return twin


@torch.no_grad()
def prepare(twin: nn.Module, dtype: torch.dtype) -> None:
    """Precompute from the weights of a twin; again after they have changed."""
    for part in twin.modules():
        prepare_part = getattr(part, "prepare", None)
        if prepare_part is not None:
            prepare_part(dtype)
