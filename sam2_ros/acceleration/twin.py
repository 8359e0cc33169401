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
"""A class of the plain network -> the faster one that takes its place.

A faster class inherits from the plain one and computes the same. It may define two methods:

    fits(module, dtype) -> bool     a static method: whether it can stand in for a module of the plain class, from its
                                    sizes and the precision that is computed in. Without it: always.
    prepare(dtype) -> None          compute what follows from weights alone, once. Never registers parameters.

Where an input does not suit it, its `forward` calls its parent's.
"""


def twin_of(module: M, classes: Classes, dtype: torch.dtype) -> M:
    """A copy of a module in eval mode in which faster classes take the place of plain ones.

    Parameters and buffers are not copied but shared, those that several modules have in common included.

    Args:
        dtype: that autocast computes in, float32 where there is none.
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
    """Compute, or compute again, what follows from the weights of a twin."""
    for part in twin.modules():
        prepare_part = getattr(part, "prepare", None)
        if prepare_part is not None:
            prepare_part(dtype)
