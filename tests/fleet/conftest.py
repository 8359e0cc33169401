"""Small bags for tests of fleets."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

from sam2_ros.data import bag
from sam2_ros.data.clip import Clip


def square(number: int, frames: int) -> Clip:
    """A red square that moves over a smooth picture, another one for each number."""
    rng = np.random.default_rng(number)
    picture = cv2.resize(rng.integers(40, 140, (4, 5, 3), np.uint8), (64, 48), interpolation=cv2.INTER_CUBIC)
    images, masks = [], []
    for index in range(frames):
        mask = np.zeros((1, 48, 64), bool)
        left = 4 + (index + number) % 32
        mask[0, 8 + number : 26 + number, left : left + 20] = True
        image = picture.copy()
        image[mask[0]] = (230, 40, 30)
        images.append(image)
        masks.append(mask)
    return Clip(f"run{number}", images, (1,), masks, 10.0)


@pytest.fixture(scope="session")
def write_square() -> Callable[[Path, int, int], Path]:
    """Writes a bag `run<number>` with images and the truth into a folder: (folder, number, frames) -> its path."""

    def write(folder: Path, number: int, frames: int) -> Path:
        bag.write(square(number, frames), folder / f"run{number}", masklets="/truth")
        return folder / f"run{number}"

    return write


@pytest.fixture(scope="session")
def masks_in() -> Callable[[Path], list[list[tuple]]]:
    """Everything that the store in a folder says about objects and their masks, bit by bit."""

    def read(folder: Path) -> list[list[tuple]]:
        tables = ("objects ORDER BY object_id", "rejected ORDER BY object_id", "frames ORDER BY frame")
        with closing(sqlite3.connect(folder / "masklets.db")) as database:
            return [
                database.execute(f"SELECT * FROM {table}").fetchall()
                for table in (*tables, "masks ORDER BY frame, object_id")
            ]

    return read
