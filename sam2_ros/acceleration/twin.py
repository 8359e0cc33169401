"""A network made of faster classes that shares its weights with the plain one."""

from __future__ import annotations

from collections.abc import Mapping
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
    """Copy a module in eval mode, and replace classes by faster ones.

    Parameters, buffers and hooks are not copied but shared, even if they are replaced or added later. A part stays
    plain if submodules were replaced (LoRA, quantisation) or have hooks, since kernels would bypass them.

    Args:
        dtype: autocast's precision, float32 without autocast.
    """
    twin = _mirror(module, {}).eval()
    for part in twin.modules():
        faster = classes.get(type(part))
        if faster is None or not _has_plain_parts(part, classes):
            continue
        if not hasattr(faster, "fits") or faster.fits(part, dtype):
            part.__class__ = faster
    prepare(twin, dtype)
    return twin


def _mirror(module: M, mirrored: dict[int, nn.Module]) -> M:
    """A module of the same class with the same weights, hooks and attributes, but submodules of its own."""
    if id(module) not in mirrored:
        mirror = mirrored[id(module)] = object.__new__(type(module))
        mirror.__dict__.update(module.__dict__)
        mirror.__dict__["_modules"] = {
            name: None if part is None else _mirror(part, mirrored) for name, part in module._modules.items()
        }
    return mirrored[id(module)]  # type: ignore[return-value]


def _has_plain_parts(module: nn.Module, classes: Classes) -> bool:
    """Whether all submodules are of this package's or PyTorch's own classes, without hooks."""
    faster = set(classes.values())
    for part in module.modules():
        own = type(part).__module__.startswith(("sam2_ros.model.", "torch.nn.modules.")) or type(part) in faster
        if part is not module and (not own or part._forward_hooks or part._forward_pre_hooks):
            return False
    return True


@torch.no_grad()
def prepare(twin: nn.Module, dtype: torch.dtype) -> None:
    """Precompute from the weights of a twin; again after they have changed."""
    for part in twin.modules():
        prepare_part = getattr(part, "prepare", None)
        if prepare_part is not None:
            prepare_part(dtype)
