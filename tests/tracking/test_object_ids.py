"""IDs of new objects."""

from __future__ import annotations

import pytest

from sam2_ros.tracking.object_ids import ObjectIds


def allocate(ids: ObjectIds, tracked: set[int], chosen: int = 0) -> int:
    object_id = chosen or ids.free(tracked)
    ids.use(object_id, tracked, allocated=not chosen)
    tracked.add(object_id)
    return object_id


def test_ids_ascend_past_chosen_ones() -> None:
    ids, tracked = ObjectIds(), set()
    assert [allocate(ids, tracked, chosen) for chosen in (0, 7, 0, 3, 0)] == [1, 7, 8, 3, 9]


def test_the_id_of_a_removed_object_stays_unused() -> None:
    ids, tracked = ObjectIds(), set()
    allocate(ids, tracked)
    tracked.clear()
    assert ids.free(tracked) == 2
    assert ids.free(tracked) == 2, "to look is not to use"


def test_after_the_last_id_the_smallest_unused_one_follows() -> None:
    ids, tracked = ObjectIds(), set()
    allocate(ids, tracked, 65535)
    assert [allocate(ids, tracked) for _ in range(2)] == [1, 2]


def test_all_ids_are_used_before_one_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sam2_ros.tracking.object_ids.MAX_OBJECT_ID", 4)
    ids, tracked = ObjectIds(), set()
    for _ in range(4):
        allocate(ids, tracked)
    tracked -= {1, 4}
    assert [allocate(ids, tracked) for _ in range(2)] == [1, 4]


def test_ids_of_an_earlier_stream_are_skipped():
    ids = ObjectIds()
    ids.skip(7)
    assert ids.free(()) == 7
    ids.skip(3)
    ids.use(7, (), allocated=True)
    assert ids.free((7,)) == 8
