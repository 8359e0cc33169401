"""The mask decoder's faster classes equal the plain ones, and use the kernels."""

import torch
from cpu_capabilities import NEEDS_KERNELS
from mask_decoder_kernels import decoder_of

from sam2_ros.acceleration.cpu.classes import CPU_CLASSES
from sam2_ros.acceleration.twin import twin_of

pytestmark = NEEDS_KERNELS


@torch.no_grad()
def test_twin_uses_the_kernels():
    decoder, (image, _, stride4, stride8) = decoder_of(2, 5, 7)
    prompts = torch.randn(2, 3, 64)
    inputs = image, torch.randn(64, 5, 7), prompts, stride4, stride8
    twin = twin_of(decoder, CPU_CLASSES, torch.float32)
    for faster, plain in zip(vars(twin(*inputs)).values(), vars(decoder(*inputs)).values(), strict=True):
        assert not torch.equal(faster, plain)  # equal: they would be the same code
        torch.testing.assert_close(faster, plain, rtol=1e-4, atol=1e-5)
    many = inputs[0], inputs[1], torch.randn(2, 11, 64), *inputs[3:]  # more than MAX_TOKENS
    torch.testing.assert_close(twin(*many).logits, decoder(*many).logits, rtol=1e-4, atol=1e-4)
