"""Weights in and out: from the files of Meta, Hugging Face and others to a network, and back to a file."""

from typing import TYPE_CHECKING

from sam2_ros.lazy import lazy_names

if TYPE_CHECKING:
    from sam2_ros.checkpoints.errors import CheckpointError
    from sam2_ros.checkpoints.load import check_memory, load_checkpoint, load_model
    from sam2_ros.checkpoints.save import save_official, save_weights

__all__ = [
    "CheckpointError",
    "check_memory",
    "load_checkpoint",
    "load_model",
    "save_official",
    "save_weights",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "CheckpointError": "errors",
        "check_memory": "load",
        "load_checkpoint": "load",
        "load_model": "load",
        "save_official": "save",
        "save_weights": "save",
    },
)
