"""Names of models, and suggestions for mistaken ones."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.checkpoints.files import FILE_SUFFIXES
from sam2_ros.model.config import CONFIGS


def check_model_name(name: str) -> None:
    """Raise CheckpointError if there is no such model."""
    if name in CONFIGS:
        return
    given = str(name)
    if Path(given).suffix in FILE_SUFFIXES or (given and Path(given).expanduser().exists()):
        hint = f"Did you mean checkpoint={given!r}?"
    elif close := get_close_matches(given, CONFIGS, n=1):
        hint = f"Did you mean {close[0]!r}?"
    else:
        hint = suggestion(given)
    raise CheckpointError(
        f"There is no model named {given!r}.{' ' * bool(hint)}{hint} Choose one of: {', '.join(CONFIGS)}."
    )


def suggestion(name: str) -> str:
    """Suggestion for a mistaken checkpoint or model name, as a sentence; empty: none."""
    repository = name.rsplit("/", 1)[-1].replace("sam2-hiera", "sam2_hiera").replace("sam2.1-hiera", "sam2.1_hiera")
    model = repository.replace("base-plus", "base_plus").replace("-", "_")
    if model in CONFIGS:
        return f"Did you mean the model's name, {model!r}?"
    if "://" in name or name.startswith(("http:", "https:")):
        return "Download it first."
    return ""
