"""Weights in and out: Meta's `.pt`, Hugging Face's `safetensors`, and our own.

The network's parameters carry Meta's names, so Meta's files load as they are. Hugging Face renamed them; one table
below takes their names back. Our own files are `safetensors` with Meta's names, in half precision.
"""

from __future__ import annotations

import re
import urllib.error
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from sam2_ros.model.cache import cache_folder
from sam2_ros.model.config import CONFIGS, SAM2Config
from sam2_ros.model.device import device_of
from sam2_ros.model.sam2 import SAM2

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

# From Hugging Face's names to Meta's: regular expressions, applied in this order to every key.
_MLP3 = r"(output_hypernetworks_mlps\.\d|iou_prediction_head|pred_obj_score_head|object_pointer_proj)"
_HUGGING_FACE: tuple[tuple[str, str], ...] = (
    # Layers that Hugging Face named and Meta only numbered.
    (rf"{_MLP3}\.proj_out\.", r"\1.layers.2."),
    (rf"{_MLP3}\.layers\.0\.", r"\1.layers.1."),
    (rf"{_MLP3}\.proj_in\.", r"\1.layers.0."),
    (r"\.mlp\.proj_in\.", ".mlp.layers.0."),
    (r"\.mlp\.proj_out\.", ".mlp.layers.1."),
    (r"mask_downsampler\.layers\.0\.conv\.", "mask_downsampler.encoder.0."),
    (r"mask_downsampler\.layers\.0\.layer_norm\.", "mask_downsampler.encoder.1."),
    (r"mask_downsampler\.layers\.1\.conv\.", "mask_downsampler.encoder.3."),
    (r"mask_downsampler\.layers\.1\.layer_norm\.", "mask_downsampler.encoder.4."),
    (r"mask_downsampler\.layers\.2\.conv\.", "mask_downsampler.encoder.6."),
    (r"mask_downsampler\.layers\.2\.layer_norm\.", "mask_downsampler.encoder.7."),
    (r"mask_downsampler\.layers\.3\.conv\.", "mask_downsampler.encoder.9."),
    (r"mask_downsampler\.layers\.3\.layer_norm\.", "mask_downsampler.encoder.10."),
    (r"mask_downsampler\.final_conv\.", "mask_downsampler.encoder.12."),
    (r"mask_embed\.conv1\.", "mask_downscaling.0."),
    (r"mask_embed\.layer_norm1\.", "mask_downscaling.1."),
    (r"mask_embed\.conv2\.", "mask_downscaling.3."),
    (r"mask_embed\.layer_norm2\.", "mask_downscaling.4."),
    (r"mask_embed\.conv3\.", "mask_downscaling.6."),
    (r"upscale_conv1\.", "output_upscaling.0."),
    (r"upscale_layer_norm\.", "output_upscaling.1."),
    (r"upscale_conv2\.", "output_upscaling.3."),
    # Words.
    (r"layer_norm", "norm"),
    (r"o_proj\.", "out_proj."),
    (r"memory_fuser", "fuser"),
    (r"depthwise_conv", "dwconv"),
    (r"pointwise_conv", "pwconv"),
    (r"(fuser\.layers\.\d)\.scale$", r"\1.gamma"),
    (r"feature_projection", "pix_feat_proj"),
    (r"^memory_encoder\.projection\.", "memory_encoder.out_proj."),
    (r"patch_embed\.projection", "patch_embed.proj"),
    (r"^object_pointer_proj", "obj_ptr_proj"),
    # Parts of the network, and its single tensors.
    (r"^vision_encoder\.backbone\.", "image_encoder.trunk."),
    (r"^vision_encoder\.neck\.convs\.(\d)\.", r"image_encoder.neck.convs.\1.conv."),
    (r"^(prompt_encoder\.shared_embedding|shared_image_embedding)\.positional_embedding$",
     "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"),
    (r"^prompt_encoder\.", "sam_prompt_encoder."),
    (r"^mask_decoder\.", "sam_mask_decoder."),
    (r"^no_memory_embedding$", "no_mem_embed"),
    (r"^no_memory_positional_encoding$", "no_mem_pos_enc"),
    (r"^memory_temporal_positional_encoding$", "maskmem_tpos_enc"),
    (r"^no_object_pointer$", "no_obj_ptr"),
    (r"^occlusion_spatial_embedding_parameter$", "no_obj_embed_spatial"),
    (r"^temporal_positional_encoding_projection_layer\.", "obj_ptr_tpos_proj."),
)  # fmt: skip

# What a Hugging Face checkpoint of the image model (`Sam2Model`) lacks.
_VIDEO_ONLY = re.compile(
    r"memory_attention\.|memory_encoder\.|mask_downsample\.|obj_ptr|maskmem_tpos_enc|no_obj|no_mem_pos_enc"
)


class CheckpointError(RuntimeError):
    """Weights are missing, unreadable, or made for another network; the message names the file and what to do."""


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
        checkpoint: Meta's `.pt`, our `.safetensors`, or Hugging Face's folder or `model.safetensors`. None: the weights
            that belong to the name; those of Meta's models are fetched once into `cached_checkpoint(name)`.
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
    if name is not None and name not in CONFIGS:
        raise CheckpointError(f"There is no model named {name!r}. Choose one of: {', '.join(CONFIGS)}.")
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
            raise CheckpointError(f"{checkpoint}: fits none of the known models ({', '.join(CONFIGS)}).")
    model = SAM2(CONFIGS[name].at(image_size, aspect))
    _fill(model, weights, checkpoint)
    return model.to(chosen).eval()


