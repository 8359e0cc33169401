"""The thread of ROS, seen from the server's event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

from rclpy.executors import Executor, ExternalShutdownException
from rclpy.node import Node

from sam2_ros.desk.refusal import Refusal

Result = TypeVar("Result")


class RosThread:
    """Executes the node's callbacks, and what the event loop wants to be done with the node.

    Everything that is made or destroyed is, in the thread that waits for messages: rclpy's executor fails if an entity
    disappears while it waits for it.
    """

    def __init__(self, node: Node, executor: Executor) -> None:
        self.node = node
        self._executor = executor
        self._stopping = False
        self._lock = threading.Lock()
        self._give_up: set[Callable[[], None]] | None = set()  # of the calls under way; None: it has ended
        executor.add_node(node)

    def spin(self) -> None:
        """Execute callbacks in this thread, until ROS is shut down or `stop` is called."""
        try:
            while self.node.context.ok() and not self._stopping:
                try:
                    self._executor.spin_once()
                except ExternalShutdownException:
                    break
                except Exception as error:  # from a callback; no message ends the desk
                    self.log_error(error)
        finally:
            with self._lock:
                under_way, self._give_up = self._give_up or set(), None
            for give_up in under_way:
                give_up()
            self._executor.shutdown()

    def stop(self) -> None:
        """End `spin`, from any thread."""
        self._stopping = True
        with self._lock:
            if self._give_up is not None:
                self._executor.create_task(lambda: None)  # `wake` alone does not end its waiting

    def log_error(self, error: BaseException) -> None:
        """Write an unexpected error into the log. While ROS is shut down, errors are expected."""
        if self.node.context.ok():
            self.node.get_logger().error(f"{type(error).__name__}: {error}", throttle_duration_sec=2.0)

    async def run(self, function: Callable[[], Result]) -> Result:
        """Call a function in the thread of ROS, and return its result or raise its error. Call it in an event loop.

        Raises:
            Refusal: ROS has ended.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()

        def settle(result: Result | None, error: Exception | None) -> None:
            if future.done():  # whoever waited is gone
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)  # type: ignore[arg-type]

        def settle_soon(result: Result | None = None, error: Exception | None = None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(settle, result, error)

        def give_up() -> None:
            settle_soon(error=Refusal("the desk is ending"))

        def call() -> None:
            try:
                settle_soon(function())
            except Exception as error:
                settle_soon(error=error)
            with self._lock:
                if self._give_up is not None:
                    self._give_up.discard(give_up)

        with self._lock:
            if self._give_up is None:
                raise Refusal("the desk is ending")
            self._give_up.add(give_up)
        self._executor.create_task(call)
        return await future
