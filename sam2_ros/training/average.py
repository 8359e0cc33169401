"""`python -m sam2_ros.training.average OUT WEIGHTS WEIGHTS ...`: the mean of several sets of weights of one model.

Trainings that start from the same weights end in one valley of the loss, and the mean of their weights is mostly better
than each of them (Wortsman et al., Model soups, ICML 2022). The mean of fine-tuned weights with those they started from
forgets less (Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022). Both cost no time when they are used.
"""

from __future__ import annotations

from sam2_ros.requirements import require

if __name__ == "__main__":
    require("average")  # before the imports that would fail

import math
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.checkpoints.load import load_sam2
from sam2_ros.checkpoints.save import save_weights
from sam2_ros.command_line import CommandParser
from sam2_ros.model.config import CONFIGS
from sam2_ros.model.sam2 import SAM2

DESCRIPTION = "The mean of several sets of weights of one model, whose trainings started from the same weights."
EXAMPLES = """
%(prog)s kitchen.safetensors default runs/kitchen/average.safetensors
%(prog)s kitchen.safetensors default runs/a/average.safetensors runs/b/average.safetensors --shares 2 1 1
"""


def average(models: Sequence[SAM2], shares: Sequence[float] | None = None) -> SAM2:
    """The first of several networks, with the mean of the weights of all.

    Args:
        models: networks of one configuration, whose trainings started from the same weights; others have no mean that
            works. The first is changed.
        shares: of each, in proportion to their sum: 0 or more, not all 0. None: equal ones.

    Raises:
        CheckpointError: the networks are of different models, or some have weights for memory and others have none.
        ValueError: there are no networks, or the shares are no such numbers, or not as many.
    """
    shares = [1.0] * len(models) if shares is None else list(shares)
    if len(shares) != len(models):
        raise ValueError(f"--shares: {len(shares)} numbers for {len(models)} sets of weights; give one for each.")
    total = sum(shares)
    if not (math.isfinite(total) and total > 0 and min(shares) >= 0):
        raise ValueError("--shares have to be numbers of 0 or more, not all of them 0.")
    first, *others = models
    for other in others:
        if other.config.name != first.config.name:
            raise CheckpointError(f"Weights of {first.config.name} and of {other.config.name} have no mean.")
        if other.missing_weights != first.missing_weights:
            raise CheckpointError(
                "Some of the weights are for still images, without memory; their mean could not track."
            )
    states = [model.state_dict() for model in models]
    with torch.no_grad():
        for key, value in states[0].items():
            parts = (share * state[key].double() for share, state in zip(shares, states, strict=True))
            value.copy_(sum(parts) / total)
    return first


def main() -> int:
    parser = CommandParser(
        "sam2_ros.training.average", DESCRIPTION, EXAMPLES, "%(prog)s OUT WEIGHTS WEIGHTS ... [--shares X X ...]"
    )
    parser.add_argument("out", type=Path, help="file for the mean (.safetensors)")
    weights = "files of weights, two or more; a model's name (`default`) stands for its released ones"
    parser.add_argument("weights", nargs="+", metavar="WEIGHTS", help=weights)
    shares = "of each set of weights, in proportion; default: equal ones"
    parser.add_argument("--shares", type=float, nargs="+", metavar="X", help=shares)
    options = parser.parse_args()
    if len(options.weights) < 2:
        parser.error("give two or more sets of weights")
    try:
        sources = ((one, None) if one in CONFIGS else (None, one) for one in options.weights)
        models = [load_sam2(name, checkpoint, "cpu") for name, checkpoint in sources]
        save_weights(average(models, options.shares), options.out)
    except (CheckpointError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{options.out}: the mean of {len(models)} sets of weights of {models[0].config.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
