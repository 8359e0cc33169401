"""What all recordings share."""

import threading

import numpy as np
import pytest

from sam2_ros.data.timed_prompt import Moment
from sam2_ros.recordings.recording import (
    DamagedImage,
    RecordedImage,
    Recording,
    content_hash,
    regular_stamps,
    runs,
)


class Numbers(Recording):
    """Images that show their index; every fifth is damaged."""

    def __init__(self, folder, stamps):
        super().__init__(folder, stamps, 10.0)

    def _read(self, indices):
        for index in indices:
            yield None
            if index % 5 == 4:
                yield DamagedImage(index, "the fifth")
            else:
                yield RecordedImage(index, self.stamps[index], np.full((2, 2, 3), index, np.uint8))

    def _content(self):
        return "content"


@pytest.fixture
def numbers(tmp_path):
    return Numbers(tmp_path, [10**9 + index * 10**8 for index in range(12)])


def test_damaged_images_are_named_when_the_reader_comes_to_them(numbers):
    images = numbers.images()
    assert [next(images).index for _ in range(4)] == [0, 1, 2, 3] and not numbers.damaged
    assert [image.index for image in images] == [5, 6, 7, 8, 10, 11]
    assert numbers.damaged == {4: "the fifth", 9: "the fifth"}


def test_the_thread_ends_when_reading_stops(numbers):
    before = set(threading.enumerate())
    for image in numbers.images():
        (thread,) = set(threading.enumerate()) - before
        if image.index == 3:
            break
    del image
    assert not thread.is_alive()


def test_moments_of_a_recording(numbers):
    """The nearest image; times are typed with few digits."""
    at = [Moment(seconds, "s").index(numbers.stamps) for seconds in (0, 0.04, 0.06, 0.1, 1.09, 1.1, 1.19)]
    assert at == [0, 0, 1, 1, 11, 11, 11]
    for seconds in (-0.1, 1.3):
        with pytest.raises(ValueError, match=r"the recording is 1\.2 s long"):
            Moment(seconds, "s").index(numbers.stamps)


def test_single_images(numbers):
    assert [image.index for image in numbers.picked([1, 4, 6, 11, 12])] == [1, 6, 11] and list(numbers.damaged) == [4]
    assert [image.index for image in numbers.stretch(5, 8).picked(range(0, 12, 3))] == [6]
    assert not list(numbers.picked([]))


def test_empty_ranges(numbers):
    assert not list(numbers.images(12)) and not list(numbers.images(3, 3)) and not list(numbers.images_backwards(2, 3))
    assert [image.index for image in numbers.images_backwards(99, 10)] == [11, 10]


def test_runs():
    assert list(runs(range(7), 3)) == [range(3), range(3, 6), range(6, 7)]
    assert list(runs(range(6, 1, -1), 2)) == [range(6, 4, -1), range(4, 2, -1), range(2, 1, -1)]


def test_content_hash(tmp_path):
    """A byte in any of the samples counts; names and times don't."""
    data = np.random.default_rng(0).integers(0, 255, 3_000_000, np.uint8)
    hashes = []
    for number, place in enumerate((None, 0, 1_600_000, 2_999_999)):
        changed = data.copy()
        if place is not None:
            changed[place] ^= 1
        changed.tofile(tmp_path / f"{number}.bin")
        hashes.append(content_hash("video", [1, 2], [tmp_path / f"{number}.bin"]))
    data.tofile(tmp_path / "copy")
    assert (
        content_hash("video", [1, 2], [tmp_path / "copy"])
        == hashes[0]
        != content_hash("video", [1, 3], [tmp_path / "copy"])
    )
    assert hashes[0] != hashes[1] and hashes[0] != hashes[3]


def test_stamps_are_times_of_ros():
    assert regular_stamps(3, 1e-8) == [10**9, 10**9 + 10**17, 10**9 + 2 * 10**17]
    for fps in (9e-10, 1e-300, 5e-324):
        with pytest.raises(ValueError, match=r"3 images at .* a second last too long; a larger --fps is needed"):
            regular_stamps(3, fps)
