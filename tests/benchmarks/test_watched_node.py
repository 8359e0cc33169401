from __future__ import annotations

import gc
import time
from collections.abc import Iterator

import pytest
from watched_node import HAND_OVER, Watch


@pytest.fixture
def watch() -> Iterator[Watch]:
    before = list(gc.callbacks)
    yield Watch(WRITTEN.append)
    gc.callbacks[:] = before
    WRITTEN.clear()


WRITTEN: list[dict] = []


def test_a_stage_inside_another_counts_once(watch: Watch) -> None:
    inner = watch.timed(lambda: time.sleep(0.02), "inner")
    outer = watch.timed(lambda: [time.sleep(0.01), inner(), inner()], "outer")
    watch.begin(1)
    watch.taken()
    outer()
    watch.end(1, objects=3)
    (row,) = WRITTEN
    wall = row["wall"]
    assert wall["inner"] >= 0.04 and 0.01 <= wall["outer"] <= wall["all"] - wall["inner"]
    assert 0 <= wall[HAND_OVER] < wall["all"] and row["objects"] == 3 and row["late"] == 0
    assert row["thread"]["inner"] < 0.02, "sleep takes no processor's time"


def test_an_image_that_comes_while_another_is_inside_is_not_measured(watch: Watch) -> None:
    for stamp in (1, 2, 3):
        watch.begin(stamp)
    watch.end(1, objects=1)
    watch.end(3, objects=2)  # 2 was dropped
    watch.begin(4)
    watch.end(4, objects=3)
    assert [(row["objects"], row["late"]) for row in WRITTEN] == [(1, 2), (3, 0)]
