"""The services of one camera."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.node import Node
from std_srvs.srv import Trigger

from sam2_ros import srv
from sam2_ros.ros import masklets
from sam2_ros.ros.configured_stream import ConfiguredStream
from sam2_ros.ros.excerpt import excerpt
from sam2_ros.ros.log import Log
from sam2_ros.ros.pause_services import PauseServices
from sam2_ros.ros.prompt_inbox import SERVICE, PromptInbox
from sam2_ros.ros.quantity import quantity
from sam2_ros.ros.save_service import SaveService
from sam2_ros.ros.segment_everything_service import SegmentEverythingService
from sam2_ros.ros.segment_service import SegmentService
from sam2_ros.ros.stamps import time_message
from sam2_ros.ros.topics import Topics
from sam2_ros.tracking.tracker import Tracker


class Services:
    """All of them: `~/prompt`, `~/remove`, `~/reset` and `~/list` here. Each answer says what happened."""

    def __init__(self, node: Node, topics: Topics, log: Log, configured: ConfiguredStream, inbox: PromptInbox) -> None:
        self._configured = configured
        self._inbox = inbox
        private = topics.private
        # Calls of ~/prompt wait, and block no other service.
        calls, management = ReentrantCallbackGroup(), MutuallyExclusiveCallbackGroup()
        node.create_service(srv.PromptObject, private("prompt"), self._prompt, callback_group=calls)
        node.create_service(srv.RemoveObject, private("remove"), self._remove, callback_group=management)
        node.create_service(Trigger, private("reset"), self._reset, callback_group=management)
        node.create_service(srv.ListObjects, private("list"), self._list, callback_group=management)
        PauseServices(node, topics, configured, management)
        SegmentService(node, topics, log, configured)
        SegmentEverythingService(node, topics, configured)
        SaveService(node, topics, configured)

    def _prompt(
        self, request: srv.PromptObject.Request, response: srv.PromptObject.Response
    ) -> srv.PromptObject.Response:
        response.result = self._inbox.put_message(request.header, request.prompt, SERVICE).result()
        return response

    def _remove(
        self, request: srv.RemoveObject.Request, response: srv.RemoveObject.Response
    ) -> srv.RemoveObject.Response:
        def remove(tracker: Tracker) -> str:
            tracker.remove(request.object_id)
            return f"object {request.object_id} is not tracked any more"

        response.success, response.message = self._call_tracker(remove)
        return response

    def _reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if (stream := self._configured.stream) is None:
            response.success, response.message = False, "the node is not configured"
            return response
        try:
            response.message = f"{quantity(stream.reset().result(), 'object')} forgotten; IDs start again at 1"
            response.success = True
        except Exception as error:
            response.success, response.message = False, excerpt(str(error))
        return response

    def _list(self, request: srv.ListObjects.Request, response: srv.ListObjects.Response) -> srv.ListObjects.Response:
        def list_objects(tracker: Tracker) -> str:
            stream = self._configured.stream
            if tracker.newest is not None and stream is not None:
                response.header = stream.header_of(tracker.newest.stamp)
                newest = tracker.newest.masklets
                response.objects = [masklets.to_message(masklet, with_mask=False) for masklet in newest]
                response.history = [time_message(stamp) for stamp in tracker.stamps]
            return ""

        response.success, response.message = self._call_tracker(list_objects)
        return response

    def _call_tracker(self, function: Callable[[Tracker], str]) -> tuple[bool, str]:
        """Call a function with the tracker, between two images. Returns whether it succeeded, and a message."""
        if (stream := self._configured.stream) is None:
            return False, "the node is not configured"
        try:
            return True, stream.call(function).result()
        except Exception as error:
            return False, excerpt(str(error))
