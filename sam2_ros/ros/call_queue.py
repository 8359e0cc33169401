"""The queue of calls for the thread that owns an object."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class ClosedError(RuntimeError):
    """The queue accepts no more calls; the message is the reason."""


class CallQueue(Generic[T]):
    """Calls for the owner of a T. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: deque[Callable[[T], None]] = deque()
        self._closed: str | None = None

    def __len__(self) -> int:
        return len(self._calls)

    def put(self, function: Callable[[T], R]) -> Future[R]:
        """Queue a function; the future gets its result or its exception.

        Raises:
            ClosedError: after `close`.
        """
        future: Future[R] = Future()

        def call(owned: T) -> None:
            try:
                future.set_result(function(owned))
            except Exception as error:
                # Its traceback refers to this function, and so to the future: a circle around the arguments, images
                # among them, which would stay in memory until Python looks for circles.
                future.set_exception(error.with_traceback(None))

        with self._lock:
            if self._closed is not None:
                raise ClosedError(self._closed)
            self._calls.append(call)
        return future

    def run(self, owned: T) -> bool:
        """Make the calls that are queued now. Returns whether there were any.

        A call may run the ones behind it: they are not made again.
        """
        waiting = len(self._calls)
        for made in range(waiting):
            with self._lock:
                call = self._calls.popleft() if self._calls else None
            if call is None:
                return made > 0
            call(owned)
        return waiting > 0

    def close(self, reason: str) -> None:
        """Accept no more calls. Queued calls can still be made."""
        with self._lock:
            self._closed = reason
