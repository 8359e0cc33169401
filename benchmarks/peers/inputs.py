"""Images and random weights that all sides of a comparison read."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from peers.task import SEED, Task

ROOT = Path(__file__).parents[2]
PRESENT = 6.0
"""Bias of the presence logit: all objects are visible, as in most frames."""


@dataclass(frozen=True)
class Inputs:
    """Files in a folder. Weights are random; they have the speed of trained ones."""

    folder: str
    weights: str
    """Path: of Meta's models in Hugging Face's layout, of `default` in ours."""

    @classmethod
    def write(cls, task: Task, folder: str) -> Inputs:
        """Write the inputs of a task, with the package of this checkout."""
        sys.path.insert(0, str(ROOT))
        np.save(Path(folder, "images.npy"), np.stack(_images(task)))
        return cls(folder, _write_default(folder) if task.model == "default" else _write_random(task, folder))

    def images(self) -> list[np.ndarray]:
        """Frames: uint8 [H, W, 3] RGB."""
        return list(np.load(Path(self.folder, "images.npy")))


def _images(task: Task) -> list[np.ndarray]:
    if task.video:
        import av

        with av.open(task.video) as container:
            return [frame.to_ndarray(format="rgb24") for frame in islice(container.decode(video=0), 24)]
    from sam2_ros.scenes.synthetic import SceneSettings, SyntheticScenes

    return list(SyntheticScenes(SceneSettings(480, 640, frames=24, objects=(3, 5), leaving=0)).scene(3).frames)


def _write_default(folder: str) -> str:
    from safetensors.torch import save_file

    from sam2_ros.model.config import CONFIGS
    from sam2_ros.model.sam2 import SAM2

    torch.manual_seed(SEED)
    model = SAM2(CONFIGS["default"])
    model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.data.fill_(PRESENT)
    path = str(Path(folder, "random.safetensors"))
    save_file(model.state_dict(), path)
    return path


def _write_random(task: Task, folder: str) -> str:
    sys.path.insert(0, str(ROOT / "tests"))
    import peer
    from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoModel

    from sam2_ros.model.config import CONFIGS

    torch.manual_seed(SEED)
    model: Any = peer.build(CONFIGS[task.model].at(task.size), Sam2VideoModel)
    peer.randomise(model, vivid=1.0)
    model.mask_decoder.pred_obj_score_head.proj_out.bias.data.fill_(PRESENT)
    model.save_pretrained(folder)
    return folder
