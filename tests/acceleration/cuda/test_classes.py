"""Each faster class for CUDA equals its plain class, in Triton's interpreter and without Triton.

What is for half precision is compared in float32 too, where nothing but an error makes a difference.
"""

from pathlib import Path

import pytest
import torch
from cuda_twin import compare_classes, compare_streams, network
from triton_processes import python

from sam2_ros.acceleration.cuda.classes import CUDA_CLASSES
from sam2_ros.acceleration.twin import twin_of

TESTS = str(Path(__file__).parents[2])

CLASSES = """
import sys
import torch
from cuda_twin import compare_classes

print(*compare_classes(getattr(torch, sys.argv[1])))
"""

STREAMS = """
import sys
import torch
from cuda_twin import compare_streams

compare_streams(getattr(torch, sys.argv[1]))
"""

WITHOUT_KERNEL = {"CachedRandomFourier", "CUDALinear"}
"""Without Triton, float32 runs the code of the plain classes."""


def test_every_network_class_has_a_faster_class():
    assert {type(part) for part in network().modules()} >= CUDA_CLASSES.keys()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_twin_has_no_parameters_of_its_own(dtype):
    model = network()
    twin = twin_of(model, CUDA_CLASSES, dtype)
    assert [*map(id, twin.parameters())] == [*map(id, model.parameters())]
    assert twin.state_dict().keys() == model.state_dict().keys()


@pytest.mark.slow
def test_classes_through_kernels_equal_their_plain_ones():
    pytest.importorskip("triton", reason="pip install triton (comes with PyTorch for CUDA)")
    different = python(CLASSES, "float32", TRITON_INTERPRET="1", PYTHONPATH=TESTS).split()
    expected = {faster.__name__ for faster in CUDA_CLASSES.values()} - WITHOUT_KERNEL
    assert expected - {"CUDASAM2"} <= set(different)  # it is called by its functions alone, as in the next test


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float16"])  # the interpreter has no products in bfloat16
def test_a_stream_through_kernels_equals_the_plain_one(dtype):
    pytest.importorskip("triton", reason="pip install triton (comes with PyTorch for CUDA)")
    python(STREAMS, dtype, TRITON_INTERPRET="1", PYTHONPATH=TESTS)


def test_classes_without_triton_equal_their_plain_ones():
    compare_classes(torch.bfloat16)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_stream_without_triton_equals_the_plain_one(dtype):
    compare_streams(dtype)
