"""Names of the topics and services of one camera."""

from __future__ import annotations

import re
from dataclasses import dataclass

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
"""Names of cameras: parts of ROS names."""

IMAGE_TOPIC = "image topic"
"""The key on /diagnostics of the topic from which a camera's images come."""


@dataclass(frozen=True)
class Topics:
    """The names of one camera's topics and services. Those of the only camera of a node have no camera in them."""

    camera: str = ""

    def input(self, name: str) -> str:
        """The name of something that others publish: `image`, or `front/image`. To be remapped."""
        return f"{self.camera}/{name}" if self.camera else name

    def private(self, name: str) -> str:
        """The name of something that belongs to the node: `~/masklets`, or `~/front/masklets`."""
        return f"~/{self.input(name)}"