def load_checkpoint(model: SAM2, path: str | Path) -> None:
    """Fill a network with the weights of a file, converting their dtype to the network's.

    Args:
        path: Meta's `.pt`, our `.safetensors`, or Hugging Face's folder or `model.safetensors`. A Hugging Face
            checkpoint of the image model has no memory; the network's own is then left as it is, with a warning.

    Raises:
        CheckpointError: no such file, not readable, or made for another network; the network is then unchanged.
    """
    _fill(model, read_weights(path), path)


def save_official(model: SAM2, path: str | Path) -> None:
    """Write Meta's format, float32, so that Meta's code and everything built on it can read the weights."""
    weights = {key: value.detach().float().cpu() for key, value in model.state_dict().items()}
    torch.save({"model": weights}, path)


def save_weights(model: SAM2, path: str | Path, dtype: torch.dtype = torch.float16) -> None:
    """Write our own format: `safetensors` with Meta's names, in half precision."""
    weights = {key: value.detach().to(dtype).cpu().contiguous() for key, value in model.state_dict().items()}
    Path(path).write_bytes(save(weights))  # its save_file would let nobody else read it


def cached_checkpoint(name: str) -> Path:
    """Where the checkpoint of one of Meta's models is kept on this machine, whether it is there yet or not."""
    return cache_folder() / f"{name}.pt"


def fetch_official(name: str) -> Path:
    """The checkpoint of one of Meta's models: from the cache, else fetched with a progress bar and a checksum.

    Raises:
        CheckpointError: cannot be fetched, or is not the released file; the message says which file to put where.
    """
    path = cached_checkpoint(name)
    if path.is_file():
        return path
    url, sha256 = OFFICIAL[name]
    by_hand = f"Put {url} at {path} by hand, or give its place as `checkpoint`."
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), hash_prefix=sha256)
    except RuntimeError as error:  # what torch.hub raises for another checksum
        raise CheckpointError(f"{url} did not arrive as it was released ({error}). {by_hand}") from error
    except (urllib.error.URLError, OSError) as error:
        raise CheckpointError(f"Cannot fetch {url} ({error}). {by_hand}") from error
    return path


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint, on the CPU, under Meta's names.

    Raises:
        CheckpointError: no such file, or not readable.
    """
    path = Path(path)
    file = path / "model.safetensors" if path.is_dir() else path
    if not file.is_file():
        raise CheckpointError(
            f"{file}: no such file. Give Meta's .pt, a .safetensors, or a Hugging Face folder with a model.safetensors."
        )
    try:
        if file.suffix == ".safetensors":
            weights = load_file(file)
        else:
            content = torch.load(file, map_location="cpu", weights_only=True)
            weights = content["model"] if isinstance(content, Mapping) and "model" in content else None
    except Exception as error:  # damaged files make readers raise almost anything
        raise CheckpointError(
            f"{file}: not a readable checkpoint ({type(error).__name__}). Give Meta's .pt, a .safetensors, or a Hugging"
            " Face folder with a model.safetensors."
        ) from error
    if not isinstance(weights, Mapping) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise CheckpointError(f'{file}: holds no weights; expected Meta\'s format, {{"model": {{name: tensor}}}}.')
    if any(key.startswith("vision_encoder.") for key in weights):
        return from_hugging_face(weights)
    return dict(weights)


def from_hugging_face(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Hugging Face's state dict (of `Sam2Model` or `Sam2VideoModel`) under Meta's names."""
    renamed = {}
    for key, value in weights.items():
        for pattern, replacement in _HUGGING_FACE:
            key = re.sub(pattern, replacement, key)
        if key == "sam_prompt_encoder.point_embed.weight":
            for i, row in enumerate(value):
                renamed[f"sam_prompt_encoder.point_embeddings.{i}.weight"] = row[None]
        else:
            renamed[key] = value
    return renamed


def identify(weights: Mapping[str, Tensor]) -> str | None:
    """Name of the model that tensors under Meta's names were made for; None: none that is known."""
    return next((name for name, config in CONFIGS.items() if _misfit(_shapes(config), weights) is None), None)


def _shapes(config: SAM2Config) -> dict[str, torch.Size]:
    with torch.device("meta"):
        return {key: value.shape for key, value in SAM2(config).state_dict().items()}


def _misfit(shapes: Mapping[str, torch.Size], weights: Mapping[str, Tensor]) -> str | None:
    """The first thing about weights that does not fit a network, in words; None: all fits."""
    image_only = not any(_VIDEO_ONLY.match(key) for key in weights)
    for key, shape in shapes.items():
        if key not in weights:
            if image_only and _VIDEO_ONLY.match(key):
                continue
            return f"{key} is missing"
        if weights[key].shape != shape:
            return f"{key} has shape {tuple(weights[key].shape)} instead of {tuple(shape)}"
    return next((f"{key} is unexpected" for key in weights if key not in shapes), None)


def _fill(model: SAM2, weights: Mapping[str, Tensor], path: str | Path) -> None:
    shapes = {key: value.shape for key, value in model.state_dict().items()}
    misfit = _misfit(shapes, weights)
    if misfit:
        origin = identify(weights)
        looks = f" This file looks like {origin}." if origin else ""
        raise CheckpointError(f"{path}: does not fit the model {model.config.name!r}: {misfit}.{looks}")
    missing = model.load_state_dict(weights, strict=False).missing_keys
    if missing:
        warnings.warn(
            f"{path}: a checkpoint for still images. It has no weights for memory ({missing[0]}, ...), "
            "so that nothing can be tracked with it.",
            stacklevel=3,
        )
