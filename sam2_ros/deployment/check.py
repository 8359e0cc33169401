"""A comparison of exported graphs with the network they were exported from."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from sam2_ros.acceleration.onnx.network import OnnxNetwork
from sam2_ros.model.sam2 import SAM2
from sam2_ros.scenes.synthetic import SceneSettings, SyntheticScenes
from sam2_ros.tracking.prompt import Box, Click, Prompt
from sam2_ros.tracking.tracker import Tracker

FRAMES = 20
HEIGHT, WIDTH = 192, 256
ELLIPSE = cv2.ellipse(np.zeros((HEIGHT, WIDTH), np.uint8), ((180, 90), (70, 50), 20), 1, -1) > 0


@dataclass(frozen=True)
class Comparison:
    """Result of tracking the same stream with the graphs and with the network."""

    difference: float
    """Largest difference of mask logits, on frames where both predict the object to be present."""
    same_presence: bool
    """Whether both agree on every presence."""
    onnx_seconds: float
    """Median time of a step with the graphs."""
    pytorch_seconds: float
    """Median time of a step with the network."""


def compare(model: SAM2, folder: Path) -> Comparison:
    """Track the same objects with a network and its graphs: clicks, a box, a mask, corrections, late prompts."""
    frames = SyntheticScenes(SceneSettings(HEIGHT, WIDTH, frames=FRAMES, leaving=0)).scene(3).frames
    trackers = Tracker(model), Tracker(OnnxNetwork(folder))
    seconds: tuple[list[float], list[float]] = [], []
    difference, same_presence = 0.0, True
    for index, image in enumerate(frames):
        for tracker, taken in zip(trackers, seconds, strict=True):
            start = time.perf_counter()
            tracker.step(image, index)
            taken.append(time.perf_counter() - start)
            if index == 0:
                tracker.prompt(Prompt(1, clicks=(Click(128, 96),)))
                tracker.prompt(Prompt(2, box=Box(60, 40, 90, 80)))
            elif index == 3:
                tracker.prompt(Prompt(3, mask=ELLIPSE))
            elif index == 8:
                tracker.prompt(Prompt(1, clicks=(Click(40, 150, positive=False),)), stamp=5)
                tracker.prompt(Prompt(2, clicks=(Click(100, 80),)), stamp=2)
        network_answers, graph_answers = (tracker.history.newest.answers for tracker in trackers)
        for object_id, answer in network_answers.items():
            other = graph_answers[object_id]
            both = answer.presence_logit > 0, other.presence_logit > 0
            same_presence &= both[0] == both[1]
            if all(both):
                difference = max(difference, float((answer.logits - other.logits).abs().max()))
    return Comparison(difference, same_presence, *map(statistics.median, seconds[::-1]))
