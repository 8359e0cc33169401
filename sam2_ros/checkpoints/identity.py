"""Identification of the model that weights belong to, and the keys in which the two disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import torch
from torch import Tensor

from sam2_ros.checkpoints.names import VIDEO_ONLY
from sam2_ros.model.config import CONFIGS, SAM2Config
from sam2_ros.model.sam2 import SAM2


def identify(weights: Mapping[str, Tensor]) -> str | None:
    """Name of the model whose keys and shapes these weights have; None: no known model.

    Args:
        weights: tensors under Meta's names. Without memory, 2.0 and 2.1 have the same weights; then it is 2.1.
    """
    names = sorted(CONFIGS, key=lambda name: name.startswith("sam2_")) if _is_image_only(weights) else CONFIGS
    return next((name for name in names if not mismatches(_shapes(CONFIGS[name]), weights)), None)


def mismatches(shapes: Mapping[str, torch.Size], weights: Mapping[str, Tensor]) -> list[str]:
    """One phrase for each key in which weights do not fit a network.

    Args:
        shapes: shapes of the network's parameters and buffers, by name.
        weights: tensors under Meta's names. Memory that is missing as a whole (weights for still images) is accepted.
    """
    image_only = _is_image_only(weights)
    phrases = []
    for key, shape in shapes.items():
        if key not in weights:
            if not (image_only and VIDEO_ONLY.match(key)):
                phrases.append(f"{key}{_MISSING}")
        elif weights[key].shape != shape:
            phrases.append(f"{key} has shape {tuple(weights[key].shape)} instead of {tuple(shape)}")
    return phrases + [f"{key} is unexpected" for key in weights if key not in shapes]


def describe_origin(weights: Mapping[str, Tensor], excluded: str | None = None) -> str:
    """A sentence that names the known model most similar to the weights.

    Args:
        excluded: name of the model that they do not fit, which the message has named already.
    """
    if any(".lora_" in key for key in weights):
        return "It holds LoRA adapters: merge them into the weights first, and save those."
    by_model = {name: mismatches(_shapes(config), weights) for name, config in CONFIGS.items()}
    nearest = min(by_model, key=lambda name: len(by_model[name]))
    phrases = by_model[nearest]
    if not phrases:
        return f"This file looks like {nearest}."
    total = len(_shapes(CONFIGS[nearest]))
    if len(phrases) > total / 4 and all(phrase.endswith(_MISSING) for phrase in phrases):
        return f"It holds a part of a model, {len(weights)} of {total} weights of {nearest}. Save them all."
    if len(phrases) > total / 2:
        return f"Its keys are those of another network: {shortened(list(weights))}."
    if nearest == excluded:
        return "No other model is nearer."
    keys = "1 key that differs" if len(phrases) == 1 else f"{len(phrases)} keys that differ"
    return f"This file looks like {nearest} with {keys}: {shortened(phrases)}."


def shortened(phrases: Sequence[str], most: int = 3) -> str:
    """The first phrases, and the number of others."""
    more = f" and {len(phrases) - most} more" if len(phrases) > most else ""
    return ", ".join(phrases[:most]) + more


_MISSING = " is missing"


@lru_cache(maxsize=len(CONFIGS))
def _shapes(config: SAM2Config) -> dict[str, torch.Size]:
    with torch.device("meta"):
        return {key: value.shape for key, value in SAM2(config).state_dict().items()}


def _is_image_only(weights: Mapping[str, Tensor]) -> bool:
    return not any(VIDEO_ONLY.match(key) for key in weights)
