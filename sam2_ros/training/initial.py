"""The model that training starts from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from sam2_ros.checkpoints.identity import identify
from sam2_ros.checkpoints.load import DEFAULT_WEIGHTS, load_checkpoint
from sam2_ros.checkpoints.official import OFFICIAL, fetch_official
from sam2_ros.checkpoints.weights import read_weights
from sam2_ros.model.config import CONFIGS
from sam2_ros.model.sam2 import SAM2
from sam2_ros.training.recipe import Recipe
from sam2_ros.training.start import attend_to_click, attend_to_same_position


def initial_model(name: str | None, init: Path | None, recipe: Recipe) -> SAM2:
    """A model with its initial weights.

    Args:
        name: a key of `CONFIGS`; None: the one that `init` fits, or the default model.
        init: weights; None: the model's released ones if the recipe starts from them, else random ones.
        recipe: sets input size, and what of the model is for training alone.

    Raises:
        CheckpointError: weights are missing, or do not fit the model.
    """
    if init and not name:
        name = identify(read_weights(init))
    name = name or "default"
    if not init and recipe.stage.pretrained:
        init = fetch_official(name) if name in OFFICIAL else DEFAULT_WEIGHTS
    config = CONFIGS[name].at(recipe.stage.size, recipe.stage.aspect)
    if recipe.learning.drop_path is not None:
        config = replace(config, hiera=replace(config.hiera, drop_path=recipe.learning.drop_path))
    torch.manual_seed(0)
    model = SAM2(config)
    if init:
        load_checkpoint(model, init)
    new_memory = recipe.stage.new_memory or bool(model.missing_weights)  # an image model's weights have no memory
    if recipe.stage.frames > 1:
        model.missing_weights = ()  # training supplies them
    if new_memory or not init:
        attend_to_same_position(model)
    if not init:
        attend_to_click(model)
    return model
