"""What the benchmarks read from the machine."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from clock import Clock
from machine import energy


def test_energy_is_that_of_all_processors_and_none_where_it_is_not_said(tmp_path: Path) -> None:
    assert energy("cpu", tmp_path) is None
    for name, microjoules in (("intel-rapl:0", 2_500_000), ("intel-rapl:0:0", 9_000_000), ("intel-rapl:1", 1_500_000)):
        (tmp_path / name).mkdir()  # 0:0 is a part of 0
        (tmp_path / name / "energy_uj").write_text(f"{microjoules}\n")
    assert energy("cpu", tmp_path) == 4.0


def test_work_is_counted_once() -> None:
    layer = torch.nn.Linear(8, 4, bias=False)
    clock = Clock("cpu")
    clock.watch(layer, "forward", "layer")
    clock.counting = True
    with torch.no_grad():
        layer(torch.ones(3, 8))
    assert clock.flops == {"layer": 2 * 3 * 8 * 4}
    assert clock.bytes == {"layer": 4 * (8 * 4 + 3 * 8 + 3 * 4)}, "weights, what goes in, what comes out"
    assert not clock.seconds
    clock.counting = False
    with clock.step():
        layer(torch.ones(3, 8))
    assert 0 < clock.seconds["layer"] <= clock.seconds["all"]
