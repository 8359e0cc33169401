"""Somebody at a desk's page: what they do with a mouse, and what they see."""

from __future__ import annotations

import cv2
import numpy as np
from browser import Visit, wait_for
from playwright.sync_api import Locator
from shown_masks import ShownMasks


class DeskVisitor:
    """Points at the picture of a page. Waits until there is one."""

    def __init__(self, visited: Visit) -> None:
        self.visited, self.page = visited, visited.page
        self.wait_until_shown()

    def wait_until_shown(self) -> None:
        self.wait_for("window.desk?.shown && window.desk.stage.frame")

    def wait_for(self, expression: str) -> None:
        """Waits until a JavaScript expression is true in the page."""
        wait_for(self.page, expression)

    def wait_for_masks(self, object_ids: set[int]) -> None:
        """Waits until exactly these objects are drawn."""
        drawn = "desk.stage.frame?.masks.filter(({mask}) => mask).map(({object_id}) => object_id)"
        self.wait_for(
            f"{drawn}.sort((one, other) => one - other).join() === '{','.join(map(str, sorted(object_ids)))}'"
        )

    def masks(self, object_ids: list[int]) -> ShownMasks:
        """What the canvas shows of these objects."""
        return ShownMasks(self.page, object_ids)

    def row(self, object_id: int) -> Locator:
        """Of an object in the panel."""
        return self.page.locator(f"#panel .object[data-object-id='{object_id}']")

    def on_screen(self, x: float, y: float) -> tuple[float, float]:
        """A place of the image in the window."""
        place = self.page.evaluate("([x, y]) => desk.stage.toScreen(x + 0.5, y + 0.5)", [x, y])
        return place["x"], place["y"]

    def click(self, x: float, y: float, **how: object) -> None:
        self.page.mouse.click(*self.on_screen(x, y), **how)

    def drag(self, *places: tuple[float, float]) -> None:
        """From the first place over the others to the last, with the button held."""
        mouse = self.page.mouse
        mouse.move(*self.on_screen(*places[0]))
        mouse.down()
        for place in places[1:]:
            mouse.move(*self.on_screen(*place))
        mouse.up()

    def box(self, mask: np.ndarray) -> None:
        """Drags a box around a mask."""
        x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
        self.drag((x - 1, y - 1), (x + width / 2, y + height / 2), (x + width, y + height))


def innermost(mask: np.ndarray) -> tuple[int, int]:
    """The pixel that is farthest from a mask's edge: column, row."""
    distances = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)
    row, column = np.unravel_index(distances.argmax(), mask.shape)
    return int(column), int(row)


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return np.count_nonzero(one & other) / max(np.count_nonzero(one | other), 1)
