"""Devices by name."""

from __future__ import annotations

import torch


def device_of(name: str | torch.device | None = None) -> torch.device:
    """The PyTorch device with a name.

    Args:
        name: "cpu", "cuda", "cuda:1" ...; None or empty: the first GPU if any, else the CPU.

    Raises:
        ValueError: there is no such device.
    """
    if not name:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"there is no device {name!r}; use cpu, cuda, or cuda:1 for the second GPU") from error
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise ValueError(f"there is no CUDA GPU for {name} here, or PyTorch was built without CUDA; use cpu")
        if (device.index or 0) >= torch.cuda.device_count():
            raise ValueError(
                f"there is no {name}: this machine has {torch.cuda.device_count()} GPUs, the first is cuda:0"
            )
    return device
