"""An operator at a robot: the desk's page in Chromium, the sam2 node and a camera over DDS, all real."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest
from browser import Visit, wait_for
from desk_robot import DeskRobot
from playwright.sync_api import Locator
from shown_masks import ShownMasks, overlap
from std_srvs.srv import Trigger

from sam2_ros.scenes.demo_scene import CAR

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def robot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeskRobot]:
    with DeskRobot(tmp_path_factory.mktemp("robot")) as robot:
        yield robot


class Operator:
    """What somebody at the page does, and what they see."""

    def __init__(self, visited: Visit, robot: DeskRobot) -> None:
        self.visited, self.page, self.robot = visited, visited.page, robot
        self.wait_until_shown()

    def wait_until_shown(self) -> None:
        wait_for(self.page, "window.desk?.shown?.stamp")

    @property
    def stamp(self) -> int:
        """Of the picture on the screen, ns."""
        return int(self.page.evaluate("desk.shown.stamp"))

    def place(self, thing: int) -> tuple[int, int]:
        """Where a thing of the scene is in the picture on the screen: its innermost pixel, column and row."""
        return deepest(self.robot.truth(self.stamp, thing))

    def on_screen(self, x: float, y: float) -> tuple[float, float]:
        """A place of the image in the window."""
        place = self.page.evaluate("([x, y]) => desk.stage.toScreen(x + 0.5, y + 0.5)", [x, y])
        return place["x"], place["y"]

    def click(self, x: float, y: float, **how: object) -> None:
        self.page.mouse.click(*self.on_screen(x, y), **how)

    def row(self, object_id: int) -> Locator:
        return self.page.locator(f"#panel .object[data-object-id='{object_id}']")

    def new_object(self, do: Callable[[], object]) -> int:
        """Does something that starts an object. Returns its ID when the panel has it, and the robot tracks it."""
        before = set(self.robot.objects())
        do()
        self.robot.wait_for(lambda: set(self.robot.objects()) - before, "for a new object")
        (object_id,) = set(self.robot.objects()) - before
        self.row(object_id).wait_for()
        return object_id


def deepest(mask: np.ndarray) -> tuple[int, int]:
    """The pixel that is farthest from a mask's edge: column, row."""
    distances = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)
    row, column = np.unravel_index(distances.argmax(), mask.shape)
    return int(column), int(row)


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return np.count_nonzero(one & other) / max(np.count_nonzero(one | other), 1)


@pytest.fixture
def operator(robot: DeskRobot, visit: Callable[..., Visit]) -> Operator:
    """At a desk where nothing is tracked yet."""
    robot.call(Trigger, "/sam2/reset")
    robot.wait_for(lambda: not robot.objects(), "for nothing to be tracked")
    return Operator(visit(robot.address), robot)


def test_mask_of_a_clicked_car_follows_it(operator: Operator) -> None:
    robot = operator.robot
    car = operator.new_object(lambda: operator.click(*operator.place(CAR)))
    drawn = ShownMasks(operator.page, [car]).record(100)
    ious = {stamp: overlap(samples, robot.masks(stamp))[car] for stamp, samples in drawn.items()}
    assert min(ious.values()) > 0.9 and np.median(list(ious.values())) > 0.95
    right = [iou(robot.masks(stamp)[car], robot.truth(stamp, CAR)) for stamp in drawn]
    assert np.median(right) > 0.4  # of the small default model, with one click
