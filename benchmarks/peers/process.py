"""The process of one side, which computes steps on command."""

from __future__ import annotations

import sys
import time
from multiprocessing.connection import Connection
from typing import Any

import torch
from machine import energy, peak_memory

from peers.hugging_face import Transformers
from peers.inputs import Inputs
from peers.ours import Ours, Plain
from peers.reference import Reference
from peers.task import Task

SIDES = {"ours": Ours, "plain": Plain, "before": Ours, "transformers": Transformers, "reference": Reference}
ENERGY_SECONDS = 3.0


def run_side(pipe: Connection, side: str, task: Task, inputs: Inputs, checkout: str) -> None:
    """Answer the commands that arrive on a pipe, with the package of a checkout. For `Worker`."""
    sys.path.insert(0, checkout)
    torch.set_num_threads(task.threads)
    if task.keep and issubclass(SIDES[side], Ours):
        _keep_freed_memory()
    running = SIDES[side](task, inputs)
    pipe.send(None)
    while (command := pipe.recv()) != "end":
        if command == "count":
            running.clock.counting = True
            running.step()
            running.clock.counting = False
            pipe.send((dict(running.clock.flops), dict(running.clock.bytes)))
        elif command == "step":
            pipe.send(_timed(running))
        elif command == "memory":
            pipe.send(peak_memory(task.device))
        elif command == "energy":
            pipe.send(_energy(running, task.device))
        elif command == "operations":
            pipe.send(_operations(running))
        else:
            pipe.send(getattr(running, command)())


def _keep_freed_memory() -> None:
    try:
        from sam2_ros.system.allocator import keep_freed_memory
    except ModuleNotFoundError:  # an older checkout
        from sam2_ros.tracking.allocator import keep_freed_memory
    keep_freed_memory()


def _timed(running: Any) -> dict[str, float]:
    """Seconds of a step, by stage and in all. A GPU needs two steps, because timing a stage waits for its end."""
    seconds = running.step()
    if running.clock.on_gpu:
        running.clock.watching = True
        seconds = running.step() | {"all": seconds["all"]}
        running.clock.watching = False
    return seconds


def _energy(running: Any, device: str) -> float | None:
    """Joules of one step, a mean over some seconds: counters are updated about ten times a second."""
    before, start, steps = energy(device), time.perf_counter(), 0
    if before is None:
        return None
    while time.perf_counter() - start < ENERGY_SECONDS:
        running.step()
        steps += 1
    return (energy(device) - before) / steps


def _operations(running: Any) -> dict[str, tuple[int, float]]:
    """Calls, and milliseconds without those of callees, of each PyTorch operation in one step."""
    with torch.profiler.profile() as profile:
        running.step()
    return {
        row.key: (row.count, (row.self_cpu_time_total + row.self_device_time_total) / 1000)
        for row in profile.key_averages()
    }
