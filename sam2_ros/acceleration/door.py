"""`accelerate`, the single entry point to all accelerations."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from torch import nn

from sam2_ros.acceleration.cpu.classes import CPU_CLASSES
from sam2_ros.acceleration.cpu.kernels.library import description
from sam2_ros.acceleration.inference import Choice, Inference, choice_of
from sam2_ros.acceleration.network import Network
from sam2_ros.acceleration.twin import twin_of
from sam2_ros.model.sam2 import SAM2

log = logging.getLogger("sam2_ros")

DTYPES = (torch.float32, torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class Capacity:
    """Maximum sizes of a stream's step, for which CUDA graphs are recorded."""

    objects: int
    maps: int
    """Memories of one object."""
    pointers: int
    """Object pointers of one object."""


def accelerate(model: SAM2, dtype: torch.dtype | None = None, capacity: Capacity | None = None) -> Network:
    """Make the fastest implementation of a network on its device, for inference.

    Kernels are chosen, and whatever depends on weights alone is precomputed, once, here. CPU kernels are compiled when
    first needed, which takes a minute; CUDA graphs are recorded.

    Args:
        model: not modified. Its weights are shared, not copied; if they change later, precomputed values and graphs are
            renewed. (In-place changes of `.data` go unnoticed.)
        dtype: the precision; None: on a CUDA GPU the half precision that suits the weights (`SAM2Config.half`),
            float32 elsewhere. Layers whose rounding would decide a result stay in float32.
        capacity: on a CUDA GPU, record graphs of this capacity; None: no graphs.
    """
    dtype = dtype or default_dtype(model)
    if model.device.type == "cuda":
        return _on_cuda(model, dtype, capacity)
    if model.device.type == "cpu":
        return Inference(twin_of(model, CPU_CLASSES, dtype), Choice(dtype, description(dtype)))
    return _plain(model, dtype)


def _on_cuda(model: SAM2, dtype: torch.dtype, capacity: Capacity | None) -> Network:
    # Imported here, since importing Triton takes a second.
    from sam2_ros.acceleration.cuda.classes import CUDA_CLASSES
    from sam2_ros.acceleration.cuda.graphs import GraphedNetwork
    from sam2_ros.acceleration.cuda.probe import triton_works

    kernels = "Triton" if triton_works(model.device) else _pytorch(model, dtype)
    network = Inference(twin_of(model, CUDA_CLASSES, dtype), Choice(dtype, kernels))
    if capacity is None:
        return network
    graphs = GraphedNetwork(network, capacity.objects, capacity.maps, capacity.pointers)
    try:
        graphs.warm_up()
    except RuntimeError as error:
        log.warning("%s", error)
        return network
    return graphs


def accelerated(
    model: SAM2 | Network, dtype: torch.dtype | None = None, capacity: Capacity | None = None, enabled: bool = True
) -> Network:
    """The network for a model: `accelerate`, or the plain one. Anything but a `SAM2` is returned unchanged.

    Args:
        enabled: False: PyTorch's operations alone, in this precision, for comparison.

    Raises:
        ValueError: `model` is not a `SAM2` and computes in another precision.
    """
    model = getattr(model, "_orig_mod", model)  # of torch.compile, which kernels replace
    if not isinstance(model, SAM2):
        ready = choice_of(model).dtype
        if dtype not in (None, ready):
            raise ValueError(f"this network computes in {ready}, not in {dtype}; leave dtype out")
        return model
    if enabled:
        return accelerate(model, dtype, capacity)
    return _plain(model, dtype or default_dtype(model))


def _plain(model: SAM2, dtype: torch.dtype) -> Network:
    return Inference(model, Choice(dtype, _pytorch(model, dtype)))


def _pytorch(model: SAM2, dtype: torch.dtype) -> str:
    return f"PyTorch ({pytorch_attention(model, dtype)} attention)"


def pytorch_attention(model: SAM2, dtype: torch.dtype) -> str:
    """PyTorch's kernel for memory attention without a mask: flash, efficient, cudnn, math or overrideable."""
    sample = torch.empty(1, 1, 64, model.config.dim, device=model.device, dtype=dtype)
    chosen = torch._fused_sdp_choice(sample, sample, sample)
    names = {backend.value: name.split("_")[0].lower() for name, backend in nn.attention.SDPBackend.__members__.items()}
    return names.get(int(chosen), "unknown")


def default_dtype(model: SAM2) -> torch.dtype:
    """The default precision of a model on its device."""
    return getattr(torch, model.config.half) if model.device.type == "cuda" else torch.float32
