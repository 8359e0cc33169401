"""Tests of sam2_ros/desk/page/run_lengths.js in a browser: what it reads and writes is what Python does."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import Page

from sam2_ros.desk import wire_mask
from sam2_ros.tracking import rle

pytestmark = pytest.mark.slow

WORK = """async (masks) => {
    const lengths = await import("/page/run_lengths.js");
    return masks.map((mask) => {
        const pixels = lengths.decode(mask);
        const [x, y] = [Math.floor(mask.width / 2), Math.floor(mask.height / 2)];
        return {
            pixels: [...pixels],
            again: lengths.encode(pixels, mask.height, mask.width),
            area: lengths.area(mask),
            box: lengths.boxOf(mask),
            on: lengths.isOn(mask, x + 0.7, y + 0.2),
            outside: lengths.isOn(mask, -0.5, y) || lengths.isOn(mask, mask.width, y),
            overlaps: masks.map((other) => lengths.overlap(mask, other)),
        };
    });
}"""


def masks() -> list[np.ndarray]:
    """Of one size: empty, full, single pixels at both ends, a rectangle of whole columns, noise, and blobs."""
    rng = np.random.default_rng(1)
    shape = (13, 17)
    made = [np.zeros(shape, bool), np.ones(shape, bool)]
    made += [np.zeros(shape, bool) for _ in range(3)]
    made[2][0, 0] = made[3][-1, -1] = True
    made[4][:, 4:9] = True
    return [*made, rng.random(shape) < 0.5, rng.random(shape) < 0.1]


def test_run_lengths(modules: Page) -> None:
    given = masks()
    answers = modules.evaluate(WORK, [wire_mask.to_wire(mask) for mask in given])
    for mask, answer in zip(given, answers, strict=True):
        height, width = mask.shape
        assert answer["pixels"] == mask.ravel().astype(int).tolist()
        assert answer["again"] == {"height": height, "width": width, "counts": rle.encode(mask).tolist()}
        assert answer["area"] == mask.sum()
        assert answer["on"] == mask[height // 2, width // 2]
        assert not answer["outside"]
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        box = [columns[0], rows[0], np.ptp(columns) + 1, np.ptp(rows) + 1] if mask.any() else None
        assert answer["box"] == box
        expected = [(mask & other).sum() / (mask | other).sum() if (mask | other).any() else 1.0 for other in given]
        assert answer["overlaps"] == pytest.approx(expected)
