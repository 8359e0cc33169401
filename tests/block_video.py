"""A video of two moving blocks of colour, with their true positions."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sam2_ros.data.video_writer import VideoWriter

HEIGHT, WIDTH, FRAMES = 90, 160, 6
COLOURS = ((240, 200, 40), (40, 90, 240))  # RGB, of blocks 0 and 1


def block(number: int, index: int) -> tuple[slice, slice]:
    """Rows and columns of block `number` on image `index`."""
    x = (20 + 5 * index, 100 + 3 * index)[number]
    return slice(30, 60), slice(x, x + 30)


def block_image(index: int) -> np.ndarray:
    """uint8 [90, 160, 3] RGB."""
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    for number, colour in enumerate(COLOURS):
        image[block(number, index)] = colour
    return image


def write_block_video(path: Path) -> Path:
    with VideoWriter(path, 12) as writer:
        for index in range(FRAMES):
            writer.write(block_image(index))
    return path
