"""Somebody at the desk of a robot."""

from __future__ import annotations

from collections.abc import Callable

from browser import Visit
from desk_robot import DeskRobot
from desk_visitor import DeskVisitor, innermost


class Operator(DeskVisitor):
    """What somebody at the page of a robot does, and what they see."""

    def __init__(self, visited: Visit, robot: DeskRobot) -> None:
        super().__init__(visited)
        self.robot = robot

    @property
    def stamp(self) -> int:
        """Of the picture on the screen, ns."""
        return int(self.page.evaluate("desk.shown.stamp"))

    def place(self, thing: int) -> tuple[int, int]:
        """Where a thing of the scene is in the picture on the screen: its innermost pixel, column and row."""
        return innermost(self.robot.truth(self.stamp, thing))

    def wait_for_frame(self, frames: range) -> None:
        """Waits until the picture is one of these frames of the scene."""
        for _ in range(600):
            if self.robot.frames.get(self.stamp) in frames:
                return
            self.page.wait_for_timeout(50)
        raise AssertionError("the camera does not show these frames")

    def pause_at(self, frames: range) -> None:
        """Pauses the picture when it shows one of these frames of the scene."""
        for _ in range(20):
            self.wait_for_frame(frames)
            self.page.keyboard.press("Space")
            self.wait_for("document.body.classList.contains('is-frozen')")
            if self.robot.frames[self.stamp] in frames:
                return
            self.page.keyboard.press("Space")
        raise AssertionError("it cannot be paused at these frames")

    def new_object(self, do: Callable[[], object]) -> int:
        """Does something that starts an object. Returns its ID when it is tracked, and the panel has it."""
        answered = len(self.robot.results)
        do()
        result = self.robot.result(answered)
        assert result.accepted, result.message
        object_id = int(result.object_id)
        self.robot.wait_for(lambda: object_id in self.robot.objects(), "for a new object")
        self.row(object_id).wait_for()
        return object_id
