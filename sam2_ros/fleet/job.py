"""A job: what is done with every piece, and with which network. It travels to the workers."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sam2_ros.acceleration import Network
from sam2_ros.checkpoints.load import load_model
from sam2_ros.fleet.piece import Outcome, Piece, Report
from sam2_ros.model.sam2 import SAM2
from sam2_ros.recordings.run_store import weights_digest


@dataclass(frozen=True)
class Model:
    """Which network; arguments of `load_model`."""

    name: str | None = None
    checkpoint: Path | None = None
    device: str | None = None
    size: int | None = None
    aspect: str | None = None

    def load(self, device: str | None = None, threads: int = 0) -> tuple[SAM2 | Network, str]:
        """The network, and the digest of its weights. Raises CheckpointError or ValueError.

        Args:
            device: instead of its own.
            threads: of exported graphs, which are fixed when they are opened; 0: ONNX Runtime chooses.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracker refuses such weights
            model = load_model(self.name, self.checkpoint, device or self.device, self.size, self.aspect, threads)
        return model, weights_digest(model, self.checkpoint)


@dataclass(frozen=True)
class Loaded:
    """A network in a worker."""

    model: SAM2 | Network
    weights: str
    """`weights_digest`."""


class Job(ABC):
    """What is done with each piece. Must be picklable; `look` and `work` run in workers."""

    model: Model
    out: Path
    """Absolute; pieces have folders in it."""

    @abstractmethod
    def look(self, name: str, path: Path) -> Sequence[Piece]:
        """The pieces of one recording or data set. Raises OSError or ValueError: it cannot be read."""

    @abstractmethod
    def work(self, piece: Piece, loaded: Loaded, report: Report) -> Outcome:
        """Do a piece, or what is left of it. Raises OSError, ValueError or MemoryError: it cannot be done."""
