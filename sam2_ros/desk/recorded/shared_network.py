"""The network that all work on a project shares, loaded while people look at the page already."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future

import torch

from sam2_ros.acceleration import Network
from sam2_ros.annotation.propagation import MEMORIES
from sam2_ros.model.sam2 import SAM2
from sam2_ros.system.fair_lock import FairLock
from sam2_ros.tracking.tracker import Tracker


class SharedNetwork:
    """Loads a network in a thread of its own.

    Args:
        load: loads it, and sets the threads of this process.
    """

    def __init__(self, load: Callable[[], SAM2 | Network]) -> None:
        self._load = load
        self.loaded: Future[Network] = Future()
        """The network, or why there is none."""
        self.turn = FairLock()
        """Held by whoever computes with the network: its steps may use the same memory."""

    def start(self) -> None:
        """A process that ends waits for it: PyTorch cannot be left alone (`system.stopping` shortens that)."""
        threading.Thread(target=self._run, name="network").start()

    def give_way(self) -> None:
        """Let those compute who wait for their turn. Only for the thread that has it."""
        self.turn.__exit__(None, None, None)
        self.turn.__enter__()

    def _run(self) -> None:
        try:
            with torch.inference_mode():
                # that of a tracker as assistants have it, whose CUDA graphs have the right sizes
                tracker = Tracker(self._load(), history=1, max_objects=1, prompted_memories=MEMORIES)
        except BaseException as error:  # whatever it is, it is told to those who need the network
            self.loaded.set_exception(error)
        else:
            self.loaded.set_result(tracker.network)
