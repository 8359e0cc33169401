"""Logging: lines of numbers, a progress bar on a terminal, TensorBoard with curves and images."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from sam2_ros.training.validation import Scores

LOG_EVERY = 20
"""Maximum number of steps whose means are logged together; fewer if steps are slow."""
MAX_SILENCE = 20.0
"""Seconds between two lines."""


class Log:
    """Writes to a run's folder and to the screen: plain lines, and a bar where that is a terminal.

    Args:
        folder: folder of TensorBoard's files and the latest images.
        step: to resume from.
        end: length of the stage in words: "300 steps", "8 minutes".
        progress: of the stage, 0 .. 1.
        quiet: print nothing.
    """

    def __init__(self, folder: Path, step: int, end: str, progress: float = 0.0, quiet: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._board = SummaryWriter(str(folder))
        self._end, self._quiet = end, quiet
        self._recent: list[dict[str, float]] = []
        self._latest = step, progress
        self._last_line = time.monotonic()
        columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn()
        self._bar = Progress(
            *columns,
            console=Console(stderr=True),
            redirect_stdout=sys.stdout.isatty(),  # or output piped to a file would appear on the screen
            disable=quiet or not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task(self._status(step, progress), total=1.0, completed=progress)
        self._bar.start()

    def numbers(self, step: int, progress: float, values: dict[str, float]) -> None:
        """Log losses and other numbers of a step; `progress` is 0 .. 1."""
        self._latest = step, min(progress, 1.0)
        self._bar.update(self._task, completed=progress, description=self._status(*self._latest))
        self._recent.append(values)
        if step % LOG_EVERY == 0 or time.monotonic() - self._last_line > MAX_SILENCE:
            self._write_means()

    def scores(self, step: int, scores: Scores) -> None:
        """Log the scores of a validation."""
        self._write_means()
        self._print(f"validation after {step} steps: {scores}")
        for name, value in asdict(scores).items():
            if not math.isnan(value):
                self._board.add_scalar(f"validation/{name}", value, step)

    def pictures(self, step: int, kind: str, pictures: Sequence[np.ndarray]) -> None:
        """Log images, uint8 [H, W, 3] RGB; the latest of each kind also as <kind>_0.png, ..."""
        for i, image in enumerate(pictures):
            self._board.add_image(f"{kind}/{i}", image, step, dataformats="HWC")
            cv2.imwrite(str(self._folder / f"{kind}_{i}.png"), image[..., ::-1])
        self._board.flush()

    def close(self) -> None:
        self._write_means()
        self._bar.stop()
        self._board.close()

    def _write_means(self) -> None:
        """Log means over the steps since the last time."""
        if not self._recent:
            return
        means = {name: float(np.mean([one[name] for one in self._recent])) for name in self._recent[0]}
        self._recent = []
        for name, value in means.items():
            self._board.add_scalar(name, value, self._latest[0])
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in means.items())
        self._print(f"{self._status(*self._latest)}: {numbers}")

    def _status(self, step: int, progress: float) -> str:
        return f"step {step}, {progress:.1%} of {self._end}"

    def _print(self, line: str) -> None:
        self._last_line = time.monotonic()
        if not self._quiet:
            print(line, flush=True)
