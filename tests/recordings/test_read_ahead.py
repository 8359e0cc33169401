"""Reading ahead in a thread: bounded, ended in time, errors in their place."""

import gc
import subprocess
import sys
import threading

import pytest

from sam2_ros.recordings.read_ahead import read_ahead


class Source:
    """Numbers from 0, of which it is known how many were computed, and by which thread."""

    def __init__(self, count=10, fails_at=None):
        self.count, self.fails_at = count, fails_at
        self.computed, self.closed = 0, threading.Event()
        self.reached = threading.Condition()
        self.threads = set()

    def items(self):
        try:
            for number in range(self.count):
                if number == self.fails_at:
                    raise OSError("the disk fails")
                with self.reached:
                    self.computed = number + 1
                    self.threads.add(threading.current_thread())
                    self.reached.notify_all()
                yield number
        finally:
            self.closed.set()

    def wait(self, computed):
        with self.reached:
            assert self.reached.wait_for(lambda: self.computed >= computed, 10)


def test_items_are_computed_ahead_and_no_further():
    source = Source()
    items = read_ahead(source.items(), ahead=3)
    assert source.computed == 0
    assert next(items) == 0
    source.wait(4)
    assert not source.closed.wait(0.05) and source.computed == 4
    assert list(items) == list(range(1, 10))
    assert source.closed.is_set() and threading.current_thread() not in source.threads


@pytest.mark.parametrize("leave", ["close", "drop", "break", "error"])
def test_the_thread_ends_with_its_reader(leave):
    source = Source(count=10**9)
    items = read_ahead(source.items())
    assert next(items) == 0
    (thread,) = source.threads
    if leave == "close":
        items.close()
    elif leave == "drop":
        del items
        gc.collect()
    elif leave == "error":
        with pytest.raises(KeyboardInterrupt):
            items.throw(KeyboardInterrupt())
    else:
        for _ in items:
            break
        del items
    assert source.closed.is_set() and not thread.is_alive()


def test_errors_come_in_their_place():
    source = Source(fails_at=2)
    items = read_ahead(source.items())
    assert [next(items), next(items)] == [0, 1]
    with pytest.raises(OSError, match="the disk fails"):
        next(items)
    assert source.closed.is_set() and not any(thread.is_alive() for thread in source.threads)


def test_nothing_is_read_before_the_first_item_is_asked_for():
    source = Source()
    before = threading.active_count()
    items = read_ahead(source.items())
    assert threading.active_count() == before
    items.close()
    assert source.computed == 0


def test_a_process_ends_while_an_iterator_is_left():
    program = """
from itertools import count
from sam2_ros.recordings.read_ahead import read_ahead
items = read_ahead(number for number in count())
print(next(items))
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "0\n", "")
