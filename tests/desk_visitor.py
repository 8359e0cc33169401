"""Somebody at a desk's page: what they do with a mouse, and what they see."""

from __future__ import annotations

import cv2
import numpy as np
from browser import TIMEOUT, Visit, wait_for
from playwright.sync_api import Locator
from shown_masks import ShownMasks


class DeskVisitor:
    """Points at the picture of a page. Waits until there is one."""

    def __init__(self, visited: Visit) -> None:
        self.visited, self.page = visited, visited.page
        self.wait_until_shown()

    def wait_until_shown(self) -> None:
        self.wait_for("window.desk?.shown && window.desk.stage.frame")

    def wait_for(self, expression: str, timeout: float = TIMEOUT) -> None:
        """Waits until a JavaScript expression is true in the page; the timeout is in ms."""
        wait_for(self.page, expression, timeout=timeout)

    def wait_for_masks(self, object_ids: set[int]) -> None:
        """Waits until exactly these objects are drawn."""
        drawn = "desk.stage.frame?.masks.filter(({mask}) => mask).map(({object_id}) => object_id)"
        self.wait_for(
            f"{drawn}.sort((one, other) => one - other).join() === '{','.join(map(str, sorted(object_ids)))}'"
        )

    def wait_for_mask(self, object_id: int) -> None:
        """Waits until this object is drawn."""
        self.wait_for(f"desk.stage.frame?.masks.some((shown) => shown.object_id === {object_id} && shown.mask)")

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


class Keyboard:
    """Points with the keys alone: arrows move a crosshair, which has to be shown, and Enter clicks."""

    def __init__(self, visitor: DeskVisitor) -> None:
        self._page = visitor.page

    def press(self, *keys: str) -> None:
        for key in keys:
            self._page.keyboard.press(key)

    def move(self, x: int, y: int) -> None:
        """Moves the crosshair near a place of the image."""
        for _ in range(200):
            at = self._page.evaluate("desk.stage.crosshair")
            right, down = x - at["x"], y - at["y"]
            fine = max(1, round(6 / self._page.evaluate("desk.stage.scale")))
            if max(abs(right), abs(down)) <= fine:
                return
            further, far = ("ArrowRight" if right > 0 else "ArrowLeft"), abs(right)
            if abs(down) > abs(right):
                further, far = ("ArrowDown" if down > 0 else "ArrowUp"), abs(down)
            self.press(f"Shift+{further}" if far > 40 else further)
        raise AssertionError("the crosshair does not come near")


class Fingers:
    """Points with fingers on a screen that is touched."""

    def __init__(self, visitor: DeskVisitor) -> None:
        self._visitor, self._page = visitor, visitor.page
        self._session = visitor.page.context.new_cdp_session(visitor.page)

    def tap(self, x: float, y: float) -> None:
        self._page.touchscreen.tap(*self._visitor.on_screen(x, y))

    def hold(self, x: float, y: float) -> None:
        """A long press."""
        self._send("touchStart", (x, y))
        self._page.wait_for_timeout(900)
        self._send("touchEnd")

    def drag(self, *places: tuple[float, float]) -> None:
        self._send("touchStart", places[0])
        for place in places[1:]:
            self._send("touchMove", place)
        self._send("touchEnd")

    def spread(self, x: float, y: float, before: float, after: float) -> None:
        """Two fingers around a place go apart: half their distance before and after, pixels of the image."""
        places = [[(x - half, y), (x + half, y)] for half in np.linspace(before, after, 6)]
        on_screen = [[self._visitor.on_screen(*place) for place in pair] for pair in places]  # it moves meanwhile
        for kind, pair in zip(["touchStart", *["touchMove"] * 5], on_screen, strict=True):
            self._dispatch(kind, *pair)
        self._dispatch("touchEnd")

    def _send(self, kind: str, *places: tuple[float, float]) -> None:
        self._dispatch(kind, *(self._visitor.on_screen(*place) for place in places))

    def _dispatch(self, kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
        self._session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def innermost(mask: np.ndarray) -> tuple[int, int]:
    """The pixel that is farthest from a mask's edge: column, row."""
    distances = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)
    row, column = np.unravel_index(distances.argmax(), mask.shape)
    return int(column), int(row)


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return np.count_nonzero(one & other) / max(np.count_nonzero(one | other), 1)
