"""The messages of vision_msgs, which the node uses where they are installed."""

from __future__ import annotations

from types import ModuleType


def vision_messages() -> ModuleType | None:
    """The module `vision_msgs.msg`; None where it is not installed."""
    try:
        from vision_msgs import msg
    except ImportError:
        return None
    return msg
