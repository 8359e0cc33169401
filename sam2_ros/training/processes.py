"""The processes of distributed training, as torchrun starts them: one for each GPU, or a few on one CPU."""

from __future__ import annotations

import os

import torch
import torch.distributed as dist
from torch import Tensor

from sam2_ros.system.allocator import keep_freed_memory
from sam2_ros.system.device import device_of


def start(device: str | None = None) -> torch.device:
    """Join the other processes, if torchrun started any, and return the device to compute on.

    Args:
        device: such as "cpu", "cuda" (of several GPUs, this process' own) or "cuda:1". None: CUDA if there is any.

    Raises:
        ValueError: there is no such device.
    """
    chosen = own_device(device_of(device))
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
        torch.set_float32_matmul_precision("high")
    elif chosen.type == "cpu":
        keep_freed_memory()  # the blocks of a step are gigabytes, and those of the next one are alike
    if "WORLD_SIZE" in os.environ:
        dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    return chosen


def own_device(device: torch.device) -> torch.device:
    """The GPU of this process for "cuda" without a number; any other device unchanged."""
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    return device


def end() -> None:
    """Leave the other processes."""
    if dist.is_initialized():
        dist.destroy_process_group()


def rank_and_world() -> tuple[int, int]:
    """Rank of this process and number of processes; (0, 1) without torchrun."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def all_gather(values: Tensor) -> Tensor:
    """Gather a tensor from all processes: [...] -> [world, ...]."""
    if not dist.is_initialized():
        return values[None]
    all_values = [torch.empty_like(values) for _ in range(dist.get_world_size())]
    dist.all_gather(all_values, values)
    return torch.stack(all_values)
