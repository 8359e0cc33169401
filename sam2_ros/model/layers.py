"""Layers that several parts of the network are made of."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from importlib.util import find_spec
from itertools import pairwise
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_ros.model.cpu_kernels.library import has_cpu_kernels

log = logging.getLogger("sam2_ros")

T = TypeVar("T")

TRITON = find_spec("triton") is not None


def has_kernels(x: Tensor, *widths: int, float32: bool = False) -> bool:
    """Whether our Triton kernels take x: on CUDA in half precision, where nothing is learnt.

    Args:
        widths: of what a kernel works on, which have to be powers of two.
        float32: whether it takes float32, too.
    """
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or not (TRITON and x.is_cuda):
        return False
    known = x.dtype in (torch.bfloat16, torch.float16) or (float32 and x.dtype == torch.float32)
    return known and not any(width & (width - 1) for width in widths) and _triton_works(x.device)


def in_half_on_gpu(x: Tensor, *widths: int) -> bool:
    """Whether our kernels take x, also in float32, where autocast has products in half precision; widths likewise."""
    return has_kernels(x, *widths, float32=True) and torch.is_autocast_enabled("cuda")


@lru_cache(maxsize=16)
def _triton_works(device: torch.device) -> bool:
    """Whether it can build and launch our kernels: it needs an Ampere GPU, and a C compiler, which robots may lack."""
    if torch.cuda.get_device_capability(device) < (8, 0):
        return False
    from sam2_ros.model.gpu_kernels.rotation import rotate_in_place

    try:
        turn = torch.ones(1, 8, dtype=torch.complex64, device=device)
        rotate_in_place(torch.zeros(1, 1, 16, dtype=torch.bfloat16, device=device), turn)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # whatever is missing, PyTorch's own kernels do the same
        log.warning("Triton's kernels are left out, which is slower: %s", error)
        return False
    return True


_constants: ContextVar[dict[Hashable, object] | None] = ContextVar("constants", default=None)


@contextmanager
def constant_weights(kept: dict[Hashable, object]) -> Iterator[None]:
    """Within it, what depends on weights alone is computed once, and kept in the dict: weights must not change."""
    token = _constants.set(kept)
    try:
        yield
    finally:
        _constants.reset(token)


def weights_are_constant() -> bool:
    """Whether that is so just now."""
    return not torch.compiler.is_compiling() and _constants.get() is not None


def once(compute: Callable[[], T], *key: Hashable) -> T:
    """compute(), which depends on weights alone, or what it gave before while `constant_weights` are promised."""
    if torch.compiler.is_compiling() or (kept := _constants.get()) is None:
        return compute()
    if key not in kept:
        kept[key] = compute()
    return kept[key]  # type: ignore[return-value]


def rounded(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """A parameter in another precision."""
    return once(lambda: weight.to(dtype), id(weight), dtype)


class Kept:
    """A result that is used frame after frame: computed again only when the weights it comes from have changed.

    Weights are compared by value, which tells every change, however it was made. So they should be few. On a GPU, where
    to compare is to wait, and while learning nothing is kept, but for what `constant_weights` allow.
    """

    def __init__(self) -> None:
        # Key, weights and result in one, so that threads may share it.
        self._kept: tuple[Hashable, list[Tensor], Tensor] = None, [], torch.empty(0)

    def __call__(self, compute: Callable[[], Tensor], size: Hashable, *weights: Tensor) -> Tensor:
        """compute(), which depends on a size and on weights."""
        if torch.is_grad_enabled() or weights[0].device.type != "cpu" or torch.compiler.is_compiling():
            return once(compute, id(self), size)
        key = size, weights[0].dtype, torch.is_autocast_enabled("cpu")
        kept_key, kept_weights, result = self._kept
        if key != kept_key or not all(map(torch.equal, kept_weights, weights)):
            result = compute()
            self._kept = key, [weight.clone() for weight in weights], result
        return result


def in_float32(x: Tensor) -> torch.autocast:
    """Without autocast on x's device: for what is small, and where rounding would decide."""
    return torch.autocast("cpu" if x.is_meta else x.device.type, enabled=False)  # without data there is no autocast


