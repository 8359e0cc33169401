from __future__ import annotations

import io

import numpy as np
from PIL import Image

from sam2_ros.data.jpeg import encode_jpeg


def test_colours_and_quality() -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, :30] = 230, 120, 20
    good, poor = encode_jpeg(image, 95), encode_jpeg(image, 5)
    shown = np.asarray(Image.open(io.BytesIO(good)))
    assert shown.shape == image.shape and np.abs(shown[20, 10].astype(int) - image[20, 10]).max() < 6
    assert len(poor) < len(good)
