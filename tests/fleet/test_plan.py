"""How machines are shared among workers."""

from __future__ import annotations

import pytest

from sam2_ros.fleet.plan import Machine, Plan, plan

LAPTOP, BIG = Machine(8, 0), Machine(64, 4)


@pytest.mark.parametrize(
    ("machines", "workers", "gpus", "expected"),
    [
        ([LAPTOP], None, None, Plan(4, 2, 0)),
        ([LAPTOP], 2, None, Plan(2, 4, 0)),
        ([LAPTOP], 3, None, Plan(3, 2, 0)),
        ([Machine(1, 0)], None, None, Plan(1, 1, 0)),
        ([Machine(2, 0)], 5, None, Plan(5, 1, 0)),
        ([BIG], None, None, Plan(4, 16, 1)),
        ([BIG], 8, None, Plan(8, 8, 0.5)),
        ([BIG], 9, None, Plan(9, 7, 0.3333)),
        ([BIG], None, 0.5, Plan(8, 8, 0.5)),
        ([BIG], None, 2, Plan(2, 32, 2)),
        ([BIG], None, 0, Plan(32, 2, 0)),
        ([LAPTOP, BIG, BIG], 8, None, Plan(8, 16, 1)),  # the laptop has no GPU
        ([LAPTOP, LAPTOP], 3, None, Plan(3, 4, 0)),
    ],
)
def test_plan(machines: list[Machine], workers: int | None, gpus: float | None, expected: Plan) -> None:
    assert plan(machines, workers, gpus) == expected


@pytest.mark.parametrize(
    ("workers", "gpus", "message"),
    [
        (0, None, "--workers"),
        (2, 1.5, "--gpus-per-task must be a fraction"),
        (2, -1, "--gpus-per-task must be a fraction"),
        (2, 8, "no machine has 8 GPUs .*; the largest number is 4"),
    ],
)
def test_numbers_out_of_range_are_refused(workers: int, gpus: float | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan([BIG], workers, gpus)
