"""What a page has really drawn: the pixels of its canvas, compared with masks."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import numpy as np
from playwright.sync_api import Page

from sam2_ros.tracking.object_colours import colour

STEP = 4
"""Every fourth pixel of the image is looked at, in both directions."""

_SAMPLE = (
    """
(() => {
    const STEP = %d, NEAR = 60  // sum of the differences of red, green and blue

    // One byte for each sampled pixel of the image: the object whose colour the canvas of the masks has there, or 0.
    window.sampleMasks = (palette) => {
        const {stage} = window.desk, {width, height} = stage.frame
        const canvas = stage.element.querySelector('canvas[data-layer=masks]')
        const place = canvas.getBoundingClientRect(), ratio = canvas.width / place.width
        const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data
        let text = ''
        for (let y = 0; y < height; y += STEP)
            for (let x = 0; x < width; x += STEP) {
                const on = stage.toScreen(x + 0.5, y + 0.5)
                const column = Math.floor((on.x - place.left) * ratio), row = Math.floor((on.y - place.top) * ratio)
                const at = 4 * (row * canvas.width + column)
                let nearest = 0
                if (pixels[at + 3] > 40)
                    for (const [id, rgb] of palette)
                        if (rgb.reduce((sum, value, c) => sum + Math.abs(value - pixels[at + c]), 0) < NEAR) nearest = id
                text += String.fromCharCode(nearest)
            }
        return btoa(text)
    }
    window.recordMasks = (palette, frames) => {
        window.drawn = {}
        window.desk.stage.on('drawn', () => {
            const {stamp} = window.desk.shown ?? {}
            if (stamp && Object.keys(window.drawn).length < frames) window.drawn[stamp] = window.sampleMasks(palette)
        })
    }
})()
"""
    % STEP
)


class ShownMasks:
    """Reads the canvas of a page's masks.

    Args:
        page: a desk.
        object_ids: the objects that are looked for, 1 .. 255.
    """

    def __init__(self, page: Page, object_ids: list[int]) -> None:
        self._page = page
        self._palette = [[object_id, list(colour(object_id))] for object_id in object_ids]
        page.evaluate(_SAMPLE)

    def now(self) -> np.ndarray:
        """The object that is drawn at each sampled pixel, or 0: uint8 [H / STEP, W / STEP]."""
        text, width = self._page.evaluate("(palette) => [sampleMasks(palette), desk.stage.frame.width]", self._palette)
        return _samples(text, width)

    def record(self, frames: int, timeout: float = 120_000) -> dict[int, np.ndarray]:
        """Looks at that many images, each when it has just been drawn: as `now`, by stamp, ns."""
        self._page.evaluate("([palette, frames]) => recordMasks(palette, frames)", [self._palette, frames])
        self._page.wait_for_function(
            "(frames) => Object.keys(drawn).length >= frames", arg=frames, timeout=timeout, polling=200
        )
        drawn, width = self._page.evaluate("[drawn, desk.stage.frame.width]")
        return {int(stamp): _samples(text, width) for stamp, text in drawn.items()}


def overlap(samples: np.ndarray, masks: Mapping[int, np.ndarray]) -> dict[int, float]:
    """IoU of what is drawn with masks, bool [H, W], by object ID."""
    found = {}
    for object_id, mask in masks.items():
        drawn, truth = samples == object_id, mask[::STEP, ::STEP]
        union = np.count_nonzero(drawn | truth)
        found[object_id] = np.count_nonzero(drawn & truth) / union if union else 1.0
    return found


def _samples(text: str, width: int) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(-1, -(-width // STEP))
