"""The measurement: all sides take turns at one task."""

from __future__ import annotations

import multiprocessing
import tempfile
from dataclasses import asdict
from typing import Any

import numpy as np
from machine import ceilings
from rich.progress import track
from stages import INSIDE, STAGES, TRACK
from worker import Worker

from peers.inputs import ROOT, Inputs
from peers.process import run_side
from peers.task import Task


def measure(task: Task, sides: dict[str, str], steps: int, warm_up: int, operations: bool) -> dict[str, Any]:
    """Measure a task.

    Args:
        task: the task.
        sides: path of the checkout, by name of the side.
        steps: measured steps of each side.
        warm_up: steps before them.
        operations: count PyTorch's operations, too.

    Returns:
        The task, the machine's ceilings, the plain network's work, and of each side medians and more.
    """
    with tempfile.TemporaryDirectory() as folder:
        with multiprocessing.get_context("spawn").Pool(1) as pool:  # its buffers are in no side's peak memory
            best = pool.apply(ceilings, (task.device, task.dtype, task.cpu_time, task.threads))
            inputs = pool.apply(Inputs.write, (task, folder))
        gflop, mb = _count("plain", task, inputs)  # operations inside of kernels and graphs can't be counted
        result: dict[str, Any] = {**asdict(task), "ceilings": best, "gflop": gflop, "mb": mb, "sides": {}}
        running = _start(task, sides, inputs)
        for side in running.values():
            side.ask("step")
    logits = {name: side.ask("logits") for name, side in running.items()}  # before memories are rounded by some
    seconds: dict[str, list[dict[str, float]]] = {name: [] for name in running}
    for step in track(range(warm_up + steps), title(result), transient=True):
        for name in list(running)[:: 1 if step % 2 else -1]:  # no side is always the first
            taken = running[name].ask("step")
            if step >= warm_up:
                seconds[name].append(taken)
    for name, side in running.items():
        table = {stage: [1000 * row.get(stage, 0.0) for row in seconds[name]] for stage in (*STAGES, "all")}
        difference = np.abs(logits[name] - logits["ours"])
        result["sides"][name] = {
            "median_ms": {stage: float(np.median(values)) for stage, values in table.items()},
            "p99_ms": float(np.percentile(table["all"], 99)),
            "peak_memory_mb": side.ask("memory"),
            "joules": side.ask("energy"),
            "operations": side.ask("operations") if operations else {},
            "largest_logit_difference": float(difference.max()),
            "masks_agree": float(((logits[name] > 0) == (logits["ours"] > 0)).mean()),
        }
        side.end()
    return result


def _start(task: Task, sides: dict[str, str], inputs: Inputs) -> dict[str, Worker]:
    """The processes of all sides, ready for commands."""
    running = {}
    for name, checkout in sides.items():
        running[name] = Worker(run_side, name, task, inputs, checkout)
        if not task.device.startswith("cuda"):  # one after the other: loading needs the cores too
            running[name].wait_until_ready()
    if task.device.startswith("cuda"):
        for side in running.values():
            side.wait_until_ready()
    return running


def _count(side: str, task: Task, inputs: Inputs) -> tuple[dict[str, float], dict[str, float]]:
    """GFLOP of a step, and MB of weights, inputs and outputs, by stage."""
    worker = Worker(run_side, side, task, inputs, str(ROOT))
    worker.wait_until_ready()
    flops, size = worker.ask("count")
    worker.end()
    return {stage: count / 1e9 for stage, count in flops.items()}, {stage: count / 1e6 for stage, count in size.items()}


def peak_ms(result: dict[str, Any], stage: str) -> float:
    """Time of a stage of the plain network at peak rates: arithmetic, or weights, inputs and outputs."""
    if stage == TRACK:
        return sum(peak_ms(result, part) for part in INSIDE.values())
    best = result["ceilings"]
    arithmetic = 1e12 * result["gflop"].get(stage, 0.0) / best["flops"]
    return max(arithmetic, 1e9 * result["mb"].get(stage, 0.0) / best["bytes"])


def title(result: dict[str, Any]) -> str:
    """The task of a result in words."""
    objects = f"{result['objects']} object{'s' * (result['objects'] > 1)}"
    return f"{result['model']} at {result['size']}, {result['dtype']}, {objects}"


def unit(result: dict[str, Any]) -> str:
    """The unit of a result's times."""
    return "ms of CPU time" if result["cpu_time"] else "ms"
