"""A separate process that executes commands from a pipe."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from typing import Any


class Worker:
    """Runs a function in a new process, with one end of a pipe and further arguments.

    Benchmarks compare two checkouts of one package, which a single process can't import.

    Args:
        target: a function of a module. It sends None when it is ready, then one answer for each command, until "end".
        arguments: arguments of the function, after the pipe.
    """

    def __init__(self, target: Callable[..., None], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=target, args=(other, *arguments), daemon=True)
        self._process.start()
        other.close()

    def wait_until_ready(self) -> None:
        """Wait until the target is ready. Raises EOFError: the process has ended; its own error is on the screen."""
        self._pipe.recv()

    def ask(self, command: str) -> Any:
        """The answer to a command. Raises EOFError: the process has ended."""
        self._pipe.send(command)
        return self._pipe.recv()

    def end(self) -> None:
        """Wait for the process to end."""
        self._pipe.send("end")
        self._process.join()
