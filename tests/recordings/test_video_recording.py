"""Videos as recordings."""

import numpy as np
import pytest
from video_files import HEIGHT, WIDTH, decoded_in_order, number_of, remux, write_video

from sam2_ros.data import video
from sam2_ros.data.clips import ClipError
from sam2_ros.recordings import video_recording
from sam2_ros.recordings.video_recording import VideoRecording


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of seven frames; key frames come every twelve."""
    monkeypatch.setattr(video_recording, "BLOCK", 7 * HEIGHT * WIDTH * 3 + 5)


def test_frames_in_both_directions(tmp_path, small_blocks):
    recording = VideoRecording(write_video(tmp_path / "walk.mp4"))
    images = list(recording.images())
    assert [(image.index, number_of(image.pixels)) for image in images] == [(number, number) for number in range(40)]
    assert recording.name == "walk" and recording.fps == 30 and not recording.damaged and not recording.notices
    assert list(recording.stamps) == [image.stamp for image in images]
    assert recording.stamps[0] == 10**9 and recording.stamps[39] == 2_300_000_000
    backwards = list(recording.images_backwards(39))
    assert [image.index for image in backwards] == list(range(39, -1, -1))
    for image, other in zip(backwards, images[::-1], strict=True):
        np.testing.assert_array_equal(image.pixels, other.pixels)
    assert [number_of(image.pixels) for image in recording.images(17, 20)] == [17, 18, 19]
    assert [number_of(image.pixels) for image in recording.images_backwards(20, 9)] == list(range(20, 8, -1))


def test_single_frames_are_decoded_in_one_pass(tmp_path, monkeypatch):
    recording = VideoRecording(write_video(tmp_path / "walk.mp4"))
    expected = list(recording.images())
    begun = []
    begin = video._Cursor._begin
    monkeypatch.setattr(video._Cursor, "_begin", lambda self, *where: (begun.append(where), begin(self, *where)))
    chosen = [1, 4, 9, 11, 30, 39]
    for image, frame in zip(recording.picked(chosen), chosen, strict=True):
        np.testing.assert_array_equal(image.pixels, expected[frame].pixels)
    assert len(begun) == 2, "at the start, and at the key frame before 30"


def test_iterators_are_independent(tmp_path, small_blocks):
    recording = VideoRecording(write_video(tmp_path / "walk.mp4"))
    for first, second in zip(recording.images(), recording.images_backwards(39), strict=True):
        assert (number_of(first.pixels), number_of(second.pixels)) == (first.index, 39 - first.index)


def test_damaged_frames_are_left_out_and_named(tmp_path, small_blocks):
    """Those that still come have the same pixels in both directions: those of decoding from the start."""
    file = write_video(tmp_path / "film.mp4", b_frames=0)
    packets = []
    remux(file, tmp_path / "copy.mp4", lambda _, packet: packets.append((packet.pos, packet.size)))
    data = bytearray(file.read_bytes())
    start, end = packets[15][0], sum(packets[17])
    data[start:end] = bytes(end - start)
    file.write_bytes(data)
    recording, again = VideoRecording(file), VideoRecording(file)
    images, backwards = list(recording.images()), list(again.images_backwards(39))
    assert len(recording) == 40 and recording.damaged == again.damaged and len(images) + len(recording.damaged) == 40
    assert {15, 16, 17} <= recording.damaged.keys() < set(range(15, 24))
    assert all("cannot be decoded" in reason for reason in recording.damaged.values())
    assert [image.index for image in backwards] == [image.index for image in images[::-1]]
    truth = decoded_in_order(file)[-16:]
    for image, other in zip(images, backwards[::-1], strict=True):
        np.testing.assert_array_equal(image.pixels, other.pixels)
        if image.index >= 24:
            np.testing.assert_array_equal(image.pixels, truth[image.index - 40])


def test_frame_rate(tmp_path):
    """The mean rate of a file with uneven times, and the one that is given."""
    file = write_video(tmp_path / "walk.mp4", times=range(0, 400, 40))
    assert VideoRecording(file).fps == pytest.approx(15)
    recording = VideoRecording(file, fps=10)
    assert recording.fps == 10 and list(recording.stamps[:2]) == [10**9, 1_100_000_000]
    assert recording.fingerprint() != VideoRecording(file).fingerprint() == VideoRecording(file).fingerprint()


def test_what_is_no_video(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing to see")
    with pytest.raises(ClipError, match=r"notes\.txt: cannot be opened as a video"):
        VideoRecording(tmp_path / "notes.txt")
