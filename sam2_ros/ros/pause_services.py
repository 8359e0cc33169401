"""`~/pause` and `~/resume`."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from std_srvs.srv import Trigger

from sam2_ros.ros.configured_stream import ConfiguredStream
from sam2_ros.ros.excerpt import excerpt
from sam2_ros.ros.quantity import quantity
from sam2_ros.ros.stream import Stream
from sam2_ros.ros.topics import Topics


class PauseServices:
    """While paused, objects are kept and nothing is computed. Calling one of them again changes nothing."""

    def __init__(self, node: Node, topics: Topics, configured: ConfiguredStream, group: CallbackGroup) -> None:
        self._configured = configured
        for name, serve in (("pause", self._pause), ("resume", self._resume)):
            node.create_service(Trigger, topics.private(name), serve, callback_group=group)

    def _pause(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._answer(response, Stream.pause, "paused; {} kept")

    def _resume(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._answer(response, Stream.resume, "resumed with {}")

    def _answer(
        self, response: Trigger.Response, change: Callable[[Stream], Future[int]], text: str
    ) -> Trigger.Response:
        if (stream := self._configured.stream) is None:
            response.message = "the node is not configured"
            return response
        try:
            response.message, response.success = text.format(quantity(change(stream).result(), "object")), True
        except Exception as error:
            response.message = excerpt(str(error))
        return response
