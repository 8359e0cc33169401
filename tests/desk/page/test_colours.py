"""Tests of sam2_ros/desk/page/colours.js in a browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from sam2_ros.tracking.object_colours import colour

pytestmark = pytest.mark.slow


def test_colours_are_those_of_the_rest_of_the_product(modules: Page) -> None:
    ids = [*range(1, 400), 65535]
    found = modules.evaluate(
        """async (ids) => { const { colour } = await import("/page/colours.js"); return ids.map(colour); }""", ids
    )
    assert [tuple(rgb) for rgb in found] == [colour(object_id) for object_id in ids]


def test_text_on_a_colour_can_be_read(modules: Page) -> None:
    least = modules.evaluate(
        """async () => {
            const { colour, textOn } = await import("/page/colours.js");
            const light = (rgb) => {
                const [r, g, b] = rgb.map((value) => {
                    const part = value / 255;
                    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
                });
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            let least = Infinity;
            for (let id = 1; id < 400; id++) {
                const [one, other] = [light(colour(id)), textOn(id) === "#000" ? 0 : 1].sort((a, b) => b - a);
                least = Math.min(least, (one + 0.05) / (other + 0.05));
            }
            return least;
        }"""
    )
    assert least >= 4.5  # WCAG AA
