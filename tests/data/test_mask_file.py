"""Masks in image files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from sam2_ros.data.mask_file import read_mask


def save(pixels: np.ndarray, path: Path, **options) -> Path:
    Picture.fromarray(pixels).save(path, **options)
    return path


def test_mask_file_is_thresholded(tmp_path: Path) -> None:
    truth = np.zeros((40, 60), bool)
    truth[10:30, 15:45] = True
    labels = truth.astype(np.uint8) * 3
    labels[10:20, 15:45] = 1
    palette = Picture.fromarray(labels, "P")
    palette.putpalette([0, 0, 0, 90, 0, 0, 0, 90, 0, 0, 0, 90])
    palette.save(tmp_path / "palette.png")
    colour = np.where(truth[..., None], np.array([0, 90, 0], np.uint8), np.uint8(0))
    files = [
        save(truth.astype(np.uint8), tmp_path / "one.png"),
        save(truth, tmp_path / "bits.png"),
        save(labels, tmp_path / "labels.png"),
        save(labels.astype(np.uint16) * 300, tmp_path / "labels16.png"),
        save(colour, tmp_path / "colour.png"),
        tmp_path / "palette.png",
        save(truth.astype(np.uint8) * 255, tmp_path / "mask.jpg", quality=60),
    ]
    for file in files:
        np.testing.assert_array_equal(read_mask(file), truth, str(file))
    soft = np.asarray(Picture.fromarray(truth.astype(np.uint8) * 255).resize((120, 80), Picture.Resampling.BILINEAR))
    enlarged = read_mask(save(soft, tmp_path / "soft.png"))
    np.testing.assert_array_equal(enlarged, truth.repeat(2, 0).repeat(2, 1))
    with pytest.raises(ValueError, match="all black"):
        read_mask(save(np.zeros((4, 4), np.uint8), tmp_path / "black.png"))
