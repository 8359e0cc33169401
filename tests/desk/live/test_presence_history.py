"""The history of presence: half-second samples, marks, and what each page is told of them."""

from __future__ import annotations

from typing import Any

from sam2_ros.desk.live.presence_history import MAX_VALUES, PresenceHistory, Seen

SECOND = 1_000_000_000
NAMES = {1: "cup"}


def history(seconds: float = 60.0) -> PresenceHistory:
    return PresenceHistory(round(seconds * SECOND))


def add(past: PresenceHistory, second: float, presence: dict[int, float]) -> None:
    past.add(round(second * SECOND), {number: NAMES.get(number, "") for number in presence}, presence)


def samples(event: dict[str, Any]) -> list[tuple[float, dict[str, float]]]:
    return [(int(stamp) / SECOND, presence) for stamp, presence in event["samples"]]


def marks(event: dict[str, Any]) -> list[tuple[float, int, str]]:
    return [(int(mark["stamp"]) / SECOND, mark["object_id"], mark["kind"]) for mark in event["marks"]]


def test_short_absences_are_seen() -> None:
    past = history()
    for second, presence in ((10.0, 0.9), (10.1, 0.2), (10.2, 0.95), (10.5, 0.8), (11.0, 0.7)):
        add(past, second, {1: presence})
    event, _ = past.event(None)
    assert event["whole"] and samples(event) == [(10.0, {"1": 0.2}), (10.5, {"1": 0.8})], "the third is not finished"
    assert event["objects"] == [{"object_id": 1, "label": "cup"}] and event["to"] == str(11 * SECOND)


def test_each_page_is_told_everything_once() -> None:
    past = history()
    told: list[tuple[float, dict[str, float]]] = []
    told_marks = []
    seen: Seen | None = None
    for step in range(40):
        add(past, 10 + step / 10, {1: 1.0})
        if step in (5, 17, 30):
            past.prompted(10 * SECOND, 1, replaces=False)
        if step % 7 == 0:
            event, seen = past.event(seen)
            assert event["whole"] == (step == 0)
            told += samples(event)
            told_marks += marks(event)
    event, _ = past.event(seen)
    told, told_marks = told + samples(event), told_marks + marks(event)
    whole, _ = past.event(None)
    assert told == samples(whole) and len(told) == 7
    assert told_marks == marks(whole) == 3 * [(10.0, 1, "correction")], "late prompts have early stamps"


def test_kinds_of_marks() -> None:
    past = history()
    add(past, 1.0, {})
    past.prompted(1 * SECOND, 1, replaces=False)
    add(past, 1.1, {1: 1.0})
    past.prompted(1 * SECOND, 1, replaces=False)
    past.prompted(1 * SECOND, 1, replaces=True)
    add(past, 1.2, {})
    event, _ = past.event(None)
    assert marks(event) == [(1.0, 1, "prompt"), (1.0, 1, "correction"), (1.0, 1, "prompt"), (1.2, 1, "removed")]


def test_an_id_that_is_given_again_is_another_object() -> None:
    """After a reset, IDs start again at 1."""
    past = history()
    for second in (1, 2, 3):
        add(past, second, {1: 1.0, 2: 1.0})
    _, seen = past.event(None)
    add(past, 4, {2: 1.0})
    event, seen = past.event(seen)
    assert not event["whole"]
    add(past, 5, {1: 0.5, 2: 1.0})
    add(past, 6, {1: 0.5, 2: 1.0})
    event, _ = past.event(seen)
    assert event["whole"]
    assert [time for time, presence in samples(event) if "1" in presence] == [5.0]
    assert [time for time, presence in samples(event) if "2" in presence] == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_time_that_jumps_back_forgets_everything() -> None:
    past = history()
    for second in (100, 101, 102):
        add(past, second, {1: 1.0})
    _, seen = past.event(None)
    add(past, 3, {1: 1.0})
    add(past, 4, {1: 1.0})
    event, _ = past.event(seen)
    assert event["whole"] and samples(event) == [(3.0, {"1": 1.0})]


def test_it_is_bounded_in_time_and_in_values() -> None:
    past = history(seconds=10)
    for step in range(200):
        add(past, step / 2, {1: 1.0})
        past.prompted(round(step / 2 * SECOND), 1, replaces=False)
    event, _ = past.event(None)
    assert (
        19 <= len(event["samples"]) <= 21 and len(event["marks"]) <= 21 and event["from"] == str(round(89.5 * SECOND))
    )
    many = history(seconds=10_000)
    for step in range(300):
        add(many, step, dict.fromkeys(range(1, 1001), 1.0))
    event, _ = many.event(None)
    assert sum(len(presence) for _, presence in event["samples"]) <= MAX_VALUES
