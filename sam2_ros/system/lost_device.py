"""Errors after which a GPU cannot be used any more by this process."""

from __future__ import annotations

import torch

LOSSES = (
    "illegal memory access",
    "misaligned address",
    "illegal instruction",
    "invalid program counter",
    "operation not supported on global/shared address space",
    "hardware stack error",
    "device-side assert",
    "unspecified launch failure",
    "launch timed out",
    "uncorrectable",  # ECC error, NVLink error
    "driver shutting down",
    "gpu is lost",
)
"""Parts of the messages of CUDA's errors that every later call returns as well, until the process ends."""

_LIBRARIES = "cuda error", "cuda failure", "cudnn", "cublas", "cusolver", "hip error"  # "failure": ONNX Runtime


def loss_of_device(error: BaseException, device: torch.device) -> str | None:
    """Why the GPU is lost for this process, in one line; None: it is not, after this error.

    CUDA reports a kernel's error at a later call, perhaps of another operation, and from then on at every call: only
    a new process helps. Running out of memory is not such an error. Errors that tell too little are followed by a
    trial on the device.
    """
    for cause in _causes(error):
        if isinstance(cause, torch.OutOfMemoryError):
            return None
        text = str(cause)
        lower = text.lower()
        if not (isinstance(cause, _accelerator_error()) or any(library in lower for library in _LIBRARIES)):
            continue
        if any(loss in lower for loss in LOSSES) or not _works(device):
            return next((line for line in text.splitlines() if line.strip()), type(cause).__name__).strip()
    return None


def _causes(error: BaseException | None) -> list[BaseException]:
    """An error and those it was raised from, the last first."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain


def _accelerator_error() -> type[BaseException]:
    """PyTorch's class of these errors; before PyTorch 2.8 they are a RuntimeError, known by its text."""
    return getattr(torch, "AcceleratorError", torch.OutOfMemoryError)


def _works(device: torch.device) -> bool:
    """Whether the device computes 1 + 1."""
    try:
        return int(torch.ones(1, device=device).add_(1).item()) == 2
    except torch.OutOfMemoryError:
        return True
    except RuntimeError as error:
        return "out of memory" in str(error)
