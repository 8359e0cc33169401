"""Random weights that all sides of a comparison load, in files that each of them can read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

from peers.task import SEED, Task

ROOT = Path(__file__).parents[2]
PRESENT = 6.0
"""Bias of the presence logit: all objects are visible, as in most frames."""


def write_weights(task: Task, folder: str) -> str:
    """Write the weights of a task. Meta's models: in Hugging Face's layout, `default`: in ours. Returns the path.

    They are random and have the speed of trained ones.
    """
    if task.model != "default":
        model = hugging_face_model(task)
        model.mask_decoder.pred_obj_score_head.proj_out.bias.data.fill_(PRESENT)
        model.save_pretrained(folder)
        return folder
    from safetensors.torch import save_file

    from sam2_ros.model.config import CONFIGS
    from sam2_ros.model.sam2 import SAM2

    torch.manual_seed(SEED)
    model = SAM2(CONFIGS[task.model])
    model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.data.fill_(PRESENT)
    path = str(Path(folder, "random.safetensors"))
    save_file(model.state_dict(), path)
    return path


def hugging_face_model(task: Task) -> Any:
    """`Sam2VideoModel` of transformers with random weights, in eval mode."""
    sys.path.insert(0, str(ROOT / "tests"))
    import peer
    from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoModel

    from sam2_ros.model.config import CONFIGS

    torch.manual_seed(SEED)
    model = peer.build(CONFIGS[task.model].at(task.size), Sam2VideoModel)
    peer.randomise(model, vivid=1.0)
    return model.eval()
