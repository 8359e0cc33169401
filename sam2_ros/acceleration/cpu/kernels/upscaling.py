"""The mask decoder's upscaling to masks as one CPU operator."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import Structure, byref, c_float, c_long, c_void_p

import torch
from torch import Tensor

from sam2_ros.acceleration.cpu.kernels.library import kernels
from sam2_ros.acceleration.cpu.kernels.transformer import Weights, weight_pointers


class Upscaling(Structure):
    """Mirrors `Upscaling` of upscaling.cpp."""

    _fields_ = (
        *((name, c_void_p) for name in ("image", "stride8", "stride4", "filters", "logits")),
        *((name, c_long) for name in ("batch", "stride8_batch", "stride4_batch", "height", "width")),
        *((name, c_long) for name in ("in", "middle", "out", "masks", "threads")),
        ("eps", c_float),
        *((name, Weights) for name in ("upscale1", "norm", "upscale2")),
    )


# An operator, so that profilers see it.
torch.library.define(
    "sam2_ros::upscaled_masks",
    "(Tensor image, Tensor stride8, Tensor stride4, Tensor filters, Tensor[] weights, float eps) -> Tensor",
)


@torch.library.impl("sam2_ros::upscaled_masks", "CPU")
def _upscaled_masks(
    image: Tensor,
    stride8: Tensor,
    stride4: Tensor,
    filters: Tensor,
    weights: Sequence[Tensor],
    eps: float,
) -> Tensor:
    """`sam2_ros.model.mask_decoder.MaskDecoder.masks`. Maps with channels last in memory are not copied.

    Args:
        image: float32 [N, C, h, w].
        stride8: [N or 1, D, 2 h, 2 w].
        stride4: [N or 1, E, 4 h, 4 w].
        filters: [N, M, E].
        weights: weight and bias of the first transposed convolution, [C, D, 2, 2], of the norm, and of the second one,
            [D, E, 2, 2].

    Returns:
        Logits [N, M, 4 h, 4 w].
    """
    image, stride8, stride4 = image.movedim(1, -1).contiguous(), _channels_last(stride8), _channels_last(stride4)
    filters, *parameters = (tensor.contiguous() for tensor in (filters, *weights))
    (n, masks, out), (h, w, channels) = filters.shape, image.shape[1:]
    assert {len(stride8), len(stride4)} <= {1, n}, "skip connections must be those of one image or of each object"
    logits = image.new_empty(n, masks, 4 * h, 4 * w)
    if not n:
        return logits
    sizes = n, len(stride8), len(stride4), h, w, channels, stride8.shape[3], out, masks, torch.get_num_threads()
    pointers = (tensor.data_ptr() for tensor in (image, stride8, stride4, filters, logits))
    arguments = Upscaling(*pointers, *sizes, eps, *weight_pointers(parameters))
    kernels().upscaled_masks(byref(arguments))
    return logits


def _channels_last(x: Tensor) -> Tensor:
    """[N, C, H, W] -> contiguous [N, H, W, C], or [1, H, W, C] if it was expanded."""
    return (x if x.stride(0) else x[:1]).movedim(1, -1).contiguous()


upscaled_masks = torch.ops.sam2_ros.upscaled_masks
