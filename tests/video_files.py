"""Small video files of many kinds, whose frames show their number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

HEIGHT, WIDTH = 64, 96
TICKS = 600  # a second, of the times below
EVEN = range(0, 40 * 20, 20)  # 30 frames a second
UNEVEN = [*range(0, 200, 10), *range(200, 1000, 40)]  # 60, then 15 a second


def numbered(number: int) -> np.ndarray:
    """A picture that shows a number, 0 .. 255, in eight squares that survive any coding: uint8 [64, 96, 3]."""
    image = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    image[..., 1] = (np.arange(WIDTH) * 2 + number * 5) % 120
    for bit in range(8):
        row, column = divmod(bit, 4)
        image[8 + 28 * row : 28 + 28 * row, 4 + 24 * column : 20 + 24 * column] = 220 if number >> bit & 1 else 20
    return image


def number_of(image: np.ndarray) -> int:
    assert image.shape == (HEIGHT, WIDTH, 3) and image.dtype == np.uint8
    squares = [image[12 + 28 * (bit // 4) :, 8 + 24 * (bit % 4) :][:12, :12].mean() for bit in range(8)]
    return sum(1 << bit for bit, square in enumerate(squares) if square > 120)


def write_video(
    file: Path,
    times: Sequence[int] = EVEN,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    ticks: int = TICKS,
    rotation: int = 0,
    flags: int = 0,
    b_frames: int | None = None,
) -> Path:
    """A frame at each of these times, numbered from 0; a key frame at least every 12."""
    with av.open(str(file), "w", options=container or {}) as output:
        stream = output.add_stream(codec, rate=30, options=options or {})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixels
        stream.codec_context.time_base = Fraction(1, ticks)
        stream.codec_context.gop_size = 12
        stream.codec_context.flags |= flags
        if b_frames is not None:
            stream.codec_context.max_b_frames = b_frames
        if rotation:
            stream.set_display_rotation(rotation)
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(numbered(number), format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = time, Fraction(1, ticks)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return file


def remux(source: Path, target: Path, change: Callable[[int, Any], bool | None], **options: str) -> Path:
    """Copy packets that `change` may change; those for which it returns False are left out."""
    with av.open(str(source)) as before, av.open(str(target), "w", options=options) as after:
        stream = after.add_stream_from_template(before.streams.video[0])
        for number, packet in enumerate(before.demux(video=0)):
            if packet.size and change(number, packet) is not False:
                packet.stream = stream
                after.mux(packet)
    return target


def decoded_in_order(file: Path) -> list[np.ndarray]:
    """Frames that PyAV decodes from the start of a file, packet by packet: the truth of these tests."""
    with av.open(str(file)) as container:
        container.streams.video[0].thread_type = "NONE"
        frames = []
        for packet in container.demux(video=0):
            try:
                frames += [frame.to_ndarray(format="rgb24") for frame in packet.decode()]
            except av.error.InvalidDataError:
                continue
        return frames
