"""What others send does not fill the log."""

from __future__ import annotations

import pytest

from sam2_ros.ros.excerpt import LONGEST, excerpt
from sam2_ros.ros.log import BURST, RATE, Log


class Written:
    """A logger that keeps its lines, and a clock."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.now = 0.0
        self.log = Log(self, lambda: self.now)

    def info(self, line: str) -> None:
        self.lines.append(line)

    warning = error = info


def test_a_text_of_a_megabyte_is_cut_and_keeps_both_ends() -> None:
    shown = excerpt("not known: '" + "x" * 1_000_000 + "'; use mono8")
    assert len(shown) <= LONGEST and shown.startswith("not known: 'xx") and shown.endswith("xx'; use mono8")
    assert "1000024 characters" in shown


@pytest.mark.parametrize("text", ["two\nlines", "\x1b[31mred", "null\x00", "half \ud800 of a pair", "\u202egnorw"])
def test_what_cannot_be_shown_is_escaped(text: str) -> None:
    shown = excerpt(text)
    assert shown.isprintable() and shown.encode()


def test_plain_text_stays_as_it_is() -> None:
    assert excerpt("Größe 杯") == "Größe 杯"


def test_escapes_do_not_make_a_line_long_again() -> None:
    assert len(excerpt("\U000e0001" * 1_000_000)) <= 2 * LONGEST


def test_the_same_kind_of_line_is_throttled_and_counted() -> None:
    written = Written()
    for number in range(50):
        written.now = number / 10
        written.log.warning(f"refused: {number}", throttle_duration_sec=1.0)
    assert len(written.lines) == 5
    assert written.lines[1] == "refused: 10 (9 more like this since the last)"


def test_lines_of_other_places_are_not_throttled_with_it() -> None:
    written = Written()
    for _ in range(3):
        written.log.warning("one", throttle_duration_sec=1.0)
        written.log.error("other", throttle_duration_sec=1.0)
        written.log.info("only once", once=True)
    assert written.lines == ["one", "other", "only once"]


def test_a_flood_of_whatever_kind_stays_below_a_kilobyte_a_second() -> None:
    written = Written()
    seconds = 100
    for number in range(100 * seconds):
        written.now = number / 100
        written.log.error("\n" * 10_000)
    size = sum(map(len, written.lines))
    assert BURST / 2 < size < BURST + RATE * seconds
    assert "other lines were left out" in written.lines[-1]
