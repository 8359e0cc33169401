"""The desk over a recording, as a process that can be killed and started again."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

import cv2

from sam2_ros.data.clip import Clip

TIMEOUT = 90.0  # s; generous, because the machine may be busy: only failures take so long


def write_recording(clip: Clip, folder: Path) -> None:
    """The images of a clip as a recording: a folder of PNGs."""
    folder.mkdir(parents=True)
    for number, image in enumerate(clip.frames):
        cv2.imwrite(str(folder / f"{number:05d}.png"), image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])


class RecordedDesk:
    """`sam2_ros desk RECORDING`. A context manager.

    Args:
        recording: what to annotate; the project is made beside it.
        options: more of the command line.
    """

    def __init__(self, recording: Path, *options: str) -> None:
        self.recording = recording
        self.project = recording.with_name(f"{recording.name}.annotation")
        self.address = ""
        self._options = options
        self._port = 0  # any; the same after a restart
        self._log = recording.parent / f"{recording.name}.log"
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        """Starts it, and waits until its page can be opened."""
        command = ["desk", str(self.recording), "--port", str(self._port), "--no-browser", *self._options]
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sam2_ros", *command],
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + TIMEOUT
        while (found := re.search(r"http://[\w.]+:(\d+)/?", self.log)) is None:
            assert self._process.poll() is None, self.log
            assert time.monotonic() < deadline, f"the desk is not up: {self.log}"
            time.sleep(0.05)
        self.address, self._port = found[0], int(found[1])

    @property
    def log(self) -> str:
        """What it has printed."""
        return self._log.read_text(errors="replace")

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> RecordedDesk:
        self.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(TIMEOUT)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
