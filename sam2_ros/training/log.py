"""What one sees of a training: a progress bar, lines of numbers, TensorBoard with curves and pictures."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from sam2_ros.training.validation import Scores

EVERY = 20
"""Steps whose means are logged together."""


class Log:
    """Writes into a run's folder and on the screen.

    Args:
        folder: for TensorBoard's files and the newest pictures.
        step: where training goes on.
        steps: where it ends; None: the bar guesses.
    """

    def __init__(self, folder: Path, step: int, steps: int | None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._board = SummaryWriter(str(folder))
        interval = 0.5 if sys.stderr.isatty() else 20.0
        self._bar = tqdm(initial=step, total=steps, unit="step", mininterval=interval, dynamic_ncols=True)
        self._steps = steps
        self._recent: list[dict[str, float]] = []

    def numbers(self, step: int, progress: float, values: dict[str, float]) -> None:
        """Losses and the like, after so many steps; `progress` is 0 .. 1."""
        if self._steps is None and progress > 0:
            self._bar.total = round(step / progress)
        self._bar.update()
        self._recent.append(values)
        if step % EVERY:
            return
        means = {name: float(np.mean([one[name] for one in self._recent])) for name in values}
        self._recent = []
        for name, value in means.items():
            self._board.add_scalar(name, value, step)
        self._bar.write(f"{step} {progress:.1%} " + " ".join(f"{name} {value:.4f}" for name, value in means.items()))

    def scores(self, step: int, scores: Scores) -> None:
        """Of a validation."""
        self._bar.write(f"step {step}: {scores}")
        for name, value in asdict(scores).items():
            self._board.add_scalar(f"validation/{name}", value, step)

    def pictures(self, step: int, kind: str, pictures: Sequence[np.ndarray]) -> None:
        """uint8 [H, W, 3] RGB; the newest of each kind also as <kind>_0.png, ..."""
        for i, image in enumerate(pictures):
            self._board.add_image(f"{kind}/{i}", image, step, dataformats="HWC")
            cv2.imwrite(str(self._folder / f"{kind}_{i}.png"), image[..., ::-1])
        self._board.flush()

    def close(self) -> None:
        self._bar.close()
        self._board.close()
