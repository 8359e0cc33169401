"""What has changed in a project, whoever changed it: other pages, or other processes."""

from __future__ import annotations

from collections.abc import Iterable

from sam2_ros.annotation.action import Action
from sam2_ros.annotation.project import LOOK, Project
from sam2_ros.desk.event import Event


class Changes:
    """Notices actions. Belongs to one thread, that of its project."""

    def __init__(self) -> None:
        self._seen: int | None = None

    def since(self, project: Project) -> list[Action]:
        """The actions since the last call; none at the first one."""
        if self._seen is None:
            self._seen = project.last_action
            return []
        if project.last_action == self._seen:
            return []
        actions = list(project.actions(self._seen))
        self._seen = max((action.action_id for action in actions), default=self._seen)
        return actions


def changed(actions: Iterable[Action]) -> list[Event]:
    """What pages are told of actions: which masks they have to get again."""
    touched: dict[tuple[int | None, int | None], None] = {}
    for action in actions:
        if action.kind not in (LOOK, "describe", "verdict"):
            touched[action.object_id, action.frame] = None
    whole = {object_id for object_id, frame in touched if frame is None}
    return [
        {"type": "changed", "object_id": object_id, "frames": None if frame is None else [frame, frame]}
        for object_id, frame in touched
        if frame is None or object_id not in whole
    ]
