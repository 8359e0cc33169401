"""Photographs for tests of scenes made of them."""

import cv2
import numpy as np

from sam2_ros.scenes.photographs import Photograph


def photograph(number: int) -> Photograph:
    """Dark grey, with a reddish disk, and a greenish box that the edge cuts off."""
    image = np.full((120, 160, 3), 40 + number, np.uint8)
    label = np.zeros((120, 160), np.uint8)
    cv2.circle(label, (60, 50), 25, 1, -1)
    cv2.rectangle(label, (110, 70), (160, 120), 2, -1)
    image[label == 1] = (200, 60, 60)
    image[label == 2] = (60, 200, 60)
    return Photograph(f"photograph-{number}", image, label)
