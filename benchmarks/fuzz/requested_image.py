"""The image of a request: processed before, strange, damaged or good."""

from __future__ import annotations

import numpy as np

from fuzz import images, scene
from fuzz.attack import text
from fuzz.prompts import when
from sam2_ros import srv
from sam2_ros.ros.images import to_message

KINDS = ("processed", "strange", "damaged", "good")


def put_image(
    request: srv.SegmentImage.Request | srv.SegmentEverything.Request,
    kind: int,
    random: np.random.Generator,
    index: int,
) -> None:
    """Give a request an image of one of `KINDS`.

    Args:
        index: of the scene's image at this moment.
    """
    header = scene.header(index)
    header.stamp, header.frame_id = when(random, index), text(random)
    if KINDS[kind] == "processed":
        request.image.header = header
    elif KINDS[kind] == "strange":
        request.image = images.strange(random, header)
    else:
        request.image = to_message(scene.picture(0), "rgb8", header)
        if KINDS[kind] == "damaged":
            request.image.data = request.image.data[: int(random.integers(len(request.image.data)))]
