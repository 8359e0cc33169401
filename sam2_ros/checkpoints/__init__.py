"""Weights in and out: a network from the files of Meta, Hugging Face and others, and a file from a network."""

from typing import TYPE_CHECKING

from sam2_ros.lazy import lazy_names

if TYPE_CHECKING:
    from sam2_ros.checkpoints.errors import CheckpointError
    from sam2_ros.checkpoints.load import check_memory, load_checkpoint, load_model, load_sam2
    from sam2_ros.checkpoints.save import save_official, save_weights

__all__ = [
    "CheckpointError",
    "check_memory",
    "load_checkpoint",
    "load_model",
    "load_sam2",
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
        "load_sam2": "load",
        "save_official": "save",
        "save_weights": "save",
    },
)
