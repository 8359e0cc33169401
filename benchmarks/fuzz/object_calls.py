"""Calls about objects: ~/remove and ~/list."""

from __future__ import annotations

import numpy as np

from fuzz import scene
from fuzz.attack import Attack
from fuzz.rig import Rig
from sam2_ros import srv


class RemoveCalls(Attack):
    """Removal of objects that are not there, or not good."""

    name = "~/remove"
    while_inactive = True

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig)
        self._client = rig.client(srv.RemoveObject, "remove")

    def send(self, random: np.random.Generator) -> str:
        absent = [0, 65_535, 65_536, 2**31, 2**32 - 1, max(scene.GOOD_IDS) + 1]
        number = int(random.integers(1, 100)) if random.random() < 0.5 else absent[random.integers(len(absent))]
        self.rig.call(self._client, srv.RemoveObject.Request(object_id=number))
        return f"~/remove {number}"


class ListCalls(Attack):
    """Many calls of ~/list."""

    name = "~/list"
    while_inactive = True
    share = 0.3

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig)
        self._client = rig.client(srv.ListObjects, "list")

    def send(self, random: np.random.Generator) -> str:
        for _ in range(number := int(random.integers(1, 6))):
            self.rig.call(self._client, srv.ListObjects.Request())
        return f"~/list, {number} times"
