"""The admission of arriving images. test_timeline.py tests the rules themselves; stamps are milliseconds here."""

from __future__ import annotations

from stream_parts import MS, WrittenLog

from sam2_ros.ros.meter import Meter
from sam2_ros.ros.stamp_gate import STRAY_TIMEOUT, StampGate
from sam2_ros.ros.timeline import MIN_RUN


class Gate:
    """A gate with a clock, a meter and a log; images are identified by their stamps."""

    def __init__(self) -> None:
        self.now, self.meter, self.written = 100.0, Meter(), WrittenLog()
        self.gate: StampGate[int] = StampGate(self.meter, self.written.log, steady=lambda: self.now)

    def add(self, milliseconds: int, lossless: bool = True):
        return self.gate.add(milliseconds * MS, milliseconds, lossless)


def test_ascending_stamps_are_admitted_at_once() -> None:
    gate = Gate()
    assert [gate.add(stamp) for stamp in (10, 20, 30)] == [
        (10, 10 * MS, None),
        (20, 20 * MS, None),
        (30, 30 * MS, None),
    ]
    assert not gate.written.lines and gate.gate.take() is None


def test_skipped_images_are_counted_and_logged() -> None:
    gate = Gate()
    assert [gate.add(stamp) for stamp in (1000, 1000, 990, 9)][1:] == [None, None, None]
    assert [gate.meter[event] for event in ("repeated", "late", "stray")] == [1, 1, 0]
    assert [line.split(":")[0] for line in gate.written.lines] == ["Image skipped"] * 3
    assert "0.010 s older" in gate.written.lines[1] and "0.991 s from" in gate.written.lines[2]
    assert gate.add(1010) and gate.meter["stray"] == 1, "given up"


def test_held_images_are_admitted_after_a_time_jump() -> None:
    gate = Gate()
    gate.add(90_000)
    gate.add(90_033)
    first = [10 + 10 * number for number in range(MIN_RUN)]
    *held, (image, stamp, jump) = [gate.add(stamp) for stamp in first]
    assert held == [None] * (MIN_RUN - 1)
    assert (image, stamp) == (first[0], first[0] * MS) and jump.forget
    assert gate.gate.passed == tuple(stamp * MS for stamp in first[1:]) and len(gate.gate) == MIN_RUN - 1
    assert [gate.gate.take() for _ in range(MIN_RUN)] == [*first[1:], None]


def test_held_images_time_out() -> None:
    gate = Gate()
    gate.add(90_000)
    assert gate.gate.held == () and gate.gate.held_timeout is None
    gate.add(10)
    assert gate.gate.held == (10 * MS,) and gate.gate.held_timeout == STRAY_TIMEOUT
    gate.now += STRAY_TIMEOUT
    assert gate.gate.held == () and gate.gate.held_timeout is None


def test_dropped_images_of_a_second_camera_prevent_a_time_jump() -> None:
    """Two sources on one topic: the newest waiting image is always that of the other source."""
    gate = Gate()
    gate.add(90_000)
    for number in range(1, 2 * MIN_RUN):
        gate.gate.announce((90_000 + 33 * number) * MS)
        assert gate.add(10 * number, lossless=False) is None
    for number in range(2 * MIN_RUN, 3 * MIN_RUN):
        passed = gate.add(10 * number, lossless=False)
    assert passed is not None, "without the camera, time has jumped"


def test_reset_admits_held_images() -> None:
    gate = Gate()
    gate.add(90_000)
    gate.add(10)
    gate.gate.reset()
    assert gate.gate.passed == (10 * MS,)
    gate.gate.clear()
    assert gate.gate.take() is None and gate.add(20) == (20, 20 * MS, None)
