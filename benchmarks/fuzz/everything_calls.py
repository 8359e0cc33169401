"""Calls of ~/segment_everything with images and settings that cannot be."""

from __future__ import annotations

import re

import numpy as np

from fuzz.answers import UNTAGGED
from fuzz.attack import Attack, number
from fuzz.requested_image import KINDS, put_image
from fuzz.rig import Rig
from sam2_ros import srv


class EverythingCalls(Attack):
    """One image each, which is readable, strange or damaged, with settings of all kinds; some start objects."""

    name = "~/segment_everything"
    while_inactive = True
    share = 0.3

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig)
        self._client = rig.client(srv.SegmentEverything, "segment_everything")

    @property
    def is_possible(self) -> bool:
        return self._client.service_is_ready()

    def send(self, random: np.random.Generator) -> str:
        request, kind = srv.SegmentEverything.Request(), random.choice([0, 0, 0, 1, 2, 3])
        put_image(request, kind, random, self.rig.index)
        request.track = bool(random.random() < (0.7 if kind == 0 else 0.1))
        # With track, images wait for it, which is no hang of the node.
        most = 6 if request.track else 20
        request.points_per_side = int(
            random.choice([random.integers(1, most), 65, 2**31, 2**32 - 1], p=[0.85] + [0.05] * 3)
        )
        for name in ("pred_iou_thresh", "stability_score_thresh"):
            if random.random() < 0.4:
                setattr(request, name, float(random.random()) if random.random() < 0.7 else number(random))
        if random.random() < 0.3:
            request.min_mask_region_area = int(random.choice([1, 50, 10_000, 2**31, 2**32 - 1]))
        self.rig.call(self._client, request, self._expect_results)
        return f"~/segment_everything of a {KINDS[kind]} image{', tracked' * request.track}"

    def _expect_results(self, response: srv.SegmentEverything.Response) -> None:
        """Each prompt that the answer tells of has a result of its own, too, which cannot carry a tag."""
        prompts = re.findall(r"(\d+) (?:objects? started|refused)", response.message) if response.success else []
        self.rig.answers.expect(UNTAGGED, sum(map(int, prompts)))
