"""The image encoder's patch embedding, with positions, as one CPU operator."""

from __future__ import annotations

from ctypes import Structure, byref, c_long, c_void_p

import torch
from torch import Tensor

from sam2_ros.acceleration.cpu.kernels.library import kernels
from sam2_ros.acceleration.cpu.kernels.transformer import Weights, weight_pointers


class Patches(Structure):
    """Mirrors `Patches` of patch_embedding.cpp."""

    _fields_ = (
        *((name, c_void_p) for name in ("image", "position", "out")),
        *((name, c_long) for name in ("batch", "height", "width", "channels", "threads")),
        ("proj", Weights),
    )


# An operator, so that profilers see it.
torch.library.define(
    "sam2_ros::patch_embedding", "(Tensor image, Tensor weight, Tensor bias, Tensor position) -> Tensor"
)


@torch.library.impl("sam2_ros::patch_embedding", "CPU")
def _patch_embedding(image: Tensor, weight: Tensor, bias: Tensor, position: Tensor) -> Tensor:
    """`sam2_ros.model.hiera.PatchEmbed`, plus position embedding.

    Args:
        image: float32 [B, 3, H, W], H and W multiples of 4.
        weight, bias: [C, 3, 7, 7], [C].
        position: [1, H / 4, W / 4, C].

    Returns:
        [B, H / 4, W / 4, C].
    """
    image, position, *parameters = (tensor.contiguous() for tensor in (image, position, weight, bias))
    b, _, h, w = image.shape
    out = image.new_empty(b, h // 4, w // 4, len(bias))
    pointers = (tensor.data_ptr() for tensor in (image, position, out))
    patches = Patches(*pointers, b, h, w, len(bias), torch.get_num_threads(), *weight_pointers(parameters))
    kernels().patch_embedding(byref(patches))
    return out


patch_embedding = torch.ops.sam2_ros.patch_embedding
