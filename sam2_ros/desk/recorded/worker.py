"""A thread with an annotation project of its own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from sam2_ros.annotation.project import Project, ProjectError

T = TypeVar("T")


class Worker:
    """Does one thing after the other in a thread, which opens the project for itself: an instance belongs to one.

    Args:
        name: of the thread.
        folder: of the project.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self._folder = folder
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._project: Project | None = None
        self._file: os.stat_result | None = None
        self._stopped = False

    async def do(self, work: Callable[[Project], T]) -> T:
        """What the work returns or raises. Whoever does not wait for it any more does not stop it."""
        return await asyncio.shield(asyncio.wrap_future(self.begin(work)))

    def begin(self, work: Callable[[Project], T]) -> Future[T]:
        """Do it after what was begun before. Raises RuntimeError: the worker has been stopped."""
        return self._thread.submit(self._do, work)

    async def stop(self) -> None:
        """Finish what is being done, forget what waits, and close the project."""
        self._stopped = True
        await asyncio.wrap_future(self._thread.submit(self._close))
        self._thread.shutdown()

    def _do(self, work: Callable[[Project], T]) -> T:
        if self._stopped:
            raise CancelledError("the desk ends")
        if self._project is None:
            self._project = Project(self._folder)
            self._file = os.stat(self._project.file)
        elif not self._is_there(self._project.file):  # SQLite would write on, into a file that nobody finds
            raise ProjectError(
                f"{self._folder} was moved or deleted; put it back, or start the desk with the new place"
            )
        return work(self._project)

    def _is_there(self, file: Path) -> bool:
        try:
            return self._file is not None and os.path.samestat(os.stat(file), self._file)
        except FileNotFoundError:
            return False

    def _close(self) -> None:
        if self._project is not None:
            self._project.close()
