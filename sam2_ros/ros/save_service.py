"""`~/save`: what is tracked now, as files."""

from __future__ import annotations

from pathlib import Path

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node

from sam2_ros import srv
from sam2_ros.ros.configured_stream import ConfiguredStream
from sam2_ros.ros.excerpt import excerpt
from sam2_ros.ros.quantity import quantity
from sam2_ros.ros.saved_folder import SaveError, default_folder, save
from sam2_ros.ros.topics import Topics


class SaveService:
    """Takes the newest image from the stream, and writes it in the service's own thread.

    Those who may call it choose no more than a name below the parameter save_folder, which is read when the node
    starts: otherwise everyone in the node's domain could write anywhere.
    """

    def __init__(self, node: Node, topics: Topics, configured: ConfiguredStream) -> None:
        self._configured = configured
        self._camera = topics.camera
        self._root = str(node.get_parameter("save_folder").value)
        group = MutuallyExclusiveCallbackGroup()  # of its own: disks may be slow
        node.create_service(srv.SaveObjects, topics.private("save"), self._serve, callback_group=group)

    def _serve(self, request: srv.SaveObjects.Request, response: srv.SaveObjects.Response) -> srv.SaveObjects.Response:
        try:
            saved, objects = self._save(request.folder)
            response.folder, response.message = str(saved), f"{quantity(objects, 'object')} saved in {saved}"
            response.success = True
        except Exception as error:
            response.message = excerpt(str(error))
        return response

    def _save(self, folder: str) -> tuple[Path, int]:
        if (stream := self._configured.stream) is None:
            raise SaveError("the node is not configured")
        if (image := stream.newest().result()) is None:
            raise SaveError("no image has been processed yet; save once images arrive")
        root = Path(self._root).expanduser() if self._root else default_folder()
        saved = save(root / self._camera if self._camera else root, folder, image)
        return saved, len(image.frame.masklets)
