"""Start and end of the executables: errors in one line, and a clean exit on Ctrl-C at any time."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import NoReturn

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.utilities import remove_ros_args

from sam2_ros.ros import parameter_files

EXIT_TIMEOUT = 2.0
"""Seconds for remaining work, such as the step of a large network, to end."""

LOST = os.EX_SOFTWARE
"""Exit status, 70, of a process that ends itself because it cannot work any more, and a new one can."""

MAX_DOMAIN_ID = 232
"""The largest for which DDS has UDP ports."""

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # Ctrl-C, launch and systemd, a closed terminal


def own_arguments(program: str) -> list[str]:
    """The arguments of this process without ROS's. Exits with one line if ROS's cannot be parsed."""
    try:
        return remove_ros_args(sys.argv)[1:]
    except Exception as error:  # rclpy's RCLInvalidROSArgsError, which it does not export
        raise SystemExit(f"{program}: {parameter_files.explain(sys.argv, str(error))}") from None


def run(program: str, work: Callable[[], int], exit_timeout: float | None = EXIT_TIMEOUT, interrupted: int = 0) -> int:
    """Calls `work` between rclpy's init and shutdown, and returns the exit status.

    Ctrl-C, SIGTERM and SIGHUP shut rclpy down. From then on its functions raise various errors, which `work` need not
    catch. Nothing raises KeyboardInterrupt.

    Args:
        program: name of the program, for messages.
        work: returns the exit status.
        exit_timeout: seconds after a signal, or after `work`, until the process exits even if threads still run. None:
            wait for them.
        interrupted: exit status if a signal ended `work`.
    """
    with _Signals(exit_timeout, interrupted) as signals:
        signals.status = _run(program, lambda: interrupted if signals.received else work(), interrupted)
        return signals.status


def domain_problem(text: str) -> str | None:
    """What is wrong with ROS_DOMAIN_ID; None: nothing. With too high a number, Fast DDS would end the process."""
    try:
        domain = int(text or "0")
    except ValueError:
        return f"ROS_DOMAIN_ID is {text!r}; it must be a number from 0 to {MAX_DOMAIN_ID}"
    if domain > MAX_DOMAIN_ID:
        return f"ROS_DOMAIN_ID is {domain}; it must be at most {MAX_DOMAIN_ID}"
    return None


def exit_soon(status: int, timeout: float = EXIT_TIMEOUT) -> None:
    """Exit after a time, even if threads hang in a driver's call and the exit that is under way does not come."""

    def wait() -> None:
        time.sleep(timeout)
        exit_now(status)

    threading.Thread(target=wait, name="exit", daemon=True).start()


def exit_now(status: int) -> NoReturn:
    """Exit without what Python and libraries do at the end.

    With PyTorch that takes seconds on a busy machine, during which no other thread can end the process, and it may
    crash after an error of the GPU.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # closed, or a pipe that nobody reads
            stream.flush()
    os._exit(status)


def _run(program: str, work: Callable[[], int], interrupted: int) -> int:
    if (problem := domain_problem(os.environ.get("ROS_DOMAIN_ID", ""))) is not None:
        print(f"{program}: {problem}", file=sys.stderr)
        return 1
    try:
        rclpy.init()
    except Exception as error:
        line = parameter_files.explain(sys.argv, str(error))
        if re.search("log(ging)? directory", line):
            line += "; set HOME, or ROS_LOG_DIR, to a folder that may be written"
        print(f"{program}: {line}", file=sys.stderr)
        return 1
    try:
        return work()
    except ExternalShutdownException:
        return interrupted
    except Exception:
        if rclpy.ok():
            raise
        return interrupted
    finally:
        with contextlib.suppress(Exception):  # a signal may arrive in the meantime
            rclpy.try_shutdown()


class _Signals:
    """Leaves signals to rclpy, with SIGHUP as SIGTERM, and exits the process some time after the first.

    The end of the `with` block also starts that time. From then on signals are ignored, as the process is ending.
    """

    def __init__(self, exit_timeout: float | None, status: int) -> None:
        self.received: list[int] = []
        """Numbers of the received signals."""
        self.status = status
        """Exit status at the timeout."""
        self._exit_timeout = exit_timeout
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)

    def __enter__(self) -> _Signals:
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        previous = sys.unraisablehook
        # Errors from rclpy objects that were being constructed when the signal arrived are ignored.
        sys.unraisablehook = lambda error: None if self.received else previous(error)
        for kind in SIGNALS:
            if signal.getsignal(kind) is not signal.SIG_IGN:  # as under nohup
                signal.signal(kind, lambda number, frame: self.received.append(number))
        threading.Thread(target=self._watch, name="signals", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        for kind in SIGNALS:
            signal.signal(kind, signal.SIG_IGN)
        signal.set_wakeup_fd(-1)
        os.write(self._writer, bytes([signal.SIGTERM]))

    def _watch(self) -> None:
        # In a thread, as the main one may be blocked in C++, waiting for an RTSP camera, for instance.
        while (number := os.read(self._reader, 1)[0]) not in SIGNALS:
            continue
        if number == signal.SIGHUP:
            os.kill(os.getpid(), signal.SIGTERM)
        if self._exit_timeout is not None:
            time.sleep(self._exit_timeout)
            os._exit(self.status)
