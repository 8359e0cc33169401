"""Calls of ~/save with folders that are none of the caller's business."""

from __future__ import annotations

import numpy as np

from fuzz.attack import Attack, text
from fuzz.rig import Rig
from sam2_ros import srv


class SaveCalls(Attack):
    """Folders outside the node's own, and names that no file system takes."""

    name = "~/save"
    while_inactive = True
    share = 0.3

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig)
        self._client = rig.client(srv.SaveObjects, "save")

    @property
    def is_possible(self) -> bool:
        return self._client.service_is_ready()

    def send(self, random: np.random.Generator) -> str:
        folders = ["..", "../../fuzz", "/etc/fuzz", "/dev/null", "a/../../b", "~/fuzz", "x" * 300, "a/" * 3000]
        folder = folders[random.integers(len(folders))] if random.random() < 0.7 else text(random)
        self.rig.call(self._client, srv.SaveObjects.Request(folder=folder))
        return f"~/save in {folder[:30]!r}"
