"""The executor of the node, which names the messages that cannot be read."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from rclpy.context import Context
from rclpy.exceptions import InvalidHandle
from rclpy.executors import MultiThreadedExecutor

from sam2_ros.ros.log import Log


class Executor(MultiThreadedExecutor):
    """Executes callbacks, and warns about messages that are not of their topic's type.

    rclpy drops them without a word and leaves the middleware's error behind, so that rcutils prints 500 bytes about
    each one that follows.
    """

    def __init__(self, threads: int, log: Log, context: Context | None = None) -> None:
        super().__init__(threads, context=context)
        self._log = log
        self._errors = _Errors()

    def wait_for_callbacks(self) -> None:
        """Wait until those that still run have returned. Call it after the context was shut down."""
        self._executor.shutdown(wait=True)

    def _take_subscription(self, sub: Any) -> Any:
        return self._take(super()._take_subscription, sub, "message", lambda: (sub.topic_name, sub.msg_type))

    def _take_service(self, srv: Any) -> Any:
        return self._take(super()._take_service, srv, "request", lambda: (srv.srv_name, srv.srv_type))

    def _take(self, take: Callable[[Any], Any], entity: Any, what: str, named: Callable[[], tuple[str, type]]) -> Any:
        self._errors.reset()
        callback = take(entity)
        if self._errors.reset():
            try:
                name, kind = named()
            except InvalidHandle:  # destroyed in the meantime
                return callback
            package = kind.__module__.partition(".")[0]
            self._log.warning(
                f"A {what} on {name} cannot be read and is ignored: its sender has another definition of"
                f" {package}/{kind.__name__}; build both from one version of {package}",
                throttle_duration_sec=10.0,
                kind=name,
            )
        return callback


class _Errors:
    """The error state of rcutils, which each thread has for itself."""

    def __init__(self) -> None:
        try:
            self._rcutils = ctypes.CDLL("librcutils.so")  # rclpy has loaded it
            self._rcutils.rcutils_error_is_set.restype = ctypes.c_bool
        except (OSError, AttributeError):
            self._rcutils = None

    def reset(self) -> bool:
        """Forget the error of this thread. Returns whether there was one."""
        if self._rcutils is None or not self._rcutils.rcutils_error_is_set():
            return False
        self._rcutils.rcutils_reset_error()
        return True
