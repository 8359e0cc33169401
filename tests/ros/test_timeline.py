"""The rules for the stamps of images. Times are milliseconds here, and identify the images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2_ros.ros.timeline import MAX_STRAYS, MIN_RUN, START_STAMPS, Admitted, Fit, Jump, Timeline, restamped

MS = 1_000_000  # ns
HOUR = 3_600_000  # ms


def camera(start: int = 100_000, number: int = 30, period: int = 33) -> list[int]:
    return [start + index * period for index in range(number)]


def play(timeline: Timeline[int], stamps: Iterable[int]) -> list[Admitted[int]]:
    return [timeline.add(stamp * MS, stamp) for stamp in stamps]


def processed_images(decisions: Iterable[Admitted[int]]) -> list[int]:
    """The processed images in order."""
    return [image for decision in decisions for _, image in decision.images]


def jumps(decisions: Iterable[Admitted[int]]) -> list[Jump]:
    return [decision.jump for decision in decisions if decision.jump is not None]


BEFORE = camera()
AFTER = camera(BEFORE[-1] + 33)


@pytest.mark.parametrize(
    "odd",
    [BEFORE[-1] - 250, BEFORE[-1] - 100, BEFORE[-1], 1, 0, -5, BEFORE[-1] - HOUR],
    ids=["late by 0.25 s", "late", "repeated", "1 ms", "0", "negative", "an hour ago"],
)
def test_single_odd_stamp_is_skipped(odd: int) -> None:
    decisions = play(Timeline(), [*BEFORE, odd, *AFTER])
    assert processed_images(decisions) == BEFORE + AFTER and not jumps(decisions)
    assert decisions[len(BEFORE)].fit != Fit.NEXT


def test_irregular_odd_stamps_are_skipped() -> None:
    strays = [1, 50_000, 20_000, 20_000, 3 * HOUR - 5 * HOUR, 7]
    decisions = play(Timeline(), [*BEFORE, *strays, *AFTER])
    assert processed_images(decisions) == BEFORE + AFTER and not jumps(decisions)
    assert sum(decision.given_up for decision in decisions) == len(strays)


def test_stamps_closer_than_a_camera_period_are_no_time_jump() -> None:
    timeline = Timeline[int]()
    play(timeline, BEFORE)
    decisions = [timeline.add(nanoseconds, 0) for nanoseconds in (1, 2, 3, 4)]
    assert not processed_images(decisions)


def test_looped_recording_is_recognised_at_its_third_image_without_drops() -> None:
    timeline = Timeline[int]()
    play(timeline, BEFORE)
    for _ in range(3):
        decisions = play(timeline, BEFORE)
        assert [decision.fit for decision in decisions[:3]] == [Fit.STRAY, Fit.STRAY, Fit.NEXT]
        assert processed_images(decisions) == BEFORE
        assert [jump.forget for jump in jumps(decisions)] == [True]


@pytest.mark.parametrize("number", [4, 7])
def test_short_looped_recording_drops_no_image(number: int) -> None:
    timeline, bag = Timeline[int](), camera(number=number, period=100)
    play(timeline, bag)
    decisions = play(timeline, bag)
    assert processed_images(decisions) == bag and jumps(decisions)[0].forget


def test_looped_recording_of_two_images_is_recognised() -> None:
    decisions = play(Timeline(), [0, 5000] * 20)
    assert sum(jump.forget for jump in jumps(decisions)) >= 2


def test_restarted_simulation_forgets() -> None:
    decisions = play(Timeline(), [*camera(50_000), *camera(3)])
    assert processed_images(decisions) == [*camera(50_000), *camera(3)] and jumps(decisions) == [
        Jump(50_954 * MS, forget=True)
    ]


@pytest.mark.parametrize("back", [210, 300, 1000, 1500])
@pytest.mark.parametrize("count", [30, 300])
def test_small_backward_clock_step_keeps_objects(back: int, count: int) -> None:
    before = camera(number=count)
    after = camera(before[-1] + 33 - back)
    decisions = play(Timeline(), [*before, *after])
    assert not any(jump.forget for jump in jumps(decisions))
    assert len(processed_images(decisions)) >= len(before) + len(after) - 6  # late ones are skipped


@pytest.mark.parametrize("keep", [False, True])
def test_keep_prevents_forgetting_after_a_long_jump_back(keep: bool) -> None:
    decisions = play(Timeline(keep), [*BEFORE, *camera(BEFORE[0] - HOUR)])
    assert [jump.forget for jump in jumps(decisions)] == [not keep]
    looped = play(Timeline(keep), [*BEFORE, *BEFORE])
    assert [jump.forget for jump in jumps(looped)] == [not keep]


@pytest.mark.parametrize("number", [1, 2, 5])
def test_stamps_from_the_future_are_corrected(number: int) -> None:
    future = camera(BEFORE[-1] + HOUR, number)
    decisions = play(Timeline(), [*BEFORE, *future, *AFTER])
    assert processed_images(decisions) == [*BEFORE, *future, *AFTER]
    (jump,) = jumps(decisions)
    assert jump.corrects and not jump.forget and jump.origin == BEFORE[-1] * MS
    assert decisions[30 + number].fit == (Fit.NEXT if number == 1 else Fit.STRAY), "a single one is recognised at once"


def test_several_stamps_from_different_futures_are_skipped_over() -> None:
    decisions = play(Timeline(), [*BEFORE, BEFORE[-1] + HOUR, BEFORE[-1] + 9 * HOUR, *AFTER])
    assert not any(jump.forget for jump in jumps(decisions)) and processed_images(decisions)[-len(AFTER) :] == AFTER


def test_permanent_forward_clock_step_is_no_time_jump() -> None:
    ahead = camera(BEFORE[-1] + HOUR)
    decisions = play(Timeline(), [*BEFORE, *ahead])
    assert processed_images(decisions) == [*BEFORE, *ahead] and not jumps(decisions)


def test_wrong_first_stamp_is_corrected() -> None:
    decisions = play(Timeline(), [HOUR, *camera()])
    assert processed_images(decisions) == [HOUR, *camera()]
    assert [(jump.forget, jump.corrects) for jump in jumps(decisions)] == [(False, True)]


def test_stale_image_after_a_pause_corrects_nothing() -> None:
    decisions = play(Timeline(), [*BEFORE, *camera(BEFORE[-1] + 60_000, 1), BEFORE[-1] + 59_700, BEFORE[-1] + 60_033])
    assert not jumps(decisions) and decisions[-2].fit == Fit.STRAY


@pytest.mark.parametrize("behind", [-7 * HOUR, 7 * HOUR, -50, -400, 400])
def test_two_cameras_on_one_topic_use_one_consistently(behind: int) -> None:
    """Always the same one."""
    first, second = camera(number=300), camera(100_010 + behind, 300)
    decisions = play(Timeline(), [stamp for pair in zip(first, second, strict=True) for stamp in pair])
    assert not any(jump.forget for jump in jumps(decisions)) and len(jumps(decisions)) <= 1
    processed = processed_images(decisions)
    used = first if sum(stamp in first for stamp in processed) > 100 else second
    assert sum(stamp in used for stamp in processed) == 300
    assert len(processed) <= 302


def test_bag_beside_a_faster_camera_is_skipped() -> None:
    live, bag = camera(number=300), iter(camera(5, 100, 100))
    mixed = [stamp for index, stamp in enumerate(live) for stamp in ([stamp, next(bag)] if index % 3 == 0 else [stamp])]
    decisions = play(Timeline(), mixed)
    assert processed_images(decisions) == live and not jumps(decisions)


def test_two_sources_cause_at_most_one_time_jump() -> None:
    """Three images of one source arrive between two of the other."""
    slow, fast = camera(number=100, period=100), iter(camera(5, 300))
    mixed = [stamp for image in slow for stamp in (image, *(next(fast) for _ in range(3)))]
    assert len(jumps(play(Timeline(), mixed))) == 1


@pytest.mark.parametrize("order", [(1, 0, 2), (2, 0, 1), (2, 1, 0)])
def test_reordered_images_are_no_time_jump(order: tuple[int, ...]) -> None:
    mixed = [AFTER[3 * group + index] for group in range(10) for index in order]
    decisions = play(Timeline(), [*BEFORE, *mixed])
    processed = processed_images(decisions)
    assert processed == sorted(processed) and not jumps(decisions)
    assert {decision.fit for decision in decisions} == {Fit.NEXT, Fit.LATE}


def test_permanently_late_images_are_a_time_jump() -> None:
    timeline = Timeline[int]()
    play(timeline, BEFORE)
    late = [timeline.add(BEFORE[-1] * MS - 100 * MS + number, number) for number in range(MAX_STRAYS + 1)]
    assert [decision.fit for decision in late] == [Fit.LATE] * MAX_STRAYS + [Fit.NEXT]
    assert jumps(late) and not jumps(late)[0].forget


@pytest.mark.parametrize("period", [5, 500, 2000, 9000])
def test_time_jump_at_any_camera_rate(period: int) -> None:
    bag = camera(number=50, period=period)
    decisions = play(Timeline(), [*bag, 1, *bag])
    assert processed_images(decisions) == [*bag, *bag] and [jump.forget for jump in jumps(decisions)] == [True]


def test_images_separated_by_a_dropped_one_are_not_consecutive() -> None:
    """Only the newest waiting image is added, which may always be that of the other camera."""
    timeline = Timeline[int]()
    play(timeline, BEFORE)
    assert timeline.fits(AFTER[0] * MS) and not timeline.fits(BEFORE[0] * MS)
    apart = [timeline.add(stamp * MS, stamp, in_a_row=False) for stamp in camera(5, 100)]
    assert not processed_images(apart) and len(timeline.held) == 1
    assert jumps(play(timeline, camera(4000)))


def test_reset_accepts_any_stamp() -> None:
    timeline = Timeline[int]()
    play(timeline, BEFORE)
    timeline.reset()
    assert processed_images(play(timeline, [1])) == [1]
    play(timeline, BEFORE)
    play(timeline, [2])
    assert timeline.held == (2 * MS,)
    assert timeline.reset() == ((2 * MS, 2),), "held images come first"
    decisions = play(timeline, [35])
    assert processed_images(decisions) == [35] and not jumps(decisions)


def test_memory_is_bounded() -> None:
    timeline = Timeline[int]()
    for stamp in range(0, 10_000_000, 3333):
        timeline.add(stamp * MS, stamp)
        timeline.add(-stamp * MS, stamp)
    assert len(timeline.held) < MIN_RUN and len(timeline._start) == START_STAMPS and len(timeline._leaps) <= 4


def test_backward_clock_step_restamps_the_history() -> None:
    assert restamped((100, 110, 120), 60, Jump(60)) == (30, 40, 50)
    assert restamped((120,), 60, Jump(60)) == (59,)


def test_wrong_stamps_are_restamped_right_before_the_next() -> None:
    jump = Jump(940, origin=110, corrects=True)
    assert restamped((100, 110, 900, 910, 1000), 120, jump) == (117, 118, 119)
    assert restamped((100, 110), 120, jump) == ()


SOURCES = st.lists(
    st.one_of(
        st.integers(-5, 5),
        st.integers(99_990, 102_000),
        st.integers(100_000, 101_000).map(lambda stamp: stamp + HOUR),
        st.sampled_from(BEFORE),
        st.tuples(st.integers(0, 2 * HOUR), st.integers(1, 12)).map(lambda run: camera(*run)),
    ).map(lambda stamps: stamps if isinstance(stamps, list) else [stamps]),
    max_size=30,
)


@given(SOURCES, st.booleans(), st.lists(st.booleans(), min_size=400, max_size=400))
def test_admitted_stamps_always_ascend(runs: list[list[int]], keep: bool, rows: list[bool]) -> None:
    """The history ascends across all jumps, and each image is accounted for."""
    timeline, history, counts = Timeline[int](keep), [], Counter[str]()
    stamps = [stamp for run in runs for stamp in run]
    for stamp, in_a_row in zip(stamps, rows, strict=False):
        admitted = timeline.add(stamp * MS, stamp, in_a_row)
        if admitted.jump is not None:
            first = admitted.images[0][0]
            if admitted.jump.forget:
                history = []
            elif history[-1] >= first:
                moved = restamped(history, first, admitted.jump)
                history[len(history) - len(moved) :] = moved
        history = [*history, *(stamp for stamp, _ in admitted.images)][-16:]
        assert all(before < after for before, after in pairwise(history))
        assert not admitted.images or history[-1] == timeline.newest
        counts["processed"] += len(admitted.images)
        counts["given up"] += admitted.given_up
        counts["skipped"] += admitted.fit in (Fit.REPEATED, Fit.LATE)
        if keep:
            assert admitted.jump is None or not admitted.jump.forget
    assert counts.total() + len(timeline.held) == min(len(stamps), len(rows))
