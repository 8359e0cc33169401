"""Time and amount of work of the stages of a step."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import is_dataclass
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count


class Clock:
    """Times the functions of stages, and counts their work, while a step runs.

    To time a stage on a GPU, the clock waits for its end, which makes the step slower: there, time stages and whole
    steps in different steps.

    Args:
        device: name of the device, such as "cpu" or "cuda:0".
        cpu_time: measure the processor's time, summed over threads, instead of the wall's.
    """

    def __init__(self, device: str, cpu_time: bool = False) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.flops: dict[str, float] = defaultdict(float)
        self.bytes: dict[str, float] = defaultdict(float)
        self.on_gpu = device.startswith("cuda")
        self.watching = not self.on_gpu
        self.counting = False
        self.sync: Callable[[], None] = (lambda: torch.cuda.synchronize(device)) if self.on_gpu else lambda: None
        self.now = time.process_time if cpu_time else time.perf_counter

    def watch(self, owner: Any, function: str, stage: str) -> None:
        """Count the calls of a function of an object or module towards a stage, from now on."""
        inner = getattr(owner, function)

        def watched(*arguments, **named):
            if self.counting:
                return self._count(stage, inner, arguments, named)
            if not self.watching:
                return inner(*arguments, **named)
            self.sync()
            start = self.now()
            result = inner(*arguments, **named)
            self.sync()
            self.seconds[stage] += self.now() - start
            return result

        setattr(owner, function, watched)

    @contextmanager
    def step(self):
        """Time a whole step, as "all"."""
        self.seconds.clear()
        self.sync()
        start = self.now()
        yield
        self.sync()
        self.seconds["all"] = self.now() - start

    def _count(self, stage: str, function: Callable, arguments: tuple, named: dict) -> Any:
        with ExitStack() as stack:
            flops = stack.enter_context(FlopCounterMode(display=False, custom_mapping=_more_operators()))
            weights = stack.enter_context(_Weights())
            result = function(*arguments, **named)
        self.flops[stage] += flops.get_total_flops()
        self.bytes[stage] += weights.bytes + _bytes((arguments, named)) + _bytes(result)
        return result


class _Weights(TorchDispatchMode):
    """The size of all parameters in use, each counted once: they are read from memory."""

    def __init__(self) -> None:
        super().__init__()
        self._sizes: dict[int, int] = {}

    @property
    def bytes(self) -> int:
        return sum(self._sizes.values())

    def __torch_dispatch__(self, operation, types, arguments=(), named=None):
        for tensor in tree_leaves((arguments, named)):
            if isinstance(tensor, torch.nn.Parameter):
                self._sizes[id(tensor)] = tensor.nbytes
        return operation(*arguments, **(named or {}))


def _bytes(values: Any) -> int:
    """The size of all tensors and arrays in nested values."""
    leaves = tree_leaves(vars(values) if is_dataclass(values) else values)
    return sum(_bytes(leaf) if is_dataclass(leaf) else getattr(leaf, "nbytes", 0) for leaf in leaves)


def _attention_on_cpu(query, key, value, *_, out_val=None, **__) -> int:
    return sdpa_flop_count(query, key, value)


def _linear_of_onednn(x, weight, *_, out_val=None, **__) -> int:
    return 2 * int(np.prod(x)) * weight[0]


def _more_operators() -> dict[Any, Callable[..., int]]:
    """Operators that PyTorch's counter does not know, as far as this version of PyTorch has them."""
    functions = {
        (torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu"): _attention_on_cpu,
        (torch.ops.mkldnn, "_linear_pointwise"): _linear_of_onednn,
    }
    return {getattr(place, name): count for (place, name), count in functions.items() if hasattr(place, name)}
