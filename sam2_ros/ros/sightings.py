"""Where the tracked objects of a stream were prompted and seen last."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace

import cv2
import numpy as np

from sam2_ros.model.config import SAM2Config
from sam2_ros.tracking.masklet import Frame, Masklet
from sam2_ros.tracking.sighting import Sighting

MAX_IMAGES = 16
"""Maximum number of recent images that are kept, for prompts on them."""


class Sightings:
    """At most two sightings of each object, with images of the network's size. Only for the stream's thread.

    Args:
        config: the network's, which says to what size images are resized.
        sightings: those of an earlier process, which hold until there are newer ones.
    """

    def __init__(self, config: SAM2Config, sightings: Iterable[Sighting] = ()) -> None:
        self._config = config
        self._recent: deque[tuple[int, np.ndarray]] = deque(maxlen=MAX_IMAGES)
        self._prompted: dict[int, Sighting] = {}
        self._seen: dict[int, Sighting] = {}
        for sighting in sightings:
            (self._prompted if sighting.prompted else self._seen)[sighting.object_id] = sighting

    def add_image(self, stamp: int, image: np.ndarray) -> None:
        """Add the next image, uint8 [H, W, 3] RGB, with the tracker's stamp, ns."""
        self._recent.append((stamp, image))

    def add_prompted(self, masklet: Masklet, stamp: int, newest: Frame | None, replaced: bool) -> None:
        """Add the answer to a prompt.

        Args:
            stamp: of the prompted image, ns. If that is no longer kept, the newest one takes its place.
            replaced: whether the object was another one before.
        """
        object_id = masklet.object_id
        if replaced:
            self._prompted.pop(object_id, None)
        self._seen.pop(object_id, None)  # found by an older prompt
        by_stamp = dict(self._recent)
        if stamp not in by_stamp and newest is not None:
            stamp, masklet = newest.stamp, newest.masklet(object_id) or masklet
        if masklet.present and stamp in by_stamp:
            self._prompted[object_id] = self._sighting(masklet, stamp, self._small(by_stamp[stamp]), prompted=True)

    def of(self, newest: Frame | None, labels: Mapping[int, str]) -> tuple[Sighting, ...]:
        """The sightings of all tracked objects.

        Args:
            newest: the newest frame.
            labels: of the tracked objects, by ID; others are forgotten.
        """
        stamp, image = self._recent[-1] if self._recent else (0, None)
        if newest is not None and image is not None and newest.stamp == stamp:
            visible = [masklet for masklet in newest.masklets if masklet.present and self._is_new(masklet, stamp)]
            small = self._small(image) if visible else image
            for masklet in visible:
                self._seen[masklet.object_id] = self._sighting(masklet, stamp, small, prompted=False)
        for sightings in (self._prompted, self._seen):
            for object_id in sightings.keys() - labels.keys():
                del sightings[object_id]
            for object_id, sighting in sightings.items():
                if sighting.label != labels[object_id]:
                    sightings[object_id] = replace(sighting, label=labels[object_id])
        return (*self._prompted.values(), *self._seen.values())

    def _is_new(self, masklet: Masklet, stamp: int) -> bool:
        known = self._prompted.get(masklet.object_id), self._seen.get(masklet.object_id)
        return all(sighting is None or sighting.stamp != stamp for sighting in known)

    def _sighting(self, masklet: Masklet, stamp: int, image: np.ndarray, prompted: bool) -> Sighting:
        return Sighting(masklet.object_id, masklet.label, stamp, image, masklet.mask, prompted)

    def _small(self, image: np.ndarray) -> np.ndarray:
        height, width = self._config.shape(*image.shape[:2])
        if image.shape[0] <= height and image.shape[1] <= width:
            return image.copy()  # without the message that it is part of
        return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
