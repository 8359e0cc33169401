"""Pictures of a recording, decoded in order and out of it."""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2_ros.data.clips import ClipError
from sam2_ros.desk.recorded import pictures as module
from sam2_ros.desk.recorded.pictures import AHEAD, BACK, PLACES, PictureError, Pictures
from sam2_ros.recordings.recording import DamagedImage, RecordedImage, Recording, regular_stamps

COUNT = 400
DAMAGED = (50, 51, 399)


class Numbered(Recording):
    """Images whose brightness is their number, modulo 250. Notes where it is read from, and how far."""

    def __init__(self) -> None:
        super().__init__(Path("numbered"), regular_stamps(COUNT, 24.0), 24.0)
        self.begun: list[int] = []
        self.decoded: list[int] = []
        self.ends_at: int | None = None

    def _read(self, indices: range) -> Generator[RecordedImage | DamagedImage | None, None, None]:
        self.begun.append(indices[0])
        for index in indices:
            if index == self.ends_at:
                raise ClipError(self.path, "is cut off here")
            self.decoded.append(index)
            if index in DAMAGED:
                yield DamagedImage(index, "it is cut")
            else:
                yield RecordedImage(index, self.stamps[index], np.full((48, 64, 3), index % 250, np.uint8))

    def _file(self, index: int) -> Path | None:
        return None

    def _content(self) -> str:
        return "numbered"


@pytest.fixture
def recording() -> Numbered:
    return Numbered()


@pytest.fixture
def pictures(recording: Numbered) -> Iterator[Pictures]:
    pictures = Pictures(recording)
    pictures.start()
    yield pictures
    pictures.stop()


def number(jpeg: bytes) -> int:
    return round(float(np.asarray(Image.open(io.BytesIO(jpeg))).mean()))


def shown(pictures: Pictures, frame: int) -> int:
    return number(pictures.jpeg(frame).result(30))


def test_any_frame_in_any_order(pictures: Pictures) -> None:
    for frame in (7, 3, 398, 0, 200, 199, 7, 120):
        assert abs(shown(pictures, frame) - frame % 250) <= 1
        assert pictures.size(frame) == (48, 64)
    assert pictures.size(300) is None


def test_played_in_order_it_is_read_once(pictures: Pictures, recording: Numbered) -> None:
    for frame in range(100, 250):
        shown(pictures, frame)
    assert recording.begun == [100] and len(recording.decoded) == len(set(recording.decoded))


def test_several_at_once(pictures: Pictures) -> None:
    """As browsers ask: some in flight, and jumps between them."""
    wanted = [*range(10, 40), 300, *range(40, 48), 301, 20, 20]
    futures = [pictures.jpeg(frame) for frame in wanted]
    for frame, future in zip(wanted, futures, strict=True):
        assert abs(number(future.result(30)) - frame % 250) <= 1


def test_played_backwards_it_is_read_in_stretches(pictures: Pictures, recording: Numbered) -> None:
    for frame in range(300, 180, -1):
        shown(pictures, frame)
    assert recording.begun[:4] == [300, 288, 264, 216]
    assert len(recording.begun) <= 2 + 120 / max(BACK) + len(BACK)


def test_several_players(pictures: Pictures, recording: Numbered) -> None:
    """Each has a place of its own."""
    for step in range(30):
        for start in (60, 160, 260)[:PLACES]:
            shown(pictures, start + step)
    assert sorted(recording.begun) == [60, 160, 260]


def test_reading_ahead_ends(pictures: Pictures, recording: Numbered) -> None:
    """Where nobody plays on, it is not read to the end."""
    shown(pictures, 100)
    shown(pictures, 300)  # after this one, what is ahead of it and of the first is read
    shown(pictures, 20)
    assert max(frame for frame in recording.decoded if frame < 300) <= 101 + AHEAD + 2 * module.NEAR


def test_damaged_frames_say_why(pictures: Pictures) -> None:
    for frame in DAMAGED:
        with pytest.raises(PictureError, match=r"^it is cut$"):
            pictures.jpeg(frame).result(30)
    assert abs(shown(pictures, 52) - 52) <= 1
    with pytest.raises(PictureError, match="there is no frame 400; there are 0 to 399"):
        pictures.jpeg(400).result(30)


def test_recording_that_ends_early(pictures: Pictures, recording: Numbered) -> None:
    """What is behind it cannot be shown; it is tried again when it is asked for again."""
    recording.ends_at = 35
    assert abs(shown(pictures, 29) - 29) <= 1
    with pytest.raises(ClipError, match="is cut off here"):
        pictures.jpeg(35).result(30)
    recording.ends_at = None
    assert abs(shown(pictures, 35) - 35) <= 1


def test_memory_is_bounded(pictures: Pictures, monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(pictures.jpeg(0).result(30))
    monkeypatch.setattr(module, "BYTES", 20 * size)
    for frame in range(52, 200):
        shown(pictures, frame)
    assert len(pictures._kept) <= 25 and sum(map(len, pictures._kept.values())) == pictures._bytes <= 20 * size


def test_stopping_ends_what_waits(recording: Numbered) -> None:
    pictures = Pictures(recording)
    waiting = pictures.jpeg(5)
    pictures.start()
    pictures.stop()
    assert waiting.cancelled() or waiting.done()
