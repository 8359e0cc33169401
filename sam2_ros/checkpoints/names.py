"""Names of tensors: those of Hugging Face, wrappers and trainers, translated to Meta's, which the network uses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

# From Hugging Face's names to Meta's: regular expressions, applied in this order to every key.
_MLP3 = r"(output_hypernetworks_mlps\.\d|iou_prediction_head|pred_obj_score_head|object_pointer_proj)"
_HUGGING_FACE: tuple[tuple[str, str], ...] = (
    # Layers that are named by Hugging Face and numbered by Meta.
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

VIDEO_ONLY = re.compile(
    r"memory_attention\.|memory_encoder\.|mask_downsample\.|obj_ptr|maskmem_tpos_enc|no_obj|no_mem_pos_enc"
)
"""Keys missing from the checkpoint of an image model, Hugging Face's `Sam2Model` for instance."""

_PARTS = re.compile(
    r"(?:^|(?<=\.))(?:(?:image_encoder|vision_encoder|(?:sam_)?prompt_encoder|(?:sam_)?mask_decoder|memory_attention"
    r"|memory_encoder|mask_downsample|shared_image_embedding|obj_ptr_proj|obj_ptr_tpos_proj|object_pointer_proj"
    r"|temporal_positional_encoding_projection_layer)\."
    r"|(?:maskmem_tpos_enc|no_mem_embed|no_mem_pos_enc|no_obj_ptr|no_obj_embed_spatial|no_memory_embedding"
    r"|no_memory_positional_encoding|memory_temporal_positional_encoding|no_object_pointer"
    r"|occlusion_spatial_embedding_parameter)$)"
)
"""Start of one of Meta's or Hugging Face's names within a longer one."""

_WRAPPERS = re.compile(r"(?:^|(?<=\.))(?:_orig_mod|module|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
"""Prefixes that torch.compile, DataParallel, FSDP and activation checkpointing insert into names."""

_FUSER_SCALE = re.compile(r"(^memory_encoder\.fuser\.layers\.\d+)\.(?:weight|scale)$")
"""Called `gamma` by Meta; older versions of transformers rename every `gamma` to `weight`."""

_AVERAGED = re.compile(r"(?:^|[._])(?:ema|swa|averaged?|shadow|teacher)(?:[._]|$)", re.IGNORECASE)
_NO_WEIGHTS = re.compile(r"optim|exp_avg|momentum|grad|scaler|scheduler")
_MAX_DEPTH, _MAX_MAPPINGS = 4, 1000
"""Maximum depth of the search for weights in a checkpoint, and maximum number of mappings searched."""


def network_weights(content: Mapping[Any, Any]) -> tuple[dict[str, Tensor], list[str]]:
    """The network's tensors under Meta's names, from a checkpoint that may nest them and hold other entries, too.

    Of several sets of weights the largest is chosen, and among equally large ones a moving average.

    Returns:
        The tensors, empty where nothing looks like weights; and the places of the equally large sets, the chosen one
        first.
    """
    candidates: list[tuple[str, dict[str, Tensor]]] = []
    others: dict[str, Tensor] = {}
    for place, mapping in _mappings(content):
        tensors = {
            _WRAPPERS.sub("", key): value
            for key, value in mapping.items()
            if isinstance(key, str) and isinstance(value, Tensor) and not _is_counter(value)
        }
        prefix_of = {key: key[: part.start()] for key in tensors if (part := _PARTS.search(key))}
        if tensors and not prefix_of and not others:
            others = tensors
        for prefix in dict.fromkeys(prefix_of.values()):
            named = {
                key.removeprefix(prefix): value
                for key, value in tensors.items()
                if key.startswith(prefix) and prefix_of.get(key, prefix) == prefix
            }
            candidates.append((f"{place}{prefix}".rstrip("."), named))
    if not candidates:
        return others, []
    most = max(len(tensors) for _, tensors in candidates)
    largest = [(place, tensors) for place, tensors in candidates if len(tensors) == most]
    largest.sort(key=lambda entry: not _AVERAGED.search(entry[0]))  # a stable sort: the first of equals
    return _meta_names(largest[0][1]), [place for place, _ in largest]


def _mappings(content: Mapping[Any, Any]) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """Mappings within a checkpoint, the outermost first, each after its place: "ema.model." """
    level: list[tuple[str, Mapping[Any, Any]]] = [("", content)]
    remaining = _MAX_MAPPINGS
    for _ in range(_MAX_DEPTH):
        inner: list[tuple[str, Mapping[Any, Any]]] = []
        for place, mapping in level:
            remaining -= 1
            if remaining < 0:
                return
            yield place, mapping
            inner += [
                (f"{place}{key}.", value)
                for key, value in mapping.items()
                if isinstance(key, str) and isinstance(value, Mapping) and not _NO_WEIGHTS.search(key)
            ]
        level = inner


def _is_counter(value: Tensor) -> bool:
    """Whether a tensor counts steps or updates, as `AveragedModel` keeps them among the weights."""
    return not value.is_floating_point() and value.dim() == 0


def _meta_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    if any(key.startswith("vision_encoder.") for key in weights):
        weights = from_hugging_face(weights)
    return {_FUSER_SCALE.sub(r"\1.gamma", key): value for key, value in weights.items()}


def from_hugging_face(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Hugging Face's state dict (of `Sam2Model` or `Sam2VideoModel`) under Meta's names."""
    renamed = {}
    for key, value in weights.items():
        for pattern, replacement in _HUGGING_FACE:
            key = re.sub(pattern, replacement, key)
        if key == "sam_prompt_encoder.point_embed.weight" and value.dim() == 2 and len(value) < 10:
            for i, row in enumerate(value):
                renamed[f"sam_prompt_encoder.point_embeddings.{i}.weight"] = row[None]
        else:
            renamed[key] = value
    return renamed
