"""A worker: a process of Ray that loads the network once, and does one piece after the other."""

from __future__ import annotations

import os
import socket
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import ray
import torch

from sam2_ros.fleet.job import Job, Loaded, Model
from sam2_ros.fleet.piece import Outcome, Piece
from sam2_ros.system.error_text import one_line
from sam2_ros.system.lost_device import loss_of_device

PERIOD = 0.3
"""Seconds, at least, between two reports of progress."""

EXPECTED = (OSError, ValueError, MemoryError, ImportError)
"""Errors whose messages say what is wrong; of others, the type is named as well."""


class Board:
    """Where workers report to: a process of Ray, so that those on other machines can."""

    def __init__(self) -> None:
        self._starts: Counter[str] = Counter()
        self._progress: dict[str, tuple[int, int]] = {}

    def start(self, piece: str) -> int:
        """Note that the work on a piece begins. Returns how often it has."""
        self._starts[piece] += 1
        return self._starts[piece]

    def report(self, piece: str, done: int, total: int) -> None:
        self._progress[piece] = done, total

    def now(self) -> tuple[dict[str, int], dict[str, tuple[int, int]]]:
        """For each piece: how often it was started; and the images that are done, with their number."""
        return dict(self._starts), dict(self._progress)


@dataclass(frozen=True)
class Setup:
    """What a worker is told with every call, since it may have been started anew."""

    job: Job
    threads: int
    """Of the processor."""
    weights: str
    """Digest of the network's weights where the job was started."""
    marker: Path
    """A file in the output folder, by which that is recognized on other machines."""
    board: Any
    """A handle of `Board`."""


class Worker:
    """Does the pieces of jobs, one after the other."""

    def __init__(self) -> None:
        self._loaded: tuple[Model, Loaded] | None = None

    def look(self, setup: Setup, name: str, path: Path, exists: bool) -> Sequence[Piece] | Outcome:
        """The pieces of a recording; or why it cannot be read.

        Args:
            exists: whether it does where the job was started.
        """
        try:
            if exists and not path.exists():
                raise ValueError(_not_shared(path))
            return setup.job.look(name, path)
        except Exception as error:
            return Outcome(Piece(name, path, 0), "failed", _line(error))

    def work(self, setup: Setup, piece: Piece) -> Outcome:
        """Do a piece. If this process is killed, Ray calls it again in another."""
        starts = ray.get(setup.board.start.remote(piece.name))
        try:
            if not setup.marker.exists():
                raise ValueError(_not_shared(setup.job.out))
            outcome = setup.job.work(piece, self._network(setup), _Reporter(setup.board, piece.name))
        except Exception as error:
            if self._loaded and loss_of_device(error, self._loaded[1].model.device):  # only a new process helps
                os._exit(1)
            outcome = Outcome(piece, "failed", _line(error))
        return replace(outcome, starts=starts)

    def _network(self, setup: Setup) -> Loaded:
        """The network, loaded at the first call. Raises CheckpointError or ValueError."""
        model = setup.job.model
        if self._loaded is None or self._loaded[0] != model:
            torch.set_num_threads(setup.threads)
            cv2.setNumThreads(setup.threads)
            network, weights = model.load(threads=setup.threads)
            if weights != setup.weights:
                file = model.checkpoint or "the package"
                raise ValueError(f"{socket.gethostname()} has other weights than the machine of the command: {file}")
            self._loaded = model, Loaded(network, weights)
        return self._loaded[1]


class _Reporter:
    """Reports the progress of a piece, not too often."""

    def __init__(self, board: Any, piece: str) -> None:
        self._board, self._piece, self._last = board, piece, 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last >= PERIOD or done == total:
            self._last = now
            self._board.report.remote(self._piece, done, total)


def _not_shared(path: Path) -> str:
    return (
        f"{path} cannot be seen on {socket.gethostname()}; on a cluster, recordings, weights and --out must be on"
        " storage that all machines have under the same paths"
    )


def _line(error: Exception) -> str:
    """An error as one line."""
    line = one_line(error)
    kind = type(error).__name__
    return line if isinstance(error, EXPECTED) or line == kind else f"{kind}: {line}"
