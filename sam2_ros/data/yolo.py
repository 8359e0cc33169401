"""The layout of YOLO's segmentation labels: images/<clip>/00000.jpg, labels/<clip>/00000.txt and data.yaml.

https://docs.ultralytics.com/datasets/segment. A label file has a row for each object: the number of its class, and the
corners x y x y ... of one polygon, relative to the image's width and height. An empty file is an image without objects.

A polygon runs through the centres of the pixels on the rim, so that `cv2.fillPoly`, with which Ultralytics draws it,
gives the mask back. There is one polygon for an object: several parts are joined by a line there and back, as
Ultralytics' own converter of COCO joins them, which draws a line of one pixel between them; holes are joined to the
rim around them in the same way, which leaves the mask as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial import cKDTree

from sam2_ros.data.clip import Clip
from sam2_ros.data.coco_writer import UNLABELLED
from sam2_ros.data.images import write_jpeg

DATA = "data.yaml"
SPLIT = """\
# One folder for each recording. `val` names the same ones: move recordings from one list to the other, so that scores
# are those of recordings that were not learnt from.
"""


def write(clips: Iterable[Clip], root: str | Path, quality: int = 95) -> None:
    """Write annotated frames as JPEG, the masks on them as polygons, and data.yaml.

    Frames on which a mask is unknown are left out. Labels become classes, "object" without one, numbered in the order
    in which they appear.

    Raises OSError.
    """
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    classes: dict[str, int] = {}
    folders: list[str] = []
    for clip in clips:
        folder = f"{clip.name}-" if clip.name == "images" else clip.name  # readers replace the last images/ by labels/
        numbers = [
            classes.setdefault((clip.labels or {}).get(object_id) or UNLABELLED, len(classes))
            for object_id in clip.object_ids
        ]
        written = False
        for index, (frame, masks) in enumerate(zip(clip.frames, clip.masks, strict=True)):
            if masks is None or not clip.is_complete(index):
                continue
            write_jpeg(root / "images" / folder / f"{index:05d}.jpg", frame, quality)
            rows = [row(number, mask) for number, mask in zip(numbers, masks, strict=True) if mask.any()]
            file = root / "labels" / folder / f"{index:05d}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("".join(f"{one}\n" for one in rows))
            written = True
        if written:
            folders.append(f"images/{folder}")
    (root / DATA).write_text(_data(folders, classes))


def row(number: int, mask: np.ndarray) -> str:
    """The row of an object: the number of its class, and its polygon; of a mask, bool [H, W], that is not empty."""
    height, width = mask.shape
    corners = (polygon(mask) + 0.5) / (width, height)
    return " ".join([str(number), *(f"{value:.6f}" for value in corners.reshape(-1))])


def polygon(mask: np.ndarray) -> np.ndarray:
    """The outlines of all parts and holes of a mask, bool [H, W], as one polygon: int [P, 2], pixels x and y, P > 2.

    Raises ValueError for an empty mask.
    """
    outlines, tree = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if not outlines:
        raise ValueError("an empty mask has no polygon")
    rings = [outline[:, 0] for outline in outlines]
    parts = []
    for index, (_, _, hole, parent) in enumerate(tree[0]):
        if parent >= 0:
            continue
        outlines_of_part = [rings[index]]
        while hole >= 0:
            outlines_of_part.append(rings[hole])
            hole = tree[0][hole][0]
        parts.append(_joined(outlines_of_part))
    whole = _joined(parts)
    return np.resize(whole, (3, 2)) if len(whole) < 3 else whole  # of one or two pixels


def _joined(rings: Sequence[np.ndarray]) -> np.ndarray:
    """Rings, [P, 2], as one: each is joined to the nearest of those before by a line there and back."""
    points = np.concatenate(rings)
    ring_of = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
    place_of = np.concatenate([np.arange(len(ring)) for ring in rings])
    distance, source = np.full(len(points), np.inf), np.zeros((len(points), 2), int)  # ring, and place in it
    waiting = ring_of > 0
    joined, newest = list[tuple[int, int, int, int]](), 0
    while (rows := np.flatnonzero(waiting)).size:
        found, places = cKDTree(rings[newest]).query(points[rows])
        closer = found < distance[rows]
        distance[rows[closer]] = found[closer]
        source[rows[closer], 0], source[rows[closer], 1] = newest, places[closer]
        nearest = rows[distance[rows].argmin()]
        newest = int(ring_of[nearest])
        joined.append((int(source[nearest, 0]), int(source[nearest, 1]), newest, int(place_of[nearest])))
        waiting[ring_of == newest] = False
    detours: dict[int, list[tuple[int, np.ndarray]]] = {number: [] for number in range(len(rings))}
    for ring, place, number, own in reversed(joined):  # the last ones have no detours themselves
        detours[ring].append((place, _around(rings[number], own, detours[number])))
    return _around(rings[0], 0, detours[0])[:-1]


def _around(ring: np.ndarray, start: int, detours: Iterable[tuple[int, np.ndarray]]) -> np.ndarray:
    """A ring from a place to the same one, with detours: paths from places of it and back."""
    ahead = sorted((((place - start) % len(ring), path) for place, path in detours), key=itemgetter(0))
    turned = np.concatenate([ring[start:], ring[: start + 1]])
    pieces, done = list[np.ndarray](), 0
    for place, path in ahead:
        pieces += [turned[done : place + 1], path]
        done = place
    return np.concatenate([*pieces, turned[done:]])


def _data(folders: Iterable[str], classes: Mapping[str, int]) -> str:
    """The content of data.yaml. Strings of JSON are strings of YAML, too."""
    listed = "".join(f"  - {json.dumps(folder)}\n" for folder in folders)
    names = "".join(f"  {number}: {json.dumps(name)}\n" for name, number in classes.items())
    return f"{SPLIT}train:\n{listed}val:\n{listed}names:\n{names}"
