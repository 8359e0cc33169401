"""Side of this package, in this checkout or in an older one."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import torch
from clock import Clock
from stages import watch_stages

from peers.inputs import Inputs
from peers.task import FILLED, Task


class Ours:
    """`Tracker.step`, from a camera's image to masks of its size.

    Another checkout may have an older API: its tracker has other names inside, and `accelerate` is a word there.

    Args:
        task: the task.
        inputs: images and weights.
    """

    accelerate = True

    def __init__(self, task: Task, inputs: Inputs) -> None:
        import sam2_ros

        self.images = inputs.images()
        model = sam2_ros.load_model(task.model, inputs.weights, device=task.device, image_size=task.size)
        config = model.config
        self.tracker = sam2_ros.Tracker(
            model,
            max_objects=task.objects,
            dtype=getattr(torch, task.dtype),
            accelerate=self._accelerate(sam2_ros.Tracker),
        )
        self.tracker.step(self.images[0], 0)
        for i in range(task.objects):
            click = sam2_ros.Click(200 + 30 * (i % 8), 100 + 40 * (i // 8))
            self.tracker.prompt(sam2_ros.Prompt(i + 1, clicks=(click,)))
        self._fill_banks(*task.memories(config.dim, config.memory_dim, self._newest.image.features.stride16.shape[2:]))
        self.clock = Clock(task.device, task.cpu_time)
        watch_stages(self.clock, self.tracker)

    def step(self) -> dict[str, float]:
        """Track the next frame. Returns seconds by stage."""
        with self.clock.step():
            self.tracker.step(self.images[self.index % len(self.images)], self.index)
        self.index += 1
        return dict(self.clock.seconds)

    def logits(self) -> np.ndarray:
        """Mask logits of the newest frame: [N, S / 4, S / 4]."""
        answers = self._newest.answers
        return torch.stack([answers[key].logits for key in sorted(answers)]).float().cpu().numpy()

    def _accelerate(self, tracker: type) -> bool | str:
        if isinstance(inspect.signature(tracker).parameters["accelerate"].default, str):
            return "auto" if self.accelerate else "off"
        return self.accelerate

    @property
    def _newest(self) -> Any:
        """The newest frame with the network's answers."""
        return self.tracker.history.newest if hasattr(self.tracker, "history") else self.tracker._history[-1]

    def _fill_banks(self, maps: torch.Tensor, pointers: torch.Tensor) -> None:
        maps, pointers = maps.movedim(2, -1).contiguous().movedim(-1, 2), pointers.float()  # strides of the network's
        objects = self.tracker.objects if hasattr(self.tracker, "objects") else self.tracker._objects
        for tracked, map, pointer in zip(objects.values(), maps, pointers, strict=True):
            tracked.bank.remember_prompted(0, map[0], pointer[0])
            for index in range(1, FILLED):
                tracked.bank.remember(index, map[index], pointer[index])
        self.index = FILLED
        if hasattr(self.tracker, "history"):
            self.tracker.history.next_index = FILLED
        else:
            self.tracker._frames_seen = FILLED


class Plain(Ours):
    """The plain network of the paper, without acceleration."""

    accelerate = False
