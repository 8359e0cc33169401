"""Layer norm over the last dimension; its numbers in windows are compared in test_fused_linear.py."""

import pytest

from sam2_ros.acceleration.cuda.kernels.layer_norm import _normalise

pytestmark = pytest.mark.slow


def test_compiles(build):
    kinds = dict.fromkeys(("x", "weight", "bias"), "*fp32") | {"add": "*bf16", "out": "*bf16", "eps": "fp32"}
    for c, window in ((96, True), (256, False), (768, True)):
        wide = 1 << (c - 1).bit_length()
        constants = {"C": c, "WIDE": wide, "ADD": not window, "WINDOWS": window, "BLOCK": 4096 // wide}
        build(_normalise, kinds, constants)
