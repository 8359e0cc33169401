"""What the machine can do at best, and what a process has used of it."""

from __future__ import annotations

from pathlib import Path

import torch
from clock import Clock

RAPL = Path("/sys/class/powercap")
"""Where Linux says how much energy processors have used; often only to root, and not in virtual machines."""


@torch.inference_mode()
def ceilings(device: str, dtype: str, cpu_time: bool, threads: int) -> dict[str, float]:
    """FLOP/s of a matrix product in the dtype, bytes/s of a copy."""
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
    """MB, of the process or of the GPU."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) / 1e6
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1e3


def energy(device: str, rapl: Path = RAPL) -> float | None:
    """Joules that the GPU, or all processors, have used since some time; None where the machine does not say it."""
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
