"""The tensors of a checkpoint from any source under Meta's names, which the network uses too."""

from __future__ import annotations

import logging
from pathlib import Path

from torch import Tensor

from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.checkpoints.files import FORMATS, read_content, refuse_pickled_model
from sam2_ros.checkpoints.model_name import suggestion
from sam2_ros.checkpoints.names import network_weights

log = logging.getLogger("sam2_ros")


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint, on the CPU, under Meta's names.

    Raises:
        CheckpointError: the file doesn't exist, isn't readable, or holds no weights.
    """
    path = Path(path).expanduser()
    if not path.exists() and (hint := suggestion(str(path))):
        raise CheckpointError(f"{path}: no such file. {hint}")
    content = read_content(path)
    weights, places = network_weights(content)
    if not weights:
        refuse_pickled_model(path, content)
        raise CheckpointError(f"{path}: holds no weights, that is, no named tensors. {FORMATS}")
    if len(places) > 1:
        log.warning("%s: holds several sets of weights (%s); using %s", path, ", ".join(places), places[0])
    return weights


def is_finite(value: Tensor) -> bool:
    """Whether a tensor holds no NaN and no infinity."""
    # A sum is a tenth of the work, and finite only if all numbers are. Finite numbers may add up to infinity.
    return bool(value.sum().isfinite()) or bool(value.isfinite().all())
