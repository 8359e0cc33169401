"""Cancellation of what may take minutes at a start, a download or a compiler's run, when the process is to end.

Ctrl-C interrupts the main thread only. Other threads, in which all of a node's callbacks run, don't notice it, and
Python waits for them before it exits.
"""

from __future__ import annotations

from threading import Event

_stopping = Event()


class Stopped(RuntimeError):
    """Something was cancelled because the process is about to end."""


def stop() -> None:
    """Cancel: from now on every `check` raises `Stopped`, in all threads."""
    _stopping.set()


def check(what: str, seconds: float = 0.0) -> None:
    """Wait so many seconds; raise Stopped as soon as `stop` is called, or if it has been before.

    Args:
        what: is cancelled, for the message.
    """
    if _stopping.wait(seconds) if seconds else _stopping.is_set():
        raise Stopped(f"{what} was cancelled: the process is ending")
