"""Colours that distinguish objects from each other and from the image."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Mapping
from functools import lru_cache

import cv2
import numpy as np

RGB = tuple[int, int, int]

_PALETTE = [
    (0, 168, 255),
    (255, 106, 61),
    (0, 214, 143),
    (255, 72, 176),
    (255, 212, 0),
    (150, 98, 255),
    (132, 222, 2),
    (244, 40, 56),
    (0, 226, 226),
    (255, 158, 10),
    (212, 140, 255),
    (70, 110, 255),
]
_CANDIDATES = 36
_LIGHTNESS = 55  # L* of a candidate at least: lines have dark edges, and light ones stand out between them
_SAMPLES = 512  # pixels of an object, and as many around it, that a colour is compared with
_MARGIN = 6  # pixels around an object
_NEAREST = 20  # percentile of the differences: a colour must differ from most pixels, not from their mean
_SUFFICIENT = 50.0  # difference in CIE L*a*b* from which on an object takes its ID's colour


def colour(object_id: int) -> RGB:
    """The fixed colour of an ID, 0 .. 255, for use without an image."""
    if object_id <= len(_PALETTE):
        return _PALETTE[object_id - 1]
    hue = (object_id * 0.618034) % 1.0  # the golden ratio: neighbours in the sequence are far apart
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.55 + 0.35 * (object_id % 2), 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


class ObjectColours:
    """Assigns each object a colour that differs from its own, its surroundings' and those of the others.

    It is chosen on the first image on which the object is seen, and stays while the object is tracked.
    """

    def __init__(self) -> None:
        self._chosen: dict[int, RGB] = {}

    def of(self, image: np.ndarray, masks: Mapping[int, np.ndarray]) -> dict[int, RGB]:
        """RGB colours, 0 .. 255, by object ID.

        Args:
            image: uint8 [H, W, 3] RGB.
            masks: of all tracked objects, by ID, bool [H, W]; without a pixel where the object is absent.
        """
        self._chosen = {object_id: rgb for object_id, rgb in self._chosen.items() if object_id in masks}
        for object_id, mask in masks.items():
            if object_id not in self._chosen and mask.any():
                self._chosen[object_id] = contrasting(image, mask, object_id, self._chosen.values())
        return {object_id: self._chosen.get(object_id, colour(object_id)) for object_id in masks}


def contrasting(image: np.ndarray, mask: np.ndarray, object_id: int, taken: Iterable[RGB]) -> RGB:
    """The ID's fixed colour if it differs sufficiently from all others, else the most different one."""
    candidates = list(dict.fromkeys([colour(object_id), *_light_colours()]))
    lab = _to_lab(np.array(candidates, np.uint8))
    least = np.full(len(candidates), np.inf)
    for pixels in _samples(image, mask):
        if len(pixels):
            apart = np.linalg.norm(lab[:, None] - _to_lab(pixels)[None], axis=2)
            least = np.minimum(least, np.percentile(apart, _NEAREST, axis=1))
    if others := list(taken):
        apart = np.linalg.norm(lab[:, None] - _to_lab(np.array(others, np.uint8))[None], axis=2)
        least = np.minimum(least, apart.min(axis=1))
    best = int(least.argmax())
    return candidates[0 if least[0] >= _SUFFICIENT else best]


@lru_cache
def _light_colours() -> list[RGB]:
    colours = [colour(number) for number in range(1, _CANDIDATES + 1)]
    lightness = _to_lab(np.array(colours, np.uint8))[:, 0]
    return [rgb for rgb, light in zip(colours, lightness, strict=True) if light >= _LIGHTNESS]


def _samples(image: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sample pixels of an object and pixels around it: uint8 [n, 3] each."""
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    window = np.s_[max(y - _MARGIN, 0) : y + height + _MARGIN, max(x - _MARGIN, 0) : x + width + _MARGIN]
    inside = mask[window].view(np.uint8)
    grown = cv2.dilate(inside, np.ones((2 * _MARGIN + 1, 2 * _MARGIN + 1), np.uint8))
    pixels = image[window]
    own, around = (pixels[chosen.astype(bool)] for chosen in (inside, grown - inside))
    return own[:: len(own) // _SAMPLES + 1], around[:: len(around) // _SAMPLES + 1]


def _to_lab(rgb: np.ndarray) -> np.ndarray:
    """uint8 [n, 3] as CIE L*a*b*, float32 [n, 3], in which distances are about as large as they look."""
    return cv2.cvtColor(rgb[None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0]
