"""Keeps the tracked objects of a stream in a file, so that the next process has them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from sam2_ros.ros.log import Log
from sam2_ros.ros.quantity import quantity
from sam2_ros.ros.resume_file import KeptObjects, ResumeFile, ResumeFileError

PERIOD = 1.0
"""Seconds between two looks at the objects."""

STREAM_TIMEOUT = 10.0
"""Seconds to wait for the stream, which may be in a long computation."""

LAST_TIMEOUT = 1.0
"""The same when the node ends."""


def resume_path(parameter: str, camera: str) -> Path | None:
    """The file of one camera: `objects.zip`, or `objects.front.zip` if the cameras have names; None: no parameter."""
    if not parameter:
        return None
    path = Path(parameter).expanduser().absolute()
    return path.with_name(f"{path.stem}.{camera}{path.suffix}") if camera else path


class ObjectKeeper:
    """Reads a file once, and then writes it every second if something has changed, in a thread of its own."""

    def __init__(self, file: ResumeFile, log: Log, period: float = PERIOD) -> None:
        self._file = file
        self._log = log
        self._period = period
        self._locked = False
        self._written: object = None  # what the file says
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._kept: Callable[[], Future[KeptObjects]] | None = None

    def load(self) -> KeptObjects:
        """The objects in the file. A file that cannot be read gets another name, and there are none."""
        path = self._file.path
        try:
            self._locked = self._file.lock()
        except OSError as error:
            self._log.error(f"resume_file cannot be used: {error}. Objects will not outlive the node")
            return KeptObjects()
        if not self._locked:
            self._log.error(
                f"resume_file {path} belongs to another sam2 node that is running: objects of this one will not outlive"
                " it. Give each node a file of its own"
            )
            return KeptObjects()
        kept = self._read()
        self._written = _summary(kept or KeptObjects())
        if kept is None or not kept.sightings:
            return kept or KeptObjects()
        labels = {sighting.object_id: sighting.label for sighting in kept.sightings}
        named = ", ".join(f"{object_id} {label}".strip() for object_id, label in sorted(labels.items()))
        age = max(0.0, time.time() - path.stat().st_mtime)
        self._log.info(
            f"Going on with {quantity(len(labels), 'object')} from {path}, written {age:.0f} s ago: {named[:400]}"
        )
        return kept

    def _read(self) -> KeptObjects | None:
        try:
            return self._file.read()
        except (OSError, ResumeFileError) as error:
            self.reject(f"cannot be read: {error}")
            return None

    def reject(self, why: str) -> None:
        """Give the file another name, because its objects cannot be used."""
        path = self._file.path
        try:
            aside = self._file.set_aside()
        except OSError as failure:
            self._locked = False
            self._log.error(
                f"resume_file {path} {why}. It cannot be renamed either ({failure}), and stays as it is: objects will"
                " not outlive the node"
            )
        else:
            self._log.error(f"resume_file {path} {why}. It is {aside} now; there are no objects")
        self._written = _summary(KeptObjects())

    def start(self, kept: Callable[[], Future[KeptObjects]]) -> None:
        """Begin to write. `kept` asks the stream for its objects."""
        if self._locked:
            self._kept = kept
            self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
            self._thread.start()

    def stop(self, forget: bool = False) -> None:
        """Write for the last time; or remove the file. The stream must still run."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            if forget:
                self._attempt(self._file.remove)
            else:
                self._write(LAST_TIMEOUT)
        self._file.close()

    def _run(self) -> None:
        while not self._ended.wait(self._period):
            self._write(STREAM_TIMEOUT)

    def _write(self, timeout: float) -> None:
        assert self._kept is not None
        try:
            kept = self._kept().result(timeout)
        except Exception:  # the stream has ended or hangs, which others report; the file stays
            return
        if (summary := _summary(kept)) != self._written and self._attempt(lambda: self._file.write(kept)):
            self._written = summary

    def _attempt(self, action: Callable[[], None]) -> bool:
        try:
            action()
        except OSError as error:
            self._log.error(f"resume_file cannot be written: {error}", throttle_duration_sec=30.0)
            return False
        return True


def _summary(kept: KeptObjects) -> object:
    """Equal for equal objects, without looking at pixels."""
    sightings = [(one.object_id, one.label, one.stamp, one.prompted, id(one.mask)) for one in kept.sightings]
    return kept.next_id, dict(kept.forget_after), sightings
