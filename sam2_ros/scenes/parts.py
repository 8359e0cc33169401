"""Parts of things as objects of their own: whoever clicks on a shirt means the person, or the shirt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from sam2_ros.scenes.rendering import Part, Thing, straight

MOST_IDS = 255
SIDE = 40
"""Longer side at which regions are looked for, pixels: details are no parts."""
LEAST = 0.06
"""Share of a thing that a region covers at least, else it is no part."""
CONTRAST = 25.0
"""Difference from the rest of the thing in the mean colour (Lab, 8 bits) that a part has at least."""


def taken_apart(rng: np.random.Generator, scene: Sequence[Thing]) -> list[Thing]:
    """The scene with each part of every thing as an object, numbered from 1 on; occluders stay as they are.

    Things of one part, such as those cut out of photographs, are taken apart along their colours. IDs end at 255: what
    is left then is no object.
    """
    taken: list[Thing] = []
    number = 0
    for thing in scene:
        if thing.object_id:
            parts = thing.parts if len(thing.parts) > 1 else regions(rng, thing.parts[0])
            ids = [min(number + k, MOST_IDS + 1) % (MOST_IDS + 1) for k in range(1, len(parts) + 1)]
            number += len(parts)
            thing = replace(thing, parts=parts, part_ids=ids)
        taken.append(thing)
    return taken


def regions(rng: np.random.Generator, part: Part) -> list[Part]:
    """A part, and before it those of its regions that have a colour of their own: 1 .. 4 parts that move as one."""
    colours, alpha = straight(part.pixels)
    rows, columns = alpha.shape
    factor = min(1.0, SIDE / max(rows, columns))
    size = (max(2, round(columns * factor)), max(2, round(rows * factor)))
    solid = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA) > 127
    count = int(rng.integers(2, 5))
    if solid.sum() < 16 * count:
        return [part]
    small = cv2.cvtColor(cv2.resize(colours, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2LAB)
    y, x = np.nonzero(solid)
    place = np.stack([x, y], 1) * (rng.uniform(20, 90) / max(size))
    shades = cv2.GaussianBlur(small, (5, 5), 0)[solid].astype(np.float32)
    features = np.concatenate([shades, place], axis=1).astype(np.float32)
    start = rng.integers(count, size=(len(features), 1)).astype(np.int32)
    stop = (cv2.TERM_CRITERIA_MAX_ITER + cv2.TERM_CRITERIA_EPS, 10, 1.0)
    # From given labels, or the clusters would depend on OpenCV's own random numbers.
    _, cluster, _ = cv2.kmeans(features, count, start, stop, 1, cv2.KMEANS_USE_INITIAL_LABELS)
    found = [part]
    for k in range(1, count):  # what is in none of them stays the first
        region = np.zeros(solid.shape, np.uint8)
        region[y, x] = cluster[:, 0] == k
        number, labels, stats, _ = cv2.connectedComponentsWithStats(cv2.medianBlur(region, 3), connectivity=4)
        if number < 2:
            continue
        largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
        if stats[largest, cv2.CC_STAT_AREA] < LEAST * solid.sum():
            continue
        own = labels[y, x] == largest
        if own.all() or not own.any() or np.linalg.norm(shades[own].mean(0) - shades[~own].mean(0)) < CONTRAST:
            continue
        mask = (labels == largest).astype(np.uint8) * np.uint8(255)
        inside = cv2.resize(mask, (columns, rows), interpolation=cv2.INTER_CUBIC)
        inside = np.where(inside > 127, np.uint8(255), np.uint8(0))
        pixels = cv2.multiply(part.pixels, cv2.merge([inside] * 4), scale=1 / 255)
        found.append(replace(part, pixels=pixels))
    return found
