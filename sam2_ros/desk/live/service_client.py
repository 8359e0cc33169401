"""Calls of a service of a sam2 node, with a time limit."""

from __future__ import annotations

import asyncio
from typing import Any

from rclpy.client import Client

from sam2_ros.desk.live.ros_thread import RosThread
from sam2_ros.desk.refusal import Refusal


class ServiceClient:
    """Calls one service from the event loop. Made and closed in the thread of ROS."""

    def __init__(self, ros: RosThread, kind: type[Any], name: str) -> None:
        self._ros = ros
        self._name = name
        self._client: Client = ros.node.create_client(kind, name)

    async def call(self, request: Any, timeout: float) -> Any:
        """The response.

        Args:
            timeout: s.

        Raises:
            Refusal: there is no node, or it does not answer in time.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()

        def settle(response: Any, error: BaseException | None) -> None:
            if not answer.done():
                if error is not None:
                    answer.set_exception(Refusal(f"{self._name}: {error}"))
                else:
                    answer.set_result(response)

        def done(future: Any) -> None:
            error = future.exception()
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, None if error else future.result(), error)

        def send() -> Any:
            if not self._client.service_is_ready():
                return None
            future = self._client.call_async(request)
            future.add_done_callback(done)
            return future

        future = await self._ros.run(send)
        if future is None:
            raise Refusal(f"there is no {self._name}: the node has ended, or is starting")
        try:
            return await asyncio.wait_for(answer, timeout)
        except asyncio.TimeoutError:
            raise Refusal(f"{self._name} has not answered for {timeout:g} s") from None
        finally:
            if not answer.done() or answer.cancelled():
                await asyncio.shield(self._ros.run(lambda: self._client.remove_pending_request(future)))

    def close(self) -> None:
        """In the thread of ROS."""
        self._ros.node.destroy_client(self._client)
