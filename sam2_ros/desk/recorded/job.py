"""Long work on a project, which people watch and may cancel."""

from __future__ import annotations

import threading
from collections.abc import Callable

from sam2_ros.desk.event import Event

RUNNING, DONE, CANCELLED, FAILED = "running", "done", "cancelled", "failed"
PROPAGATE, PROPOSE, EXPORT, FINE_TUNE = "propagate", "propose", "export", "fine-tune"


class Job:
    """How far it is. Belongs to the project: it goes on when the page that began it is closed.

    May be changed by any thread.

    Args:
        number: of the job, unique on this desk.
        kind: `PROPAGATE`, `PROPOSE`, `EXPORT` or `FINE_TUNE`.
        title: what it does, for people.
        by: the annotator who began it.
        on_change: called after every change.
        command: the line that does the same in a terminal; empty: none.
        object_id: that it is about; None: about all.
    """

    def __init__(
        self,
        number: int,
        kind: str,
        title: str,
        by: str,
        on_change: Callable[[Job], None],
        command: str = "",
        object_id: int | None = None,
    ) -> None:
        self.number, self.kind, self.title, self.by = number, kind, title, by
        self.command, self.object_id = command, object_id
        self.state, self.message, self.done, self.total = RUNNING, "", 0, 0
        self._on_change = on_change
        self._cancelled = threading.Event()

    @property
    def cancelled(self) -> bool:
        """Whether somebody has asked to end it."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """It ends as soon as it can."""
        self._cancelled.set()
        if self.state == RUNNING:
            self.say("being cancelled")

    def wait_cancelled(self, seconds: float) -> bool:
        """Wait until somebody asks to end it, at most so long. Returns whether they have."""
        return self._cancelled.wait(seconds)

    def progress(self, done: int, total: int, message: str = "") -> None:
        message = self.message if self.cancelled else message
        if (done, total, message) != (self.done, self.total, self.message):
            self.done, self.total = done, total
            self.say(message)

    def say(self, message: str) -> None:
        self.message = message
        self._on_change(self)

    def end(self, state: str, message: str = "") -> None:
        """It is `DONE`, `CANCELLED` or `FAILED`."""
        self.state, self.message = state, message
        self._on_change(self)

    def event(self) -> Event:
        """What pages are told."""
        return {
            "type": "job",
            "job": self.number,
            "kind": self.kind,
            "title": self.title,
            "by": self.by,
            "done": self.done,
            "total": self.total,
            "state": self.state,
            "message": self.message,
            "command": self.command,
            "object_id": self.object_id,
        }
