"""Ends what may take minutes at a start when the process is to end: a download, or a compiler's run.

Whatever runs in the main thread is interrupted by Ctrl-C. What runs in another thread, as all of a node's callbacks do,
hears nothing of it, and Python waits for those threads before it ends.
"""

from __future__ import annotations

from threading import Event

_stopping = Event()


class Stopped(RuntimeError):
    """Something was given up, because the process is about to end."""


def stop() -> None:
    """The process is about to end: what is under way in other threads raises `Stopped`, and nothing new begins."""
    _stopping.set()


def check(what: str, seconds: float = 0.0) -> None:
    """Waits. Raises Stopped, at once, if `stop` has been called before or is meanwhile."""
    if _stopping.wait(seconds) if seconds else _stopping.is_set():
        raise Stopped(f"{what} was given up: the process is ending")
