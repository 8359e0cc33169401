"""Weights in and out: Meta's `.pt`, Hugging Face's `safetensors`, and our own.

The network's parameters carry Meta's names, so Meta's files load as they are. `weight_names` takes those of others
back, `weight_files` reads all kinds of files. Our own are `safetensors` with Meta's names, in half precision.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from http.client import HTTPException
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from sam2_ros.model.cache import cache_folder, make_folder
from sam2_ros.model.config import CONFIGS, SAM2Config
from sam2_ros.model.device import device_of
from sam2_ros.model.download import DamagedError, checksum, download
from sam2_ros.model.sam2 import SAM2
from sam2_ros.model.weight_files import FILE_SUFFIXES, FORMATS, CheckpointError, read_content, refuse_pickled_model
from sam2_ros.model.weight_names import VIDEO_ONLY, from_hugging_face, network_weights

__all__ = [
    "CheckpointError",
    "check_memory",
    "fetch_official",
    "from_hugging_face",
    "identify",
    "load_checkpoint",
    "load_model",
    "read_weights",
    "save_official",
    "save_weights",
]

log = logging.getLogger("sam2_ros")

DEFAULT_WEIGHTS = Path(__file__).parents[1] / "weights" / "default.safetensors"
"""The default model's weights, part of the package."""

RELEASES = "https://dl.fbaipublicfiles.com/segment_anything_2"

# SHA-256 of the released files, as several public projects pin them independently of each other.
OFFICIAL: dict[str, tuple[str, str]] = {
    name: (f"{RELEASES}/{date}/{name}.pt", sha256)
    for name, date, sha256 in (
        ("sam2_hiera_tiny", "072824", "65b50056e05bcb13694174f51bb6da89c894b57b75ccdf0ba6352c597c5d1125"),
        ("sam2_hiera_small", "072824", "95949964d4e548409021d47b22712d5f1abf2564cc0c3c765ba599a24ac7dce3"),
        ("sam2_hiera_base_plus", "072824", "d0bb7f236400a49669ffdd1be617959a8b1d1065081789d7bbff88eded3a8071"),
        ("sam2_hiera_large", "072824", "7442e4e9b732a508f80e141e7c2913437a3610ee0c77381a66658c3a445df87b"),
        ("sam2.1_hiera_tiny", "092824", "7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69"),
        ("sam2.1_hiera_small", "092824", "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38"),
        ("sam2.1_hiera_base_plus", "092824", "a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5"),
        ("sam2.1_hiera_large", "092824", "2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318"),
    )
}
"""Name of a released model -> where its checkpoint is, and the SHA-256 of that file."""


def load_model(
    name: str | None = None,
    checkpoint: str | Path | None = None,
    device: str | torch.device | None = None,
    image_size: int | None = None,
    aspect: str | None = None,
) -> SAM2:
    """A network with its weights in float32, ready to use (eval mode). What it computes in, `Tracker` decides.

    Args:
        name: a key of `CONFIGS`. None: what `checkpoint` was made for, or without one the default model.
        checkpoint: Meta's `.pt`, our `.safetensors`, Hugging Face's folder or `model.safetensors`, or what
            `torch.save` has made of a state dict, alone or inside a trainer's checkpoint. None: the weights that belong
            to the name; those of Meta's models are fetched once into `cached_checkpoint(name)`.
        device: None: the first CUDA GPU if there is one, else the CPU.
        image_size: images are resized to about as many pixels as a square with this side has, a multiple of 32: fewer
            are faster, more show smaller things. The weights fit all sizes. None: the model's own.
        aspect: width to height of what they are resized to, "16:9" or "1280x720" for instance, or "image": as each of
            them has it. None: the model's own, which is "image" for the default model and a square for Meta's.

    Raises:
        CheckpointError: unknown name, or no weights, or weights that do not fit.
        ValueError: no such size or aspect.
    """
    chosen = device_of(device)
    if name is not None:
        _check_name(name)
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
            raise CheckpointError(f"{checkpoint}: fits none of the known models exactly. {_origin(weights)}")
    model = SAM2(CONFIGS[name].at(image_size, aspect))
    _fill(model, weights, checkpoint)
    return model.to(chosen).eval()


def load_checkpoint(model: SAM2, path: str | Path) -> None:
    """Fill a network with the weights of a file, converting their dtype to the network's.

    Args:
        path: as the checkpoint of `load_model`. That of an image model has no memory; the network's own is then left
            as it is, with a warning. `ImagePredictor` can use such weights, `Tracker` refuses them.

    Raises:
        CheckpointError: no such file, not readable, or made for another network; the network is then unchanged.
    """
    _fill(model, read_weights(path), path)


