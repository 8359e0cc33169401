"""A job that is a command of this package, in a process of its own: the very one that the page shows."""

from __future__ import annotations

import os
import pty
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress

from sam2_ros.desk.recorded.job import CANCELLED, DONE, FAILED, Job
from sam2_ros.desk.recorded.terminal_output import TerminalOutput

PATIENCE = 30.0
"""Seconds that a command has to end after Ctrl-C; fine-tuning finishes its step and writes a checkpoint."""

WIDTH = 160
"""Letters in a line of the terminal: nothing is shortened."""


def command_line(arguments: Sequence[object]) -> str:
    """As it is typed into a terminal."""
    return shlex.join(["sam2_ros", *map(str, arguments)])


def run_command(job: Job, arguments: Sequence[object]) -> None:
    """Run `sam2_ros` with these arguments to its end, in this thread, and tell its progress.

    It has a terminal of its own, which goes with this process: if the desk is killed, it gets SIGHUP.
    """
    terminal, its_end = pty.openpty()
    try:
        process = _started(arguments, its_end)
    except OSError as error:
        os.close(terminal)
        job.end(FAILED, f"cannot be started: {error}")
        return
    finally:
        os.close(its_end)
    ended = threading.Event()
    threading.Thread(target=_stop_when_cancelled, args=(job, process, ended), name="cancel", daemon=True).start()
    output = TerminalOutput()
    with suppress(OSError):  # EIO: the last one that had the terminal open has closed it
        while data := os.read(terminal, 1 << 16):
            output.feed(data)
            job.progress(output.done, output.total, output.doing or (output.lines[-1] if output.lines else ""))
    output.close()
    status = process.wait()
    ended.set()
    os.close(terminal)
    said = output.lines[-1] if output.lines else ""
    if status == 0:
        job.done = job.total
        job.end(DONE, "\n".join(output.lines))
    elif job.cancelled:
        job.end(CANCELLED, said)
    else:
        job.end(FAILED, said or f"it ended with exit status {status}")


def _started(arguments: Sequence[object], terminal: int) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}  # bars would have gaps
    environment |= {"COLUMNS": str(WIDTH), "TERM": "xterm", "PYTHONUNBUFFERED": "1"}
    # setsid makes the terminal the one that controls it, and becomes the command
    command = ["setsid", "--ctty", sys.executable, "-m", "sam2_ros", *map(str, arguments)]
    return subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, env=environment)


def _stop_when_cancelled(job: Job, process: subprocess.Popen[bytes], ended: threading.Event) -> None:
    while not ended.is_set():
        if job.wait_cancelled(0.2):
            process.send_signal(signal.SIGINT)
            if not ended.wait(PATIENCE):
                process.kill()
            return
