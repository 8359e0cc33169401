"""The memory encoder on CUDA: norms and activations are fused into the convolutions, and maps are added in one pass."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sam2_ros.acceleration.cuda.kernels import addition, depthwise, mask_downsampling
from sam2_ros.acceleration.cuda.kernels.channel_norm import channel_norm
from sam2_ros.acceleration.cuda.linear import rounded
from sam2_ros.acceleration.cuda.probe import autocast_dtype, suits_triton, triton_works
from sam2_ros.model.memory_encoder import Fuser, FuserBlock, MaskDownsampler, MemoryEncoder, mask_of


class CUDAMaskDownsampler(MaskDownsampler):
    @staticmethod
    def fits(module: MaskDownsampler, dtype: torch.dtype) -> bool:
        return triton_works(module.encoder[0].weight.device)

    def prepare(self, dtype: torch.dtype) -> None:
        self.convolutions, self.norms = list(self.encoder[:-1:3]), list(self.encoder[1:-1:3])
        weights = [convolution.weight.detach() for convolution in self.convolutions]
        self.channels_last = [weight.to(dtype, memory_format=torch.channels_last) for weight in weights]
        self.packed = {i: mask_downsampling.packed(weights[i], dtype) for i in (1, 2)}

    def forward(self, mask: Tensor) -> Tensor:
        for i in range(4):
            mask = self._convolve(i, mask)
        return self.encoder[-1](mask)

    def from_logits(self, logits: Tensor, prompted: bool | Tensor) -> Tensor:
        """Mask logits [N, H / 4, W / 4] -> [N, dim, H / 16, W / 16]; prompted as in `mask_of`."""
        half = autocast_dtype(logits)
        if half is None or isinstance(prompted, Tensor):
            return self(mask_of(logits, prompted))
        mask = mask_downsampling.from_logits(logits, prompted, self.convolutions[0], self.norms[0], half)
        for i in (1, 2):
            mask = mask_downsampling.convolve(mask, self.packed[i], self.convolutions[i].bias, self.norms[i])
        return self.encoder[-1](self._convolve(3, mask))

    def _convolve(self, index: int, mask: Tensor) -> Tensor:
        """One of the four convolutions, its norm and GELU; in half precision the norm's kernel adds the bias, for which
        PyTorch makes a pass over memory."""
        convolution, norm = self.convolutions[index], self.norms[index]
        if autocast_dtype(mask) is None:
            return norm.with_gelu(convolution(mask))
        mask = F.conv2d(mask, self.channels_last[index], None, convolution.stride, convolution.padding)
        return channel_norm(mask, norm.weight, norm.bias, norm.eps, gelu=True, added=convolution.bias)


class CUDAFuserBlock(FuserBlock):
    def prepare(self, dtype: torch.dtype) -> None:
        gamma, weight, bias = self.gamma.double(), self.pwconv2.weight, self.pwconv2.bias
        self.scaled_weight = (gamma[:, None] * weight.double()).to(weight.dtype)
        self.scaled_bias = (gamma * bias.double()).to(bias.dtype)
        self.rounded_weight, self.rounded_bias = rounded(self.scaled_weight, self.scaled_bias, dtype)
        self.packed = depthwise.packed(self.dwconv.weight)
        self.has_kernel = suits_triton(weight.device, len(gamma))

    def forward(self, x: Tensor) -> Tensor:
        return add(x, self.change(x), torch.float32)

    def change(self, x: Tensor) -> Tensor:
        """The change that the block adds to x: [N, dim, h, w]."""
        half = autocast_dtype(x)
        if self.has_kernel and half is not None:
            x = x.contiguous(memory_format=torch.channels_last)
            y = depthwise.depthwise(x, self.packed, self.dwconv.bias, self.norm, half)
        else:
            y = self.norm(self.dwconv(x))
        y = self.pwconv1.activated(y.movedim(1, -1), "gelu")
        if half is None:
            return F.linear(y, self.scaled_weight, self.scaled_bias).movedim(-1, 1)
        return F.linear(y, self.rounded_weight, self.rounded_bias).movedim(-1, 1)


class CUDAFuser(Fuser):
    """Blocks add in float32; the last one writes half precision where the next product takes it."""

    def forward(self, x: Tensor) -> Tensor:
        *first, last = self.layers
        for layer in first:
            x = layer(x)
        return add(x, last.change(x), autocast_dtype(x))


class CUDAMemoryEncoder(MemoryEncoder):
    @staticmethod
    def fits(module: MemoryEncoder, dtype: torch.dtype) -> bool:
        return triton_works(module.out_proj.weight.device)

    def forward(self, features: Tensor, logits: Tensor, prompted: bool | Tensor) -> Tensor:
        mask = self.mask_downsampler.from_logits(logits, prompted)
        image = self.pix_feat_proj(features)
        return self.out_proj(self.fuser(add(image, mask, autocast_dtype(mask))))


def add(x: Tensor, y: Tensor, dtype: torch.dtype | None) -> Tensor:
    """x [N or 1, C, h, w] + y [N, C, h, w].

    Args:
        dtype: of the result, where our kernel adds them, in half precision.
    """
    if autocast_dtype(y) is None or dtype is None or not triton_works(y.device):
        return x + y
    x, y = (map.contiguous(memory_format=torch.channels_last) for map in (x, y))  # they have it already
    return addition.add(x, y, dtype)
