"""A network from a folder of exported graphs, which fit one model, image size and aspect only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from sam2_ros.acceleration.onnx.config import read_config
from sam2_ros.acceleration.onnx.errors import GraphError
from sam2_ros.acceleration.onnx.network import OnnxNetwork
from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.model.config import SAM2Config
from sam2_ros.model.input_size import IMAGE
from sam2_ros.system.device import device_of


def load_exported(
    folder: Path,
    name: str | None,
    device: str | torch.device | None,
    image_size: int | None,
    aspect: str | None,
    threads: int | Callable[[SAM2Config], int],
) -> OnnxNetwork:
    """Open the graphs of a folder.

    Args:
        name, device, image_size, aspect: expected values of the export; None: any.
        threads: threads of one operation, or a function that chooses them by the configuration of the graphs.

    Raises:
        CheckpointError: something in the folder is missing or damaged, or the graphs are for something else.
        ValueError: there is no such device, size or aspect.
    """
    try:
        config = read_config(folder)
        _check_fit(folder, config, name, device, image_size, aspect)
        return OnnxNetwork(folder, threads=threads(config) if callable(threads) else threads)
    except GraphError as error:
        raise CheckpointError(str(error)) from error


def _check_fit(
    folder: Path,
    config: SAM2Config,
    name: str | None,
    device: str | torch.device | None,
    image_size: int | None,
    aspect: str | None,
) -> None:
    """Raise CheckpointError if exported graphs are for another model, device, image size or aspect."""
    if device and (requested := device_of(str(device))).type != "cpu":
        raise CheckpointError(f"{folder}: exported graphs run on the CPU, not on {requested}. Give weights for a GPU.")
    if name not in (None, config.name):
        raise CheckpointError(f"{folder}: holds graphs of the model {config.name!r}, not of {name!r}.")
    expected = config.at(image_size, aspect)
    if expected.aspect == IMAGE or expected.shape(1, 1) != config.shape(1, 1):
        size = f"{expected.image_size} pixels, aspect {expected.aspect}"
        raise CheckpointError(
            f"{folder}: graphs for {config.image_size} pixels, aspect {config.aspect}, not for {size}. Leave size"
            " and aspect out, or export again: python -m sam2_ros.deployment FOLDER --size N --aspect W:H"
        )
