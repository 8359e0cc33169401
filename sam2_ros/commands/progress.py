"""The progress of long work, with rate and time left."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars
from rich.text import Text

READING = "reading"
"""What an export does first."""

WINDOW = 20.0
"""Seconds of which the rate and the time left are an average."""

NARROW = 75
"""With fewer letters in a line, nothing would be whole: only what matters is shown."""


class _Rate(ProgressColumn):
    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f} {self._unit}/s" if speed else "", style="progress.data.speed")


class Progress:
    """Bars of the tracking and of the writing. The first shows all passes together.

    Images that an earlier process has done count as done, but not for the rate.

    Args:
        unit: what is counted.
    """

    def __init__(self, console: Console, unit: str = "images") -> None:
        columns: list[ProgressColumn] = [
            TextColumn("{task.description:<20}"),
            BarColumn(30),
            MofNCompleteColumn(),
            _Rate(unit),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        ]
        if console.width < NARROW:
            columns = [TextColumn("{task.description}"), MofNCompleteColumn(), TimeRemainingColumn()]
        self._bars = Bars(*columns, console=console, speed_estimate_period=WINDOW)
        self._tasks: dict[str, TaskID] = {}
        self.is_new = False
        """Whether anything was tracked that an earlier process had not done already."""

    def __enter__(self) -> Progress:
        self._bars.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:
            for name, task in self._tasks.items():
                self._bars.update(task, description=f"{name}, done")
        self._bars.stop()

    def on_pass(self, done: int, total: int, name: str = "") -> None:
        """Show how many images are done, of those of all passes."""
        self.is_new |= "tracking" in self._tasks
        self._show("tracking", f"tracking {name}".rstrip(), done, total)

    def on_output(self, done: int, total: int, name: str) -> None:
        """Show how many images are written, of those of all outputs."""
        if total:
            self._show("writing", f"writing {name}".rstrip(), done, total)

    def on_export(self, done: int, total: int, what: str) -> None:
        """Show how many images are read, or written (`annotation.export.OnProgress`)."""
        if what != READING:
            self.on_output(done, total, what)
        elif total:
            self._show(READING, READING, done, total)

    def _show(self, task: str, description: str, done: int, total: int) -> None:
        if task not in self._tasks:
            self._tasks[task] = self._bars.add_task(description, total=total, completed=done)
            return
        self._bars.update(self._tasks[task], description=description, total=total, completed=done)
