"""Tests of sam2_ros/desk/page/contours.js in a browser."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from playwright.sync_api import Page

from sam2_ros.desk import wire_mask

pytestmark = pytest.mark.slow

CENTRES = """async (mask) => {
    const { contourPath } = await import("/page/contours.js");
    const context = document.createElement("canvas").getContext("2d");
    const path = contourPath(mask);
    const inside = [];
    for (let y = -1; y <= mask.height; y++) {
        for (let x = -1; x <= mask.width; x++) inside.push(context.isPointInPath(path, x + 0.5, y + 0.5, "evenodd"));
    }
    return inside;
}"""

OUTLINES = """async (mask) => {
    const { contours } = await import("/page/contours.js");
    return contours(mask).map(([xs, ys]) => xs.map((x, index) => [x, ys[index]]));
}"""


def masks() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    checkerboard = np.indices((7, 8)).sum(0) % 2 == 0
    ring = np.zeros((40, 50), np.uint8)
    cv2.circle(ring, (25, 20), 15, 1, -1)
    cv2.circle(ring, (25, 20), 8, 0, -1)
    cv2.circle(ring, (25, 20), 3, 1, -1)
    slope = np.tri(20, 60, dtype=bool)[:, ::3]
    edges = np.ones((9, 9), bool)
    edges[4, 4] = False
    lonely = np.zeros((6, 6), bool)
    lonely[[0, 0, 5, 5, 2], [0, 5, 0, 5, 2]] = True
    return {
        "empty": np.zeros((4, 5), bool),
        "full": np.ones((4, 5), bool),
        "checkerboard": checkerboard,
        "the other checkerboard": ~checkerboard,
        "ring with a core": ring.astype(bool),
        "slope": slope,
        "hole": edges,
        "lonely pixels": lonely,
        "noise": rng.random((31, 23)) < 0.5,
        "thin lines": rng.random((31, 23)) < 0.15,
    }


def test_centres_of_pixels_lie_on_their_side_of_the_outline(modules: Page) -> None:
    for name, mask in masks().items():
        inside = np.array(modules.evaluate(CENTRES, wire_mask.to_wire(mask)))
        expected = np.pad(mask, 1)
        assert np.array_equal(inside.reshape(expected.shape), expected), name


def test_outlines_are_those_of_the_pixels_with_those_that_only_touch_apart(modules: Page) -> None:
    for name, mask in masks().items():
        found = modules.evaluate(OUTLINES, wire_mask.to_wire(mask))
        pixels, _ = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
        holes, _ = cv2.connectedComponents(np.pad(~mask, 1, constant_values=True).astype(np.uint8), connectivity=8)
        assert len(found) == pixels - 1 + holes - 2, name  # less the background of each, and what is outside
        area = sum(signed_area(outline) for outline in found)
        assert area == mask.sum(), name


def signed_area(outline: list[list[int]]) -> float:
    x, y = np.array(outline, float).T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)


def test_a_later_mask_is_not_disturbed_by_an_earlier_one(modules: Page) -> None:
    large, small = np.ones((50, 60), bool), np.zeros((5, 5), bool)
    small[1:3, 1:4] = True
    modules.evaluate(OUTLINES, wire_mask.to_wire(large))
    assert modules.evaluate(OUTLINES, wire_mask.to_wire(small)) == [[[4, 1], [4, 3], [1, 3], [1, 1]]]
