"""How machines are shared among workers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

CPUS = 2
"""Of a worker on machines without GPU, unless the number of workers is given."""


class Machine(NamedTuple):
    """What a machine has for the workers."""

    cpus: int
    gpus: int


@dataclass(frozen=True)
class Plan:
    """Equal workers."""

    workers: int
    cpus: int
    """Of each worker, and its threads."""
    gpus: float
    """Of each worker: a fraction, if several share one."""


def plan(machines: Sequence[Machine], workers: int | None = None, gpus: float | None = None) -> Plan:
    """Share machines among workers.

    Args:
        machines: those with at least one CPU or GPU.
        workers: None: one a GPU, or as many as the given part of one allows; without GPUs, one for two CPUs.
        gpus: of each worker, a fraction below 1 or a whole number; None: all, in equal parts.

    Raises:
        ValueError: a number is out of range, or there are fewer GPUs.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"the number of workers must be 1 or more, not {workers} (--workers)")
    if gpus is not None and (gpus < 0 or (gpus > 1 and gpus != int(gpus))):
        raise ValueError(f"--gpus-per-task must be a fraction from 0 to 1, or a whole number, not {gpus:g}")
    most = max((machine.gpus for machine in machines), default=0)
    if gpus and gpus > most:
        raise ValueError(f"no machine has {gpus:g} GPUs (--gpus-per-task); the largest number is {most}")
    total = sum(machine.gpus for machine in machines)
    if workers is None and total and gpus != 0:
        workers = sum(int(machine.gpus / gpus + 1e-6) for machine in machines) if gpus else total
    if workers is None:
        workers = sum(max(1, machine.cpus // CPUS) for machine in machines)
    if gpus is None:
        gpus = math.floor(1e4 / math.ceil(workers / total)) / 1e4 if total else 0.0
    here = [machine for machine in machines if machine.gpus >= gpus] or machines
    cpus = min(machine.cpus for machine in here) // math.ceil(workers / len(here))
    return Plan(workers, max(1, cpus), gpus)
