from __future__ import annotations

import pytest
from peers.measurement import peak_ms
from stages import TRACK

RESULT = {
    "ceilings": {"flops": 1e9, "bytes": 1e9},
    "gflop": {"image encoder": 0.5, "memory attention": 0.02, "mask decoder": 0.01},
    "mb": {"image encoder": 100.0, "memory attention": 30.0},
}


def test_peak_is_the_longer_of_arithmetic_and_traffic() -> None:
    assert peak_ms(RESULT, "image encoder") == pytest.approx(500)  # 0.5 GFLOP at 1 GFLOP/s
    assert peak_ms(RESULT, "memory attention") == pytest.approx(30)  # 30 MB at 1 GB/s
    assert peak_ms(RESULT, "masks") == 0


def test_peak_of_a_graph_is_the_sum_of_its_stages() -> None:
    assert peak_ms(RESULT, TRACK) == pytest.approx(30 + 10)
