"""Cancellation of long downloads and compilations when the process shuts down.

Ctrl-C interrupts the main thread only. Other threads, which run all callbacks of a node, are not interrupted, and
Python waits for them before it exits.
"""

from __future__ import annotations

from threading import Event

_stopping = Event()


class Stopped(RuntimeError):
    """An operation was cancelled because the process is shutting down."""


def stop() -> None:
    """Make every `check` from now on raise `Stopped`, in all threads."""
    _stopping.set()


def check(what: str, seconds: float = 0.0) -> None:
    """Raise Stopped if `stop` has been called, or is called within a time.

    Args:
        what: the operation, for the message.
        seconds: time to wait.
    """
    if _stopping.wait(seconds) if seconds else _stopping.is_set():
        raise Stopped(f"{what} was cancelled: the process is ending")
