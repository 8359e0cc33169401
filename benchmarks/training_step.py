"""Seconds of a training step and of a validation: python benchmarks/training_step.py [--before PATH]

The default model learns from one small batch through `Trainer.run`, as `python -m sam2_ros.training` does, in float32
and, where the device has it natively, in bfloat16. With --before PATH another checkout of this repository takes turns
with this one, step by step in its own process, and ratios are printed: above 1, this checkout is slower.

All steps cost the same: one click on the first frame, one correction, and tracking from there. A validation tracks two
clips from one click each, with the moving average of the weights, and logs its pictures.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from worker import Worker

ROOT = Path(__file__).parents[1]
PARTS = ("step", "validation")
VALIDATION_CLIPS = 2


@dataclass(frozen=True)
class Task:
    """The measured training."""

    dtype: str
    device: str
    threads: int
    clips: int
    frames: int
    objects: int
    """Number of objects in each clip."""


class Finished(Exception):
    """The end of the measurement."""


class Turns:
    """One batch, repeated endlessly; requesting it ends a step, and waits for the command to begin the next.

    It replaces a trainer's samples, so that single steps of `Trainer.run` can be timed from outside. The trainer marks
    the end of a step in `elapsed`, which `Validation` reads.
    """

    def __init__(self, pipe: Connection, batch: Any, validation: Validation) -> None:
        self.trainer: Any = None
        self._pipe, self._batch, self._validation = pipe, batch, validation
        self._start = self._step_start = 0.0

    def __getitem__(self, index: int) -> Any:
        entered = time.perf_counter()
        if self._start:
            step = self._validation.elapsed - self._step_start
            self._pipe.send((step, entered - self._start - step))
        else:
            self._pipe.send(None)
        if self._pipe.recv() == "end":
            raise Finished
        self._start = time.perf_counter()
        self._step_start = self.trainer.elapsed + self._start - entered  # the trainer counts waiting for a batch, too
        return self._batch

    def order(self, step: int, rank: int, world: int) -> Iterator[int]:
        """Endless indices."""
        return count(step)


class Validation(list):
    """Batches to validate with; records the training time when they are requested."""

    trainer: Any = None
    elapsed = 0.0

    def __iter__(self) -> Iterator[Any]:
        self.elapsed = self.trainer.elapsed
        return super().__iter__()


def clip(frames: int, objects: int, height: int, width: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Discs that move over noise: images uint8 [1, T, 3, H, W] and masks bool [N, T, H, W]."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (1, frames, 3, height, width), dtype=np.uint8)
    y, x = np.mgrid[:height, :width]
    masks = np.zeros((objects, frames, height, width), bool)
    for i in range(objects):
        radius = height // 8
        row, column = rng.integers(radius, height - radius), rng.integers(radius, width - radius)
        for t in range(frames):
            masks[i, t] = (y - row) ** 2 + (x - (column + 4 * t) % width) ** 2 < radius**2
            images[0, t, :, masks[i, t]] = rng.integers(0, 256, 3)
    return images, masks


def train(pipe: Connection, checkout: str, task: Task) -> None:
    """The process of one checkout. Its API may be older than that of this one."""
    sys.path.insert(0, checkout)
    torch.set_num_threads(task.threads)
    import sam2_ros
    from sam2_ros.training.optimizer import Learning
    from sam2_ros.training.plan import Prompting
    from sam2_ros.training.recipe import Recipe, Stage
    from sam2_ros.training.samples import Batch
    from sam2_ros.training.trainer import Trainer

    assert sam2_ros.__file__ and Path(sam2_ros.__file__).is_relative_to(checkout), sam2_ros.__file__
    model = sam2_ros.load_model(device=task.device)
    shape = model.config.shape(1, 1)

    def batch(clips: int, seed: int) -> Batch:
        parts = [clip(task.frames, task.objects, *shape, seed + i) for i in range(clips)]
        images, masks = (torch.from_numpy(np.concatenate(arrays)) for arrays in zip(*parts, strict=True))
        return Batch(images, masks, torch.arange(clips).repeat_interleave(task.objects))

    corrections = {"corrections", "max_corrections"} & Prompting.__dataclass_fields__.keys()  # older and newer name
    recipe = Recipe(
        stage=Stage(frames=task.frames, clips=1, workers=0, steps=10**6),
        learning=Learning(bf16=task.dtype == "bfloat16"),
        prompting=Prompting(mask=0.0, box=0.0, corrected=1.0, corrected_frames=1, **dict.fromkeys(corrections, 1)),
    )
    validation = Validation(batch(1, 1000 + i) for i in range(VALIDATION_CLIPS))
    turns = Turns(pipe, batch(task.clips, 0), validation)
    with tempfile.TemporaryDirectory() as out, open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        trainer = Trainer(model, recipe, turns, out, validation, save_every=math.inf, validate_every=0)
        turns.trainer = validation.trainer = trainer
        with suppress(Finished):
            trainer.run()


def measure(task: Task, checkouts: dict[str, str], steps: int, warm_up: int) -> dict[str, dict[str, list[float]]]:
    """Seconds of each step and of each validation, by part and checkout; both checkouts' steps in the same order."""
    running: dict[str, Worker] = {}
    for name, checkout in checkouts.items():
        running[name] = Worker(train, checkout, task)
        running[name].wait_until_ready()
    seconds: dict[str, dict[str, list[float]]] = {part: {name: [] for name in running} for part in PARTS}
    for step in range(warm_up + steps):
        for name in list(running)[:: 1 if step % 2 else -1]:  # neither is always the first
            taken = running[name].ask("step")
            if step >= warm_up:
                for part, value in zip(PARTS, taken, strict=True):
                    seconds[part][name].append(value)
    for worker in running.values():
        worker.end()
    return seconds


