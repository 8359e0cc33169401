from __future__ import annotations

import os

import pytest
from worker import Worker


def _echo(pipe, prefix: str) -> None:
    pipe.send(None)
    while (command := pipe.recv()) != "end":
        pipe.send((prefix + command, os.getpid()))


def _fail(pipe) -> None:
    raise SystemExit(1)


def test_worker_answers_from_another_process() -> None:
    worker = Worker(_echo, "> ")
    worker.wait_until_ready()
    answer, process = worker.ask("step")
    worker.end()
    assert answer == "> step"
    assert process != os.getpid()


def test_worker_that_fails_ends_the_wait() -> None:
    with pytest.raises(EOFError):
        Worker(_fail).wait_until_ready()
