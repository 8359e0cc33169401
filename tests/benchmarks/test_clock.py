from __future__ import annotations

import torch
from clock import Clock


def test_work_of_a_call_is_counted_once() -> None:
    layer = torch.nn.Linear(8, 4, bias=False)
    clock = Clock("cpu")
    clock.watch(layer, "forward", "layer")
    clock.counting = True
    with torch.no_grad():
        layer(torch.ones(3, 8))
    assert clock.flops == {"layer": 2 * 3 * 8 * 4}
    assert clock.bytes == {"layer": 4 * (8 * 4 + 3 * 8 + 3 * 4)}, "weights, inputs, outputs"
    assert not clock.seconds
    clock.counting = False
    with clock.step():
        layer(torch.ones(3, 8))
    assert 0 < clock.seconds["layer"] <= clock.seconds["all"]
