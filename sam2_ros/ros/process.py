"""Start and end of the executables: errors in one line, and a clean exit on Ctrl-C at any time."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.utilities import remove_ros_args

from sam2_ros.ros import parameter_files

EXIT_TIMEOUT = 2.0
"""Seconds for remaining work, such as the step of a large network, to end."""

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


def _run(program: str, work: Callable[[], int], interrupted: int) -> int:
    try:
        rclpy.init()
    except Exception as error:
        print(f"{program}: {parameter_files.explain(sys.argv, str(error))}", file=sys.stderr)
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