def learns_nothing_on_cpu(x: Tensor) -> bool:
    """Whether what is done with tensors like x may take what has no backward pass, on a CPU."""
    return x.device.type == "cpu" and not torch.is_grad_enabled()


def takes_cpu_kernels(*given: Tensor) -> bool:
    """Whether our kernels for CPUs take what is given: float32, where nothing is learnt or compiled."""
    if not learns_nothing_on_cpu(given[0]) or torch.compiler.is_compiling():
        return False
    return all(x.dtype == torch.float32 for x in given) and has_cpu_kernels(torch.float32)


def weights(*layers: nn.Module) -> list[Tensor]:
    """Weight and bias of each, as these kernels take them."""
    return [weight for layer in layers for weight in (layer.weight, layer.bias)]


class LayerNorm2d(nn.LayerNorm):
    """LayerNorm over the channels of a [B, C, H, W] map."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, x: Tensor, then: str = "none") -> Tensor:
        """The norm, and "gelu" of it."""
        if has_kernels(x, x.shape[1], float32=True):
            from sam2_ros.model.gpu_kernels.channel_norm import channel_norm

            return channel_norm(x, self.weight, self.bias, self.eps, then == "gelu")
        if x.is_cuda and x.shape[1] < 32:  # PyTorch's kernel takes a block of threads for every pixel
            x = self._by_the_formula(x)
        else:
            x = super().forward(x.movedim(1, -1)).movedim(-1, 1)
        return x if then == "none" else getattr(F, then)(x)

    def after(self, convolution: nn.Conv2d, x: Tensor, then: str = "none") -> Tensor:
        """The norm of what a convolution makes of x, and "gelu" of it; on a GPU in half precision, our kernel adds the
        convolution's bias, too, for which PyTorch makes a pass over memory."""
        if not (has_kernels(x, *self.normalized_shape, float32=True) and torch.is_autocast_enabled("cuda")):
            return self(convolution(x), then)
        from sam2_ros.model.gpu_kernels.channel_norm import channel_norm

        dtype, weight = torch.get_autocast_dtype("cuda"), convolution.weight
        weight = once(lambda: weight.to(dtype, memory_format=torch.channels_last), "channels last", id(weight), dtype)
        x = F.conv2d(x, weight, None, convolution.stride, convolution.padding, groups=convolution.groups)
        return channel_norm(x, self.weight, self.bias, self.eps, then == "gelu", convolution.bias)

    def _by_the_formula(self, x: Tensor) -> Tensor:
        x = x.float()
        variance, mean = torch.var_mean(x, dim=1, correction=0, keepdim=True)
        return (x - mean) * (variance + self.eps).rsqrt() * self.weight[:, None, None] + self.bias[:, None, None]


ONEDNN = hasattr(torch.ops.mkldnn, "_linear_pointwise") and torch.backends.cpu.get_cpu_capability() == "AVX512"
"""Whether to take the product that PyTorch's compiler uses on CPUs, oneDNN's. With AVX2 alone, MKL's is the faster one
(docs/speed.md)."""


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None, then: str = "none") -> Tensor:
    """[..., C], [D, C], [D] -> [..., D], and "relu" or "gelu" of it.

    On a CPU with AVX-512, oneDNN's matrix product is faster than what `F.linear` takes: it adds the bias and applies
    the activation on the way out.
    """
    if ONEDNN and _is_for_onednn(x, weight):
        if torch.is_autocast_enabled("cpu"):
            dtype = torch.get_autocast_dtype("cpu")
            x, weight, bias = x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, then, [], "none" if then == "gelu" else "")
    if x.is_cuda and torch.is_autocast_enabled("cuda"):  # which would round them at every call
        dtype = torch.get_autocast_dtype("cuda")
        x, weight, bias = x.to(dtype), rounded(weight, dtype), None if bias is None else rounded(bias, dtype)
        if then == "relu" and bias is not None and not torch.is_grad_enabled():
            found = torch._addmm_activation(bias, x.flatten(0, -2), weight.T)  # in one
            return found.view(*x.shape[:-1], -1)
        if then == "gelu" and bias is not None and has_kernels(x):
            from sam2_ros.model.gpu_kernels.fused_linear import fused_linear

            return fused_linear(x.contiguous(), weight, bias, gelu=True)
    x = F.linear(x, weight, bias)
    return x if then == "none" else getattr(F, then)(x)


