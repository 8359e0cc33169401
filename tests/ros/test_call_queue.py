"""The queue of calls for the thread that owns an object."""

from __future__ import annotations

import pytest

from sam2_ros.ros.call_queue import CallQueue


def test_calls_run_in_order() -> None:
    queue: CallQueue[list[int]] = CallQueue()
    owned: list[int] = []
    futures = [queue.put(lambda numbers, n=number: numbers.append(n) or len(numbers)) for number in (5, 6)]
    assert len(queue) == 2 and not futures[0].done()
    assert queue.run(owned) and owned == [5, 6]
    assert [future.result(0) for future in futures] == [1, 2]
    assert not queue.run(owned)


def test_exceptions_reach_the_caller() -> None:
    queue: CallQueue[dict] = CallQueue()
    broken, fine = queue.put(lambda owned: owned["nothing"]), queue.put(len)
    queue.run({})
    with pytest.raises(KeyError):
        broken.result(0)
    assert fine.result(0) == 0


def test_closed_queue_still_makes_queued_calls() -> None:
    queue: CallQueue[str] = CallQueue()
    waiting = queue.put(len)
    queue.close("the node is shutting down")
    with pytest.raises(RuntimeError, match="shutting down"):
        queue.put(len)
    assert queue.run("four") and waiting.result(0) == 4


def test_a_long_call_may_make_those_behind_it() -> None:
    queue: CallQueue[list[str]] = CallQueue()

    def long(done: list[str]) -> None:
        queue.put(lambda done: done.append("third"))
        assert queue.run(done)
        done.append("long")

    queue.put(lambda done: done.append("first"))
    queue.put(long)
    queue.put(lambda done: done.append("second"))
    done: list[str] = []
    assert queue.run(done) and done == ["first", "second", "third", "long"]
    assert not queue.run(done)