def save_official(model: SAM2, path: str | Path) -> None:
    """Write Meta's format, float32, so that Meta's code and everything built on it can read the weights.

    Of a model whose weights came without a memory, the memory is left out again.

    Raises:
        CheckpointError: weights are NaN or infinite; nothing is written.
    """
    weights = _weights_of(model, torch.float32)
    with open(path, "wb") as file:  # whose errors say what is wrong
        torch.save({"model": weights}, file)


def save_weights(model: SAM2, path: str | Path, dtype: torch.dtype = torch.float16) -> None:
    """Write our own format: `safetensors` with Meta's names, in half precision.

    What half precision cannot hold is written as float32. Otherwise as `save_official`.
    """
    weights = _weights_of(model, dtype)
    Path(path).write_bytes(save(weights))  # its save_file would let nobody else read it


def _weights_of(model: SAM2, dtype: torch.dtype) -> dict[str, Tensor]:
    """What there is to save. Weights that came from nowhere are left out, so that nobody takes them for learnt ones."""
    weights = {}
    for key, value in model.state_dict().items():
        if key in model.missing_weights:
            continue
        if not _is_finite(value):
            raise CheckpointError(f"{key} holds NaN or infinity, and is not saved. Training has diverged.")
        rounded = value.detach().to(dtype)
        if not _is_finite(rounded):  # beyond the largest number of half precision
            rounded = value.detach().float()
        weights[key] = rounded.cpu().contiguous()
    return weights


def cached_checkpoint(name: str) -> Path:
    """Where the checkpoint of one of Meta's models is kept on this machine, whether it is there yet or not."""
    return cache_folder() / f"{name}.pt"


def fetch_official(name: str) -> Path:
    """The checkpoint of one of Meta's models: from the cache, else fetched with a progress bar.

    Its checksum is compared each time: power cuts and full disks leave files that are cut off. They are fetched again.

    Raises:
        CheckpointError: cannot be fetched, or is not the released file; the message says which file to put where.
        Stopped: the process is ending.
    """
    url, sha256 = OFFICIAL[name]
    try:
        path = cached_checkpoint(name)
    except OSError as error:
        raise CheckpointError(f"There is no place to keep {url}: {error} Or give a `checkpoint`.") from error
    by_hand = f"Put {url} at {path} by hand, or give its place as `checkpoint`."
    try:
        if path.is_file():
            if checksum(path) == sha256:
                return path
            log.warning("%s is not the file that was released, or damaged; it is fetched again", path)
        make_folder(path.parent)
        download(url, path, sha256)
    except DamagedError as error:
        raise CheckpointError(f"{url} did not arrive as it was released ({error}). {by_hand}") from error
    except (OSError, HTTPException, ValueError) as error:  # ValueError: what a proxy's variables say is no address
        raise CheckpointError(f"Cannot fetch {url} ({error}). {by_hand}") from error
    return path


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint, on the CPU, under Meta's names.

    Raises:
        CheckpointError: no such file, not readable, or without weights.
    """
    path = Path(path).expanduser()
    if not path.exists() and (hint := _meant(str(path))):
        raise CheckpointError(f"{path}: no such file. {hint}")
    content = read_content(path)
    weights, places = network_weights(content)
    if not weights:
        refuse_pickled_model(path, content)
        raise CheckpointError(f"{path}: holds no weights, no tensors with names. {FORMATS}")
    if len(places) > 1:
        log.warning("%s: holds several sets of weights (%s); taken is %s", path, ", ".join(places), places[0])
    return weights


def _meant(given: str) -> str:
    """What somebody may have meant who gave this as a checkpoint or a model's name; empty: nothing comes to mind."""
    repository = given.rsplit("/", 1)[-1].replace("sam2-hiera", "sam2_hiera").replace("sam2.1-hiera", "sam2.1_hiera")
    name = repository.replace("base-plus", "base_plus").replace("-", "_")
    if name in CONFIGS:
        return f"Did you mean the model's name, {name!r}?"
    if "://" in given or given.startswith(("http:", "https:")):
        return "Download it first."
    return ""


def _check_name(name: str) -> None:
    if name in CONFIGS:
        return
    given = str(name)
    if Path(given).suffix in FILE_SUFFIXES or (given and Path(given).expanduser().exists()):
        hint = f"Did you mean checkpoint={given!r}?"
    elif close := get_close_matches(given, CONFIGS, n=1):
        hint = f"Did you mean {close[0]!r}?"
    else:
        hint = _meant(given)
    raise CheckpointError(
        f"There is no model named {given!r}.{' ' * bool(hint)}{hint} Choose one of: {', '.join(CONFIGS)}."
    )


def identify(weights: Mapping[str, Tensor]) -> str | None:
    """Name of the model that tensors under Meta's names were made for; None: none that is known.

    Without a memory, 2.0 and 2.1 have the same weights; then it is 2.1.
    """
    names = sorted(CONFIGS, key=lambda name: name.startswith("sam2_")) if _is_image_only(weights) else CONFIGS
    return next((name for name in names if not _differences(_shapes(CONFIGS[name]), weights)), None)


