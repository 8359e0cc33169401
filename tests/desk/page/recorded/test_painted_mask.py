"""Tests of sam2_ros/desk/page/recorded/painted_mask.js in a browser: every pixel that a brush paints."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import Page

from sam2_ros.desk import wire_mask

pytestmark = pytest.mark.slow

HEIGHT, WIDTH = 60, 80

PAINT = """async ({ mask, strokes, then }) => {
    const { PaintedMask } = await import("/page/recorded/painted_mask.js");
    const painted = new PaintedMask(60, 80, mask, [1, 2, 3]);
    for (const { points, radius, value, fill } of strokes) {
        points.forEach(([x, y], index) =>
            index ? painted.move(x, y, radius, value) : painted.begin(x, y, radius, value));
        if (fill) painted.fill(value);
    }
    for (const step of then) painted[step]();
    const shown = painted.canvas.getContext("2d").getImageData(0, 0, 80, 60).data;
    return {
        mask: painted.mask(), changed: painted.changed, canRedo: painted.canRedo, empty: painted.empty,
        shown: Array.from({ length: 60 * 80 }, (_, place) => shown[4 * place + 3] > 0),
    };
}"""

ROWS, COLUMNS = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5


def paint(page: Page, strokes: list[dict], mask: np.ndarray | None = None, then: tuple[str, ...] = ()) -> dict:
    given = None if mask is None else wire_mask.to_wire(mask)
    painted = page.evaluate(PAINT, {"mask": given, "strokes": strokes, "then": list(then)})
    painted["mask"] = wire_mask.mask(painted["mask"], (HEIGHT, WIDTH))
    assert np.array_equal(np.reshape(painted["shown"], (HEIGHT, WIDTH)), painted["mask"]), "what is shown is stored"
    return painted


def stroke(points: list[tuple[float, float]], radius: float, value: bool = True, fill: bool = False) -> dict:
    return {"points": points, "radius": radius, "value": value, "fill": fill}


def capsule(start: tuple[float, float], end: tuple[float, float], radius: float) -> np.ndarray:
    """Pixels whose middle is not farther from a line than the radius."""
    (x, y), (along_x, along_y) = start, np.subtract(end, start)
    along = ((COLUMNS - x) * along_x + (ROWS - y) * along_y) / max(along_x**2 + along_y**2, 1e-9)
    along = np.clip(along, 0, 1)
    return np.hypot(COLUMNS - x - along * along_x, ROWS - y - along * along_y) <= radius


def test_strokes_are_round_and_reach_as_far_as_the_brush(modules: Page) -> None:
    points = [(20.3, 30.2), (50.8, 10.1), (78.0, 58.0)]  # the last one reaches beyond the picture
    painted = paint(modules, [stroke(points, 6.0)])
    expected = capsule(points[0], points[1], 6.0) | capsule(points[1], points[2], 6.0)
    assert np.array_equal(painted["mask"], expected) and painted["changed"]
    erased = paint(modules, [stroke([(40.0, 20.0)], 9.0, False)], expected)
    assert np.array_equal(erased["mask"], expected & ~capsule((40.0, 20.0), (40.0, 20.0), 9.0))


def test_an_outline_is_filled(modules: Page) -> None:
    corners = [(10.0, 10.0), (60.0, 12.0), (35.0, 55.0)]
    filled = paint(modules, [stroke(corners, 0.5, fill=True)])["mask"]
    inside = np.ones((HEIGHT, WIDTH), bool)
    for (x, y), (next_x, next_y) in zip(corners, corners[1:] + corners[:1], strict=True):
        inside &= (next_x - x) * (ROWS - y) - (next_y - y) * (COLUMNS - x) >= 0
    assert np.array_equal(filled & inside, inside) and filled.sum() - inside.sum() < 120, "no more than the line"


def test_strokes_are_taken_back_and_done_again(modules: Page) -> None:
    before = capsule((30, 30), (40, 30), 5)
    strokes = [stroke([(60.0, 30.0)], 4.0), stroke([(32.0, 30.0)], 3.0, False)]
    both = paint(modules, strokes, before)
    one = paint(modules, strokes, before, ("undo",))
    assert np.array_equal(one["mask"], before | capsule((60, 30), (60, 30), 4)) and one["canRedo"]
    none = paint(modules, strokes, before, ("undo", "undo", "undo"))
    assert np.array_equal(none["mask"], before) and not none["changed"]
    again = paint(modules, strokes, before, ("undo", "undo", "redo", "redo", "redo"))
    assert np.array_equal(again["mask"], both["mask"]) and not again["canRedo"]
    assert paint(modules, [])["empty"] and not both["empty"]
