"""The jobs of a project."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from functools import partial
from itertools import count
from pathlib import Path

from sam2_ros.annotation.assistant import Assistant
from sam2_ros.annotation.project import Project
from sam2_ros.desk.recorded.command_job import PATIENCE, command_line, run_command
from sam2_ros.desk.recorded.errors import ERRORS
from sam2_ros.desk.recorded.job import CANCELLED, DONE, FAILED, PROPAGATE, RUNNING, Job
from sam2_ros.desk.recorded.shared_network import SharedNetwork
from sam2_ros.desk.recorded.worker import Worker
from sam2_ros.desk.refusal import Refusal
from sam2_ros.recordings.recording import Recording
from sam2_ros.system.error_text import one_line

KEPT = 20
"""Jobs that have ended, which new pages are told of."""

REPORTS = 0.1
"""Seconds between two reports of a job that goes on."""

_log = logging.getLogger(__name__)


class Jobs:
    """Begins jobs, and tells how far they are. Methods run in the event loop.

    Args:
        folder: of the project.
        recording: that of the project.
        network: what propagates.
        on_change: called in the event loop when a job has changed.
    """

    def __init__(
        self, folder: Path, recording: Recording, network: SharedNetwork, on_change: Callable[[Job], None]
    ) -> None:
        self._worker = Worker("jobs", folder)
        self._recording, self._network, self._on_change = recording, network, on_change
        self._numbers = count(1)
        self._jobs: dict[int, Job] = {}
        self._commands: dict[int, threading.Thread] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._reported: dict[int, float] = {}

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()

    async def stop(self) -> None:
        """Cancel all, and wait until they have ended. What a command has completed stays."""
        for job in self.running:
            _log.warning("desk: ends %r first, in at most %.0f s", job.title, PATIENCE)
            job.cancel()
        await self._worker.stop()
        for thread in self._commands.values():
            await asyncio.to_thread(thread.join)

    @property
    def running(self) -> list[Job]:
        return [job for job in self._jobs.values() if job.state == RUNNING]

    @property
    def known(self) -> list[Job]:
        """Those that go on, and the newest of the others, in the order in which they began."""
        return list(self._jobs.values())

    def propagate(self, by: str, object_id: int, frame: int, phase: int, seconds: float, title: str) -> Job:
        """Propagate a mask by hand, as soon as the network is loaded and earlier propagations have ended."""
        job = self._new(PROPAGATE, title, by, object_id=object_id)
        if self._worker_is_busy(job):
            job.say("waits for the one before it")
        elif not self._network.loaded.done():
            job.say("waits for the model, which is being loaded")

        def work(project: Project) -> None:
            self._propagate(job, project, by, object_id, frame, phase, seconds)

        self._worker.begin(work).add_done_callback(partial(_end_badly, job))
        return job

    def run(self, by: str, kind: str, title: str, arguments: Sequence[object]) -> Job:
        """Run a command. Raises Refusal if one of this kind is running."""
        if any(job.kind == kind for job in self.running):
            raise Refusal(f"{title}: one is running already; wait for it, or cancel it")
        job = self._new(kind, title, by, command_line(arguments))
        thread = threading.Thread(target=run_command, args=(job, arguments), name=kind, daemon=True)
        self._commands[job.number] = thread
        thread.start()
        return job

    def cancel(self, by: str, number: int) -> None:
        """Anybody may end any job. Raises Refusal if there is no such job, or it has ended."""
        job = self._jobs.get(number)
        if job is None or job.state != RUNNING:
            raise Refusal("this job has ended already")
        job.cancel()
        _log.info("desk: %s cancels %r of %s", by, job.title, job.by)

    # ---- how

    def _new(self, kind: str, title: str, by: str, command: str = "", object_id: int | None = None) -> Job:
        job = Job(next(self._numbers), kind, title, by, self._changed, command, object_id)
        self._jobs[job.number] = job
        ended = [one for one in self._jobs.values() if one.state != RUNNING]
        for old in ended[:-KEPT]:
            del self._jobs[old.number]
            self._commands.pop(old.number, None)
        self._on_change(job)
        return job

    def _worker_is_busy(self, but: Job) -> bool:
        return any(job.kind == PROPAGATE and job is not but for job in self.running)

    def _changed(self, job: Job) -> None:
        """In any thread."""
        assert self._loop is not None
        now = self._loop.time()
        if job.state == RUNNING and now - self._reported.get(job.number, -1.0) < REPORTS and job.done:
            return
        self._reported[job.number] = now
        try:
            self._loop.call_soon_threadsafe(self._on_change, job)
        except RuntimeError:  # the desk has ended
            return

    def _propagate(
        self, job: Job, project: Project, by: str, object_id: int, frame: int, phase: int, seconds: float
    ) -> None:
        """In the worker's thread."""
        while not job.cancelled and not self._network.loaded.done():
            job.wait_cancelled(0.1)
        if job.cancelled:
            job.end(CANCELLED)
            return
        assistant = Assistant(project, self._recording, self._network.loaded.result(), by)

        def cancelled() -> bool:
            self._network.give_way()
            return job.cancelled

        with self._network.turn:
            stored = assistant.propagate(
                object_id, frame, phase, on_progress=job.progress, cancelled=cancelled, seconds=seconds
            )
        if job.cancelled and not stored:
            job.end(CANCELLED)
        else:
            job.end(DONE, f"{stored} masks from frame {frame} on")


def _end_badly(job: Job, work: Future[None]) -> None:
    """If something went wrong, whatever it is, the job has failed; the thread goes on with the next one."""
    error = work.exception()
    if isinstance(error, CancelledError):
        job.end(CANCELLED)
    elif error is not None:
        if not isinstance(error, ERRORS):
            _log.error("desk: %s", job.title, exc_info=error)
        job.end(FAILED, one_line(error))
