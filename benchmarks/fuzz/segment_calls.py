"""Calls of ~/segment with images and prompts that cannot be."""

from __future__ import annotations

import numpy as np

from fuzz.attack import Attack
from fuzz.prompts import invalid, valid
from fuzz.requested_image import KINDS, put_image
from fuzz.rig import Rig
from sam2_ros import srv


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
        put_image(request, kind, random, self.rig.index)
        for _ in range(int(random.choice([0, 1, 1, 2, 300], p=[0.1, 0.4, 0.3, 0.18, 0.02]))):
            request.prompts.append(valid(random, "") if random.random() < 0.3 else invalid(random)[0])
        self.rig.call(self._client, request)
        return f"~/segment of a {KINDS[kind]} image with {len(request.prompts)} prompts"
