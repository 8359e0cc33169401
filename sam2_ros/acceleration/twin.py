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

    fits(module, dtype) -> bool     a static method: whether it can replace a module of the plain class, by its sizes
                                    and the precision of the computation. Without it: always.
    prepare(dtype) -> None          computes values that depend on weights alone, once. Registers no parameters.

For an input that does not suit it, its `forward` calls its parent's.
"""


def twin_of(module: M, classes: Classes, dtype: torch.dtype) -> M:
    """A copy of a module in eval mode in which faster classes replace plain ones.

    Parameters and buffers are shared, not copied, including those that several modules have in common.

    Args:
        dtype: the precision of autocast; float32 without autocast.
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
    """Compute, or compute again, the values that depend on a twin's weights alone."""
    for part in twin.modules():
        prepare_part = getattr(part, "prepare", None)
        if prepare_part is not None:
            prepare_part(dtype)
