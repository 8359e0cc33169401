"""A network from a checkpoint: Meta's `.pt`, Hugging Face's `safetensors`, our own, or exported graphs.

The network's parameters carry Meta's names, so Meta's files load as they are. `names` renames the keys of others,
`files` reads all formats. Our own are `safetensors` with Meta's names, in half precision.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from sam2_ros.acceleration.onnx.network import OnnxNetwork, is_exported
from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.checkpoints.exported import load_exported
from sam2_ros.checkpoints.identity import describe_origin, identify, mismatches, shortened
from sam2_ros.checkpoints.model_name import check_model_name
from sam2_ros.checkpoints.official import OFFICIAL, fetch_official
from sam2_ros.checkpoints.weights import is_finite, read_weights
from sam2_ros.model.config import CONFIGS, SAM2Config
from sam2_ros.model.sam2 import SAM2
from sam2_ros.system.device import device_of

DEFAULT_WEIGHTS = Path(__file__).parents[1] / "weights" / "default.safetensors"
"""The default model's weights, part of the package."""


def load_model(
    name: str | None = None,
    checkpoint: str | Path | None = None,
    device: str | torch.device | None = None,
    image_size: int | None = None,
    aspect: str | None = None,
    threads: int | Callable[[SAM2Config], int] = 0,
) -> SAM2 | OnnxNetwork:
    """A network with its weights, ready for `Tracker` and `ImagePredictor`.

    Args:
        name: a key of `CONFIGS`. None: the model that `checkpoint` was made for, or without one the default model.
        checkpoint: Meta's `.pt`, our `.safetensors`, Hugging Face's folder or `model.safetensors`, or a state dict
            written by `torch.save`, alone or inside a trainer's checkpoint. Or a folder of graphs that
            `python -m sam2_ros.deployment` has exported, run by ONNX Runtime on the CPU in float32; they fit one size
            and aspect of images, and other arguments must agree with them. None: the
            weights that belong to the name; those of Meta's models are downloaded once, to `cached_checkpoint(name)`.
        device: None: the first CUDA GPU if there is one, else the CPU.
        image_size: images are resized to about as many pixels as a square with this side has, a multiple of 32: fewer
            are faster, more show smaller things. The weights fit all sizes. None: the model's own.
        aspect: width to height of the resized images, "16:9" or "1280x720" for instance, or "image": each image keeps
            its own. None: the model's own, which is "image" for the default model and a square for Meta's.
        threads: CPU threads of one operation of exported graphs, which are fixed when they are opened: a number, or a
            function that chooses it by their configuration; 0: ONNX Runtime chooses. A `SAM2` takes as many as
            `torch.set_num_threads` says.

    Returns:
        `SAM2` in eval mode, with weights in float32 (`Tracker` decides on the precision of the computation); of
        exported graphs an `OnnxNetwork`.

    Raises:
        CheckpointError: the name is unknown, or weights or graphs are missing, damaged, or do not fit.
        ValueError: there is no such device, size or aspect.
    """
    if checkpoint is None or not is_exported(folder := Path(checkpoint).expanduser()):
        return load_sam2(name, checkpoint, device, image_size, aspect)
    if name is not None:
        check_model_name(name)
    return load_exported(folder, name, device, image_size, aspect, threads)


def load_sam2(
    name: str | None = None,
    checkpoint: str | Path | None = None,
    device: str | torch.device | None = None,
    image_size: int | None = None,
    aspect: str | None = None,
) -> SAM2:
    """As `load_model`, for callers that need the weights themselves: to train, export or save them.

    Raises:
        CheckpointError: as `load_model`; and for exported graphs, out of which no weights can be read.
        ValueError: there is no such device, size or aspect.
    """
    chosen = device_of(device)
    if name is not None:
        check_model_name(name)
    if checkpoint is None:
        name = name or "default"
        checkpoint = fetch_official(name) if name in OFFICIAL else DEFAULT_WEIGHTS
        if not Path(checkpoint).is_file():
            raise CheckpointError(
                f"The weights of the {name!r} model belong at {checkpoint}, but there is no such file. "
                "Install sam2_ros again, or give other weights as `checkpoint`."
            )

    weights = read_weights(checkpoint)
    if name is None:
        name = identify(weights)
        if name is None:
            raise CheckpointError(f"{checkpoint}: fits none of the known models exactly. {describe_origin(weights)}")
    model = SAM2(CONFIGS[name].at(image_size, aspect))
    _fill(model, weights, checkpoint)
    return model.to(chosen).eval()


def load_checkpoint(model: SAM2, path: str | Path) -> None:
    """Fill a network with the weights of a file, converting their dtype to the network's.

    Args:
        path: weights, as the checkpoint of `load_model`. Those of an image model have no memory; the network's own is
            then left unchanged, with a warning. `ImagePredictor` can use such weights, `Tracker` refuses them.

    Raises:
        CheckpointError: no such file, not readable, or made for another network; the network is then unchanged.
    """
    _fill(model, read_weights(path), path)


def check_memory(model: object) -> None:
    """Raise CheckpointError if a model cannot track: it was loaded without the weights of its memory."""
    if missing := getattr(model, "missing_weights", ()):
        raise CheckpointError(
            f"These weights are for still images: {len(missing)} of the memory's are missing ({missing[0]}, ...), so"
            " that nothing can be tracked with them. ImagePredictor can use them; tracking takes weights for video"
            " (Meta's .pt, Hugging Face's Sam2VideoModel), or training."
        )


def _fill(model: SAM2, weights: Mapping[str, Tensor], path: str | Path) -> None:
    own = model.state_dict()
    phrases = mismatches({key: value.shape for key, value in own.items()}, weights)
    if phrases:
        name = model.config.name
        origin = describe_origin(weights, excluded=name)
        raise CheckpointError(f"{path}: does not fit the model {name!r}: {shortened(phrases)}. {origin}")
    converted = {key: _converted(key, value, own[key].dtype, path) for key, value in weights.items()}
    missing = model.load_state_dict(converted, strict=False).missing_keys
    model.missing_weights = tuple(missing)
    if missing:
        warnings.warn(
            f"{path}: a checkpoint for still images. It has no weights for memory ({missing[0]}, ...), "
            "so that nothing can be tracked with it.",
            stacklevel=3,
        )


def _converted(key: str, value: Tensor, dtype: torch.dtype, path: str | Path) -> Tensor:
    """A weight in the network's dtype. Raises CheckpointError unless all its numbers are finite in it."""
    if not value.is_floating_point() or value.layout is not torch.strided or value.is_quantized:
        kind = "quantized" if value.is_quantized else str(value.dtype).removeprefix("torch.")
        raise CheckpointError(f"{path}: {key} is {kind}; weights have to be plain floating-point numbers.")
    value = value.detach().to(dtype)
    if not is_finite(value):
        raise CheckpointError(
            f"{path}: {key} holds NaN or infinity. Training has diverged, or rounding to half precision has"
            " overflowed; take an earlier checkpoint."
        )
    return value
