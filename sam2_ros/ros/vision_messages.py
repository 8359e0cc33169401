"""The messages of vision_msgs, which the node uses where they are installed."""

from __future__ import annotations

from types import ModuleType

from rclpy.type_support import check_for_type_support


def vision_messages() -> ModuleType | None:
    """The module `vision_msgs.msg`; None where it is not installed, or was built for another Python."""
    try:
        from vision_msgs import msg

        check_for_type_support(msg.Detection2DArray)
    except Exception:  # of several kinds, depending on what is missing
        return None
    return msg
