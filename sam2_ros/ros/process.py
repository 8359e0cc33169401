"""How our executables begin and end: what is wrong is said in one line, and Ctrl-C is no error at any time."""

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

PATIENCE = 2.0
"""s that everything which is still going on, such as the step of a large network, has to end."""

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # Ctrl-C, launch and systemd, a terminal that is closed


def own_arguments(program: str) -> list[str]:
    """The arguments of this process that are not ROS's. Ends it with one line where those cannot be understood."""
    try:
        return remove_ros_args(sys.argv)[1:]
    except Exception as error:  # rclpy's RCLInvalidROSArgsError, which it exports nowhere
        raise SystemExit(f"{program}: {parameter_files.explain(sys.argv, str(error))}") from None


def run(program: str, work: Callable[[], int], patience: float | None = PATIENCE, interrupted: int = 0) -> int:
    """Calls `work` between rclpy's beginning and end, and returns the exit status.

    Ctrl-C, SIGTERM and SIGHUP shut rclpy down. From then on calls of it raise one thing or another, with which `work`
    may leave. Nothing raises KeyboardInterrupt.

    Args:
        program: its name, for messages.
        work: returns the exit status.
        patience: seconds after a signal, and after `work`, at which the process ends no matter what still goes on.
            None: it is waited for.
        interrupted: exit status where `work` was left by a signal.
    """
    with _Signals(patience, interrupted) as signals:
        signals.status = _run(program, lambda: interrupted if signals.come else work(), interrupted)
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
        with contextlib.suppress(Exception):  # a signal may come meanwhile
            rclpy.try_shutdown()


class _Signals:
    """Signals are left to rclpy, which is told of SIGHUP as well; and they start the clock.

    So does the end of the block. From there on signals are ignored: the process is ending, whoever asks once more.
    """

    def __init__(self, patience: float | None, status: int) -> None:
        self.come: list[int] = []
        """Those that have come."""
        self.status = status
        """With which the process ends when time is up."""
        self._patience = patience
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)

    def __enter__(self) -> _Signals:
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        unraisable = sys.unraisablehook
        sys.unraisablehook = lambda what: None if self.come else unraisable(what)  # of objects half made by rclpy
        for kind in ENDINGS:
            if signal.getsignal(kind) is not signal.SIG_IGN:  # as nohup has it
                signal.signal(kind, lambda number, frame: self.come.append(number))
        threading.Thread(target=self._watch, name="signals", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        for kind in ENDINGS:
            signal.signal(kind, signal.SIG_IGN)
        signal.set_wakeup_fd(-1)
        os.write(self._writer, bytes([signal.SIGTERM]))

    def _watch(self) -> None:
        # A thread, as the main one may be anywhere: in a loop of C++ that looks for an RTSP camera, for instance.
        while (number := os.read(self._reader, 1)[0]) not in ENDINGS:
            continue
        if number == signal.SIGHUP:
            os.kill(os.getpid(), signal.SIGTERM)
        if self._patience is not None:
            time.sleep(self._patience)
            os._exit(self.status)
