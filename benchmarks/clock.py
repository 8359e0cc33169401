"""How long the stages of a step take, and how much work there is in them."""

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
    """Times, and counts, what happens within named functions while a step runs.

    A stage on a GPU is timed by waiting for it, which costs time in all: there, stages and the whole step are not to be
    timed in one.

    Args:
        device: where it happens.
        cpu_time: count the processor's time, summed over threads, instead of the wall's.
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
        """From now on a function counts to a stage."""
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
        """Times a whole step, as "all"."""
        self.seconds.clear()
        self.sync()
        start = self.now()
        yield
        self.sync()
        self.seconds["all"] = self.now() - start

    def _count(self, stage: str, function: Callable, arguments: tuple, named: dict) -> Any:
        with ExitStack() as stack:
            flops = stack.enter_context(FlopCounterMode(display=False, custom_mapping=_uncounted()))
            weights = stack.enter_context(_Weights())
            result = function(*arguments, **named)
        self.flops[stage] += flops.get_total_flops()
        self.bytes[stage] += weights.bytes + _bytes((arguments, named)) + _bytes(result)
        return result


class _Weights(TorchDispatchMode):
    """The size of all parameters that are used, each once: they have to come out of memory."""

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


def _uncounted() -> dict[Any, Callable[..., int]]:
    """What PyTorch's counter does not know, as far as it is there: another checkout has other operators."""
    functions = {
        (torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu"): _attention_on_cpu,
        (torch.ops.mkldnn, "_linear_pointwise"): _linear_of_onednn,
        (torch.ops.sam2_ros, "attention_on_cpu"): _attention_on_cpu,
    }
    return {getattr(place, name): count for (place, name), count in functions.items() if hasattr(place, name)}
