"""Native bfloat16 is found where the processor has it."""

from pathlib import Path

import pytest
import torch

from sam2_ros.training.bfloat16 import is_native

FLAGS = {"avx512_bf16", "amx_bf16", "bf16", "svebf16"}
"""Names of the kernel for instructions that multiply in bfloat16, on x86 and ARM."""


def test_the_processor_is_asked() -> None:
    if not hasattr(torch.cpu, "get_capabilities"):
        pytest.skip("older PyTorch cannot tell")
    info = Path("/proc/cpuinfo")
    if not info.exists():
        pytest.skip("only Linux can tell")
    assert is_native(torch.device("cpu")) == bool(FLAGS & set(info.read_text().split()))
