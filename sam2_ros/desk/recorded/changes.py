"""What has changed in a project, whoever changed it: other pages, or other processes."""

from __future__ import annotations

from collections.abc import Iterable

from sam2_ros.annotation.action import Action
from sam2_ros.annotation.project import LOOK, Project
from sam2_ros.desk.event import Event


class Changes:
    """Notices actions."""

    def __init__(self) -> None:
        self._told: int | None = None

    def news(self, project: Project) -> list[Action]:
        """The actions since those that pages have been told of; none at the first call."""
        newest = project.last_action
        if self._told is None:
            self._told = newest
        return list(project.actions(self._told)) if newest > self._told else []

    def told(self, actions: Iterable[Action]) -> None:
        """Pages have been told of these."""
        self._told = max((action.action_id for action in actions), default=self._told)


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