def show(console: Console, task: Task, seconds: dict[str, dict[str, list[float]]]) -> None:
    """Print medians, and the median of the ratios of consecutive steps."""
    names = list(seconds[PARTS[0]])
    compared = len(names) > 1
    table = Table(f"{task.dtype}, s", *names, *(["ratio"] if compared else []), box=None, padding=(0, 2, 0, 0))
    for part, values in seconds.items():
        cells = [f"{median(values[name]):.3f}" for name in names]
        if compared:
            cells.append(f"{median(a / b for a, b in zip(*values.values(), strict=True)):.3f}")
        table.add_row(part, *cells)
    console.print(table, "")


def main() -> int:
    from sam2_ros.training import bfloat16

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, metavar="PATH", help="another checkout of this repository")
    parser.add_argument("--dtype", nargs="+", choices=("float32", "bfloat16"), help="default: both, if native")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--clips", type=int, default=1, help="in a batch (%(default)s)")
    parser.add_argument("--frames", type=int, default=3, help="of a clip (%(default)s)")
    parser.add_argument("--objects", type=int, default=2, help="of a clip (%(default)s)")
    parser.add_argument("--steps", type=int, default=5, help="measured steps and validations (%(default)s)")
    parser.add_argument("--warm-up", type=int, default=1, help="steps and validations before them (%(default)s)")
    options = parser.parse_args()
    checkouts = {"this": str(ROOT)}
    if options.before:
        checkouts["before"] = str(options.before.resolve())
    native = bfloat16.is_native(torch.device(options.device))
    console = Console()
    how = f"{options.clips} clips of {options.frames} frames with {options.objects} objects"
    console.print(f"default model, {how}, {options.device}, {options.threads} threads\n", highlight=False)
    for dtype in options.dtype or ("float32", *(["bfloat16"] if native else [])):
        task = Task(dtype, options.device, options.threads, options.clips, options.frames, options.objects)
        show(console, task, measure(task, checkouts, options.steps, options.warm_up))
    return 0


if __name__ == "__main__":
    sys.exit(main())