def check_memory(model: object) -> None:
    """Raises CheckpointError where a model cannot track: its weights came without those of the memory."""
    if missing := getattr(model, "missing_weights", ()):
        raise CheckpointError(
            f"These weights are for still images: {len(missing)} of the memory's are missing ({missing[0]}, ...), so"
            " that nothing can be tracked with them. ImagePredictor can use them; tracking takes weights for video"
            " (Meta's .pt, Hugging Face's Sam2VideoModel), or training."
        )


@lru_cache(maxsize=len(CONFIGS))
def _shapes(config: SAM2Config) -> dict[str, torch.Size]:
    with torch.device("meta"):
        return {key: value.shape for key, value in SAM2(config).state_dict().items()}


def _is_image_only(weights: Mapping[str, Tensor]) -> bool:
    return not any(VIDEO_ONLY.match(key) for key in weights)


_MISSING = " is missing"


def _differences(shapes: Mapping[str, torch.Size], weights: Mapping[str, Tensor]) -> list[str]:
    """What about weights does not fit a network, a phrase for each key. A memory that is missing as a whole is none."""
    image_only = _is_image_only(weights)
    found = []
    for key, shape in shapes.items():
        if key not in weights:
            if not (image_only and VIDEO_ONLY.match(key)):
                found.append(f"{key}{_MISSING}")
        elif weights[key].shape != shape:
            found.append(f"{key} has shape {tuple(weights[key].shape)} instead of {tuple(shape)}")
    return found + [f"{key} is unexpected" for key in weights if key not in shapes]


def _first(phrases: Sequence[str], most: int = 3) -> str:
    more = f" and {len(phrases) - most} more" if len(phrases) > most else ""
    return ", ".join(phrases[:most]) + more


def _origin(weights: Mapping[str, Tensor], but: str | None = None) -> str:
    """Which of the known models weights may be of, as a sentence. `but`: which one they are not, as has been said."""
    if any(".lora_" in key for key in weights):
        return "It holds LoRA adapters: merge them into the weights first, and save those."
    differences = {name: _differences(_shapes(config), weights) for name, config in CONFIGS.items()}
    nearest = min(differences, key=lambda name: len(differences[name]))
    differ = differences[nearest]
    if not differ:
        return f"This file looks like {nearest}."
    whole = len(_shapes(CONFIGS[nearest]))
    if len(differ) > whole / 4 and all(phrase.endswith(_MISSING) for phrase in differ):
        return f"It holds a part of a model, {len(weights)} of {whole} weights of {nearest}. Save them all."
    if len(differ) > whole / 2:
        return f"Its keys are those of another network: {_first(list(weights))}."
    if nearest == but:
        return "No other model is nearer."
    keys = "1 key that differs" if len(differ) == 1 else f"{len(differ)} keys that differ"
    return f"This file looks like {nearest} with {keys}: {_first(differ)}."


def _fill(model: SAM2, weights: Mapping[str, Tensor], path: str | Path) -> None:
    own = model.state_dict()
    differ = _differences({key: value.shape for key, value in own.items()}, weights)
    if differ:
        name = model.config.name
        raise CheckpointError(f"{path}: does not fit the model {name!r}: {_first(differ)}. {_origin(weights, name)}")
    checked = {key: _checked(key, value, own[key].dtype, path) for key, value in weights.items()}
    missing = model.load_state_dict(checked, strict=False).missing_keys
    model.missing_weights = tuple(missing)
    if missing:
        warnings.warn(
            f"{path}: a checkpoint for still images. It has no weights for memory ({missing[0]}, ...), "
            "so that nothing can be tracked with it.",
            stacklevel=3,
        )


def _checked(key: str, value: Tensor, dtype: torch.dtype, path: str | Path) -> Tensor:
    """A weight as the network's type. Raises CheckpointError where it is no finite number in it."""
    if not value.is_floating_point() or value.layout is not torch.strided or value.is_quantized:
        kind = "quantized" if value.is_quantized else str(value.dtype).removeprefix("torch.")
        raise CheckpointError(f"{path}: {key} is {kind}; weights have to be plain floating-point numbers.")
    value = value.detach().to(dtype)
    if not _is_finite(value):
        raise CheckpointError(
            f"{path}: {key} holds NaN or infinity. Training has diverged, or rounding to half precision has"
            " overflown; take an earlier checkpoint."
        )
    return value


def _is_finite(value: Tensor) -> bool:
    # A sum is a tenth of the work, and finite only if all are. Finite numbers may add up to infinity.
    return bool(value.sum().isfinite()) or bool(value.isfinite().all())
