"""CUDA graphs: many kernels, launched by one call."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

import torch
from torch import Tensor

SHAPES = 4
"""Number of image sizes whose recordings are cached; the least recently used one is dropped."""

MAX_OBJECTS = 16
"""Maximum number of objects in a recording; more run eagerly."""

_recording = Lock()
"""Lock: recording waits for the GPU, which no thread may do while another one records."""


def counts_up_to(objects: int) -> list[int]:
    """Numbers of objects for which there are recordings, ascending: 1, 2, 4 ... and `objects`, or `MAX_OBJECTS`."""
    most = min(objects, MAX_OBJECTS)
    return [*(2**i for i in range(16) if 2**i < most), most]


class Recording:
    """A function of tensors on a GPU, recorded in the current precision of autocast.

    Args:
        function: synchronises nothing, and its shapes depend on nothing but those of its inputs.
        inputs: tensors to write to before each replay; the first one is on the GPU, or has a tensor that is.
        pool: memory shared with other recordings that are never in use at the same time.
    """

    def __init__(
        self, function: Callable[..., Any], inputs: tuple[Any, ...], pool: tuple[int, int] | None = None
    ) -> None:
        self.inputs = inputs
        with _recording:
            self._record(function, inputs, pool)

    def _record(self, function: Callable[..., Any], inputs: tuple[Any, ...], pool: tuple[int, int] | None) -> None:
        first = inputs[0] if isinstance(inputs[0], Tensor) else next(iter(vars(inputs[0]).values()))
        stream = torch.cuda.Stream(first.device)
        stream.wait_stream(torch.cuda.current_stream(stream.device))
        cached = torch.is_autocast_cache_enabled()
        torch.set_autocast_cache_enabled(False)  # it frees its tensors, which a graph would still read
        try:
            with torch.cuda.stream(stream):
                for _ in range(2):  # warm-up: libraries choose their kernels, and Triton compiles ours
                    function(*inputs)
            stream.synchronize()
            self._graph = torch.cuda.CUDAGraph()
            # Other threads may use the GPU meanwhile.
            with torch.cuda.graph(self._graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
                self.outputs = function(*inputs)
        finally:
            torch.set_autocast_cache_enabled(cached)
        self._graph.replay()  # capturing computes nothing
        torch.cuda.current_stream(stream.device).synchronize()

    def __call__(self) -> Any:
        """Replay the function. The next replay of any recording in the pool overwrites the outputs."""
        self._graph.replay()
        return self.outputs
