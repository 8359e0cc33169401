"""Keys of memory attention; test_memory_attention.py computes them in the interpreter."""

import pytest

from sam2_ros.acceleration.cuda.kernels.key_projection import _project

pytestmark = pytest.mark.slow


def test_compiles(build):
    kinds = dict.fromkeys(("x", "weight", "out"), "*bf16") | dict.fromkeys(("bias", "rotation"), "*fp32")
    build(_project, kinds | {"counts": "*i32"}, {"C": 64, "ROWS": 64, "PAIRS": 64}, num_warps=8)
