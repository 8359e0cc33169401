"""The entry point to all acceleration: the fast network for a model, or the plain one."""

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
    """Maximum numbers in one step of a stream, for which CUDA graphs are recorded."""

    objects: int
    maps: int
    """Memories of one object."""
    pointers: int
    """Object pointers of one object."""


def accelerate(model: SAM2, dtype: torch.dtype | None = None, capacity: Capacity | None = None) -> Network:
    """The same network, accelerated for this machine; for inference.

    Kernels are chosen, and values that depend on the weights alone are computed, here and once. Kernels for CPUs are
    compiled at first use, which takes a minute; graphs are recorded.

    Args:
        model: remains unchanged. Its weights are shared, not copied; after they change, derived values are computed
            again, and graphs are recorded again. (Writing through `.data` goes unnoticed.)
        dtype: the precision; None: on a CUDA GPU the half precision that suits the weights (`SAM2Config.half`),
            float32 elsewhere. Where rounding would decide a result, it is float32 in any case.
        capacity: on a CUDA GPU, record graphs for these numbers of objects and memories; None: no graphs.
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

    kernels = "Triton" if triton_works(model.device) else f"PyTorch ({pytorch_attention(model, dtype)})"
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
    """The network to use for a model: accelerated, or plain. A network that is accelerated already is returned
    unchanged.

    Args:
        enabled: False: as the paper defines it, for comparison: PyTorch's operations alone, in the given precision.

    Raises:
        ValueError: the network is accelerated already, and computes in another precision.
    """
    if not isinstance(model, SAM2):
        ready = choice_of(model).dtype
        if dtype not in (None, ready):
            raise ValueError(f"this network computes in {ready}, not in {dtype}; leave dtype out")
        return model
    if enabled:
        return accelerate(model, dtype, capacity)
    return _plain(model, dtype or default_dtype(model))


def _plain(model: SAM2, dtype: torch.dtype) -> Network:
    return Inference(model, Choice(dtype, f"PyTorch ({pytorch_attention(model, dtype)})"))


def pytorch_attention(model: SAM2, dtype: torch.dtype) -> str:
    """PyTorch's kernel for memory attention without a mask: flash, efficient, cudnn, math or overrideable."""
    sample = torch.empty(1, 1, 64, model.config.dim, device=model.device, dtype=dtype)
    chosen = torch._fused_sdp_choice(sample, sample, sample)
    names = {backend.value: name.split("_")[0].lower() for name, backend in nn.attention.SDPBackend.__members__.items()}
    return names.get(int(chosen), "unknown")


def default_dtype(model: SAM2) -> torch.dtype:
    """The precision that suits a model on its device."""
    return getattr(torch, model.config.half) if model.device.type == "cuda" else torch.float32
