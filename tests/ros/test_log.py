"""The log: lines are throttled, and their rate is limited."""

from __future__ import annotations

from sam2_ros.ros.log import BURST_BYTES, BYTES_PER_SECOND, Log


class WrittenLog:
    """A logger that records its lines, with an adjustable clock."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.now = 0.0
        self.log = Log(self, lambda: self.now)

    def info(self, line: str) -> None:
        self.lines.append(line)

    warning = error = info


def test_repeated_line_is_throttled_and_counted() -> None:
    written = WrittenLog()
    for number in range(50):
        written.now = number / 10
        written.log.warning(f"refused: {number}", throttle_duration_sec=1.0)
    assert len(written.lines) == 5
    assert written.lines[1] == "refused: 10 (9 more like this since the last)"


def test_lasting_state_is_told_at_intervals_without_a_count() -> None:
    written = WrittenLog()
    for number in range(50):
        written.now = number / 10
        written.log.state(f"no images for {number}", every=2.0, kind="images")
    assert written.lines == ["no images for 0", "no images for 20", "no images for 40"]


def test_call_sites_are_throttled_separately() -> None:
    written = WrittenLog()
    for _ in range(3):
        written.log.warning("one", throttle_duration_sec=1.0)
        written.log.error("other", throttle_duration_sec=1.0)
        written.log.info("only once", once=True)
    assert written.lines == ["one", "other", "only once"]


def test_log_rate_is_below_a_kilobyte_per_second() -> None:
    written = WrittenLog()
    seconds = 100
    for number in range(100 * seconds):
        written.now = number / 100
        written.log.error("\n" * 10_000)
    size = sum(map(len, written.lines))
    assert BURST_BYTES / 2 < size < BURST_BYTES + BYTES_PER_SECOND * seconds
    assert "other lines were left out" in written.lines[-1]


def test_logs_of_several_cameras_share_one_rate() -> None:
    written = WrittenLog()
    written.get_child = lambda name: written  # type: ignore[attr-defined]
    cameras = [written.log.named(name) for name in ("front", "rear", "left")]
    seconds = 100
    for number in range(30 * seconds):
        written.now = number / 30
        cameras[number % 3].error("x" * 300)
    assert sum(map(len, written.lines)) < BURST_BYTES + BYTES_PER_SECOND * seconds
