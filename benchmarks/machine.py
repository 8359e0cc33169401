"""Limits of the machine, and the memory and energy that are used."""

from __future__ import annotations

from pathlib import Path

import torch
from clock import Clock

RAPL = Path("/sys/class/powercap")
"""Energy counters of processors; often readable by root alone, and absent in virtual machines."""


@torch.inference_mode()
def ceilings(device: str, dtype: str, cpu_time: bool, threads: int) -> dict[str, float]:
    """Rates of a large matrix product in the dtype (flops), FLOP/s, and of a copy (bytes), bytes/s."""
    torch.set_num_threads(threads)
    side = 8192 if device.startswith("cuda") else 1536
    a, b = (torch.randn(side, side, device=device).to(getattr(torch, dtype)) for _ in range(2))
    big = torch.randn(2**25, device=device)
    target = torch.empty_like(big)
    clock, best = Clock(device, cpu_time), {}
    for name, work, function in (
        ("flops", 2 * side**3, lambda: a @ b),
        ("bytes", 2 * big.nbytes, lambda: target.copy_(big)),
    ):
        function()
        rates = []
        for _ in range(3):
            with clock.step():
                function()
            rates.append(work / clock.seconds["all"])
        best[name] = max(rates)
    return best


def peak_memory(device: str) -> float:
    """Peak memory of this process, or of its tensors on the GPU, MB."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) / 1e6
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1e3


def energy(device: str, rapl: Path = RAPL) -> float | None:
    """Energy counter of the GPU, or of all processors, joules; None if the machine has none or hides it."""
    if device.startswith("cuda"):
        try:
            import pynvml  # pip install nvidia-ml-py
        except ImportError:
            return None
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
        return pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3
    packages = [path for path in rapl.glob("*/energy_uj") if path.parent.name.count(":") == 1]
    try:
        return sum(int(path.read_text()) for path in packages) / 1e6 if packages else None
    except PermissionError:
        return None
