"""Base of the sides of other implementations."""

from __future__ import annotations

import torch

from peers.inputs import Inputs
from peers.task import Task


class Peer:
    """Another implementation, which gets images that we have resized and normalised."""

    def __init__(self, task: Task, inputs: Inputs) -> None:
        from sam2_ros.model.config import CONFIGS

        self.task, self.images = task, inputs.images()
        self.config = CONFIGS[task.model].at(task.size)

    def _pixels(self, index: int) -> torch.Tensor:
        from sam2_ros.tracking.pixels import to_network

        return to_network(self.images[index % len(self.images)], self.config, torch.device(self.task.device))[0]
