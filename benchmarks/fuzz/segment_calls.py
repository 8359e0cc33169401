"""Calls of ~/segment with images and prompts that cannot be."""

from __future__ import annotations

import numpy as np

from fuzz import images, scene
from fuzz.attack import Attack, text
from fuzz.prompts import invalid, valid, when
from fuzz.rig import Rig
from sam2_ros import srv
from sam2_ros.ros.images import to_message


class SegmentCalls(Attack):
    """One image each, which is readable, strange or damaged, with prompts of all kinds."""

    name = "~/segment"
    while_inactive = True
    share = 0.5

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig)
        self._client = rig.client(srv.SegmentImage, "segment")

    @property
    def is_possible(self) -> bool:
        return self._client.service_is_ready()

    def send(self, random: np.random.Generator) -> str:
        request, kind = srv.SegmentImage.Request(), random.integers(4)
        header = scene.header(self.rig.index)
        header.stamp, header.frame_id = when(random, self.rig.index), text(random)
        if kind == 0:
            request.image.header = header  # one that was processed
        elif kind == 1:
            request.image = images.strange(random, header)
        else:
            request.image = to_message(scene.picture(0), "rgb8", header)
            if kind == 2:
                request.image.data = request.image.data[: int(random.integers(len(request.image.data)))]
        for _ in range(int(random.choice([0, 1, 1, 2, 300], p=[0.1, 0.4, 0.3, 0.18, 0.02]))):
            request.prompts.append(valid(random, "") if random.random() < 0.3 else invalid(random)[0])
        self.rig.call(self._client, request)
        name = ("processed", "strange", "damaged", "good")[kind]
        return f"~/segment of a {name} image with {len(request.prompts)} prompts"
