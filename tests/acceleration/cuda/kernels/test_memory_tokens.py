"""Memories as tokens; test_memory_attention.py computes them in the interpreter."""

import pytest

from sam2_ros.acceleration.cuda.kernels.memory_tokens import _write_maps, _write_pointers

pytestmark = pytest.mark.slow


def test_compiles(build):
    kinds = dict.fromkeys(("maps", "value", "key", "position"), "*bf16")
    kinds |= dict.fromkeys(("spatial", "temporal", "pointers"), "*fp32") | dict.fromkeys(("valid", "map_valid"), "*u8")
    kinds |= {"age": "*i64", "counts": "*i32"}
    build(_write_maps, kinds, {"C": 64, "SLOTS": 16, "CELLS": 64})
    build(_write_pointers, kinds, {"DIM": 256, "C": 64, "SLOTS": 32, "MAP_SLOTS": 16})
