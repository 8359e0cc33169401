"""Errors after which a GPU cannot be used any more. Simulated: no GPU is harmed, nor needed."""

from __future__ import annotations

import pytest
import torch

from sam2_ros.system import lost_device
from sam2_ros.system.lost_device import loss_of_device

CPU = torch.device("cpu")
ILLEGAL = (
    "CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be asynchronously reported at some"
    " other API call, so the stacktrace below might be incorrect."
)


@pytest.mark.parametrize(
    "text",
    [
        ILLEGAL,
        "CUDA error: device-side assert triggered",
        "CUDA error: unspecified launch failure",
        "CUDA error: the launch timed out and was terminated",
        "CUDA error: uncorrectable ECC error encountered",
        "CUDA failure 700: an illegal memory access was encountered ; GPU=0",  # ONNX Runtime
    ],
)
def test_sticky_errors_lose_the_device_with_their_first_line_as_reason(text: str) -> None:
    assert loss_of_device(RuntimeError(text), CPU) == text.splitlines()[0]


def test_cause_of_another_error_counts() -> None:
    try:
        try:
            raise RuntimeError(ILLEGAL)
        except RuntimeError as error:
            raise ValueError("no graph could be recorded") from error
    except ValueError as error:
        assert loss_of_device(error, CPU) == ILLEGAL.splitlines()[0]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
        RuntimeError("an illegal memory access"),  # of whom?
        ValueError("CUDA error-free"),
        RuntimeError("CUDA error: invalid argument"),
    ],
)
def test_other_errors_do_not_lose_a_device_that_works(error: Exception) -> None:
    assert loss_of_device(error, CPU) is None


def test_unclear_errors_are_followed_by_a_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lost_device, "_works", lambda device: False)
    assert loss_of_device(RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), CPU) is not None
    assert loss_of_device(RuntimeError("a cosmic ray"), CPU) is None, "not an error of a GPU"


@pytest.mark.skipif(not hasattr(torch, "AcceleratorError"), reason="since PyTorch 2.8")
def test_accelerator_errors_are_recognised_by_their_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lost_device, "_works", lambda device: False)
    assert loss_of_device(torch.AcceleratorError("something new"), CPU) == "something new"