def add_and_norm(x: Tensor, added: Tensor | None, norm: nn.LayerNorm, in_half: bool = True) -> tuple[Tensor, Tensor]:
    """x + added, [..., C], and the layer norm of it; on a GPU with autocast both in one pass over memory.

    Args:
        x: may be overwritten.
        in_half: whether the norm is wanted in autocast's precision, where our kernel writes it.
    """
    if added is not None and added.shape != x.shape:  # the first that is not the same for all objects
        x, added = x + added, None
    if in_half_on_gpu(x):
        from sam2_ros.model.gpu_kernels.layer_norm import layer_norm

        x = x.contiguous()
        dtype = torch.get_autocast_dtype("cuda") if in_half else x.dtype
        return x, layer_norm(x, norm.weight, norm.bias, norm.eps, dtype, added)
    x = x if added is None else x + added
    return x, norm(x)


LARGE = 2**16
"""Results of a product from which on oneDNN's is taken; for fewer, both take as long."""


def _is_for_onednn(x: Tensor, weight: Tensor) -> bool:
    """Whether a product is large enough for it, on a CPU where nothing is learnt."""
    if not learns_nothing_on_cpu(x) or torch.compiler.is_compiling():  # to what may be better still
        return False
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    return dtype in (torch.float32, torch.bfloat16) and x.numel() // x.shape[-1] * weight.shape[0] >= LARGE


class Linear(nn.Linear):
    """A linear layer, and "relu" or "gelu" behind it."""

    def forward(self, x: Tensor, then: str = "none") -> Tensor:
        return linear(x, self.weight, self.bias, then)


def pointwise(x: Tensor, *layers: nn.Conv2d) -> Tensor:
    """1x1 convolutions one after the other, multiplied into one: [B, C, H, W] -> [B, D, H, W], channels last in memory.

    As a matrix product this is faster than as a convolution, and most of all for maps that have channels last already.
    """
    weight, bias = once(lambda: _in_one(layers), *map(id, layers))
    return linear(x.movedim(1, -1), weight, bias).movedim(-1, 1)


def _in_one(layers: Sequence[nn.Conv2d]) -> tuple[Tensor, Tensor]:
    """Weight and bias of 1x1 convolutions one after the other.

    In float64, which is exact enough for any precision of the weights, and which autocast leaves as it is.
    """
    weight, bias = layers[0].weight.flatten(1).double(), layers[0].bias.double()
    for layer in layers[1:]:
        after = layer.weight.flatten(1).double()
        weight, bias = after @ weight, after @ bias + layer.bias.double()
    return weight.to(layers[0].weight.dtype), bias.to(layers[0].bias.dtype)


class MLP(nn.Module):
    """Linear layers of one hidden width with an activation between them, "relu" or "gelu"."""

    def __init__(self, dim: int, hidden: int, out: int, layers: int, activation: str = "relu") -> None:
        super().__init__()
        widths = [dim] + [hidden] * (layers - 1) + [out]
        self.layers = nn.ModuleList(Linear(a, b) for a, b in pairwise(widths))
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """[..., dim] -> [..., out]."""
        for layer in self.layers[:-1]:
            x = layer(x, self.activation)
        return self.layers[-1](x)
