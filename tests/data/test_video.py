"""Frames of video files: frame i is the i-th of sequential decoding, for any file and order of access."""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import random
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from small_clips import make_clip
from video_files import EVEN, TICKS, UNEVEN, decoded_in_order, number_of, numbered, remux, write_video

from sam2_ros.data import sav
from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError
from sam2_ros.data.video import VideoFrames
from sam2_ros.data.video_decoder import Decoder
from sam2_ros.data.video_reader import VideoReader
from sam2_ros.scenes import pictures

OPEN_GOP = "open-gop=1:bframes=3:keyint=12:min-keyint=12:scenecut=0:log-level=none"
INTERLACED = 0x20000 | 0x20000000  # flags of the encoder
LIVE = {"deadline": "realtime"}  # as a browser records


def earlier(packet, frames: int) -> None:
    ticks = round(frames / 30 / packet.time_base)
    packet.pts, packet.dts = packet.pts - ticks, packet.dts - ticks


def trimmed(file: Path, frames: int) -> Path:
    """With an edit list: files of phones and ffmpeg have frames that are not shown."""
    whole = write_video(file.with_stem("whole"), b_frames=3)
    return remux(whole, file, lambda _, packet: earlier(packet, frames), avoid_negative_ts="disabled")


def begun_late(file: Path, packets: int, **how) -> Path:
    """As a recording that begins in the middle of a stream."""
    whole = write_video(file.with_stem("whole"), **how)
    return remux(whole, file, lambda number, _: number >= packets)


def without_times(file: Path) -> Path:
    """With decoding times in place of presentation times, as some programs write."""

    def change(_, packet) -> None:
        packet.pts = packet.dts

    return remux(write_video(file.with_stem("whole"), b_frames=3), file, change)


KINDS = {
    "one_frame.mp4": lambda file: write_video(file, [0]),
    "without_b_frames.mp4": lambda file: write_video(file, b_frames=0),
    "b_frames.mp4": lambda file: write_video(file, b_frames=3),
    "variable_rate.mp4": lambda file: write_video(file, UNEVEN, b_frames=3),
    "variable_rate.mov": lambda file: write_video(file, UNEVEN),
    "variable_rate.mkv": lambda file: write_video(file, UNEVEN),
    "variable_rate.webm": lambda file: write_video(file, UNEVEN, "libvpx-vp9"),
    "begins_late.mp4": lambda file: write_video(file, [600 + time for time in EVEN]),
    "trimmed.mp4": lambda file: trimmed(file, 5),
    "trimmed_by_more_than_a_key_frame.mov": lambda file: trimmed(file, 17),
    "fragmented.mp4": lambda file: write_video(file, container={"movflags": "frag_keyframe+empty_moov"}),
    "fragment_each.mp4": lambda file: write_video(file, container={"movflags": "frag_every_frame+empty_moov"}),
    "same_times.mkv": lambda file: write_video(file, range(40), ticks=3000, b_frames=0),
    "wrong_times.mp4": without_times,
    "open_gop.mp4": lambda file: write_video(file, options={"x264-params": OPEN_GOP}),
    "open_gop.ts": lambda file: write_video(file, options={"x264-params": OPEN_GOP}),
    "open_gop_hevc.mp4": lambda file: write_video(file, codec="libx265", options={"x265-params": OPEN_GOP}),
    "intra_refresh.mp4": lambda file: write_video(file, options={"x264-params": "intra-refresh=1:keyint=12:bframes=0"}),
    "interlaced.mp4": lambda file: write_video(
        file, options={"x264-params": "interlaced=1:bframes=2"}, flags=INTERLACED
    ),
    "interlaced.ts": lambda file: write_video(
        file, options={"x264-params": "interlaced=1:bframes=2"}, flags=INTERLACED
    ),
    "stream.ts": lambda file: write_video(file, b_frames=3),
    "from_the_middle.ts": lambda file: begun_late(file, 7),
    "open_gop_from_the_middle.ts": lambda file: begun_late(file, 7, options={"x264-params": OPEN_GOP}),
    "mpeg2.mpg": lambda file: write_video(file, range(40), "mpeg2video", ticks=30, b_frames=2),
    "elementary.h264": lambda file: write_video(file, b_frames=3),
    "vp8.webm": lambda file: write_video(
        file, codec="libvpx", options={"auto-alt-ref": "1", "lag-in-frames": "16", "b": "200k"}
    ),
    "without_duration.webm": lambda file: write_video(file, codec="libvpx", options=LIVE, container={"live": "1"}),
    "without_duration_vp9.webm": lambda file: write_video(file, codec="libvpx-vp9", container={"live": "1"}),
    "mjpeg.avi": lambda file: write_video(file, range(40), "mjpeg", "yuvj420p", ticks=30),
    "mpeg4.avi": lambda file: write_video(file, range(40), "mpeg4", ticks=30, b_frames=2),
    "h264.avi": lambda file: write_video(file, range(40), ticks=30, b_frames=3),
    "animation.gif": lambda file: write_video(file, range(40), "gif", "rgb8", ticks=30),
    "flash.flv": lambda file: write_video(file, range(0, 1320, 33), ticks=1000),
}


@pytest.mark.parametrize("name", KINDS)
def test_random_access_equals_sequential_decoding(name: str, tmp_path: Path) -> None:
    """In every container and order of access, and their number is the length."""
    file = KINDS[name](tmp_path / name)
    truth = decoded_in_order(file)
    frames = VideoFrames(file)
    assert len(frames) == len(truth) > 0
    last = len(truth) - 1
    jumps = random.Random(1).sample(range(len(truth)), len(truth))
    for index in (last, 0, last, last // 2, last // 2, *reversed(range(len(truth))), *jumps, *range(len(truth))):
        np.testing.assert_array_equal(frames[index], truth[index], f"frame {index}")
    assert all(np.array_equal(one, other) for one, other in zip(frames, truth, strict=True))
    with VideoReader(file) as reader:
        assert reader.count == len(truth)
        assert all(np.array_equal(one, other) for one, other in zip(reader, truth, strict=True))
        reader.rewind()
        np.testing.assert_array_equal(reader.read(), truth[0])
    if not any(word in name for word in ("trimmed", "middle", "wrong_times")):
        assert [number_of(image) for image in truth] == list(range(len(truth))), "the test itself"


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "video.mp4", UNEVEN, b_frames=3)


def test_variable_frame_rate_keeps_images_and_masks_aligned(video: Path, tmp_path: Path) -> None:
    """In SA-V's layout, read out of order: an image shows the number of its masks."""
    count = len(UNEVEN)
    still = make_clip(frames=count, every=4)
    masks = []
    for index in range(count):
        mask = np.zeros((1, 64, 96), bool)
        mask[0, :, index] = True
        masks.append(mask if index % 4 == 0 else None)
    sav.write([Clip("video", [numbered(index) for index in range(count)], (1,), masks, still.fps)], tmp_path / "set")
    (tmp_path / "set/video.mp4").write_bytes(video.read_bytes())
    (clip,) = sav.clips(tmp_path / "set")
    assert len(clip) == count
    for index in (36, 4, 20, 16, 0, 32, 12, 8, 28, 24):
        assert number_of(clip.frames[index]) == index == np.flatnonzero(clip.masks[index][0, 0])


def test_iterators_are_independent(video: Path) -> None:
    frames = VideoFrames(video)
    seen = []
    for index, (one, other) in enumerate(zip(frames, frames, strict=True)):
        seen.append((number_of(one), number_of(other), number_of(frames[-1 - index])))
    assert seen == [(index, index, 39 - index) for index in range(40)]
    assert [number_of(image) for image in frames[30:4:-7]] == [30, 23, 16, 9]
    assert [number_of(image) for image in frames[10:][::10]] == [10, 20, 30]
    image = frames[5]
    image[:] = 0  # the caller draws on it
    assert number_of(frames[5]) == 5
    for beyond in (40, -41):
        with pytest.raises(IndexError):
            frames[beyond]


def test_frames_in_threads_and_processes(video: Path) -> None:
    frames = VideoFrames(video)
    wrong: list[int] = []

    def read(seed: int) -> None:
        for index in random.Random(seed).sample(range(40), 40):
            if number_of(frames[index]) != index:
                wrong.append(index)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    again = pickle.loads(pickle.dumps(frames))
    assert (len(again), again.fps, again.size) == (40, frames.fps, (64, 96))
    assert number_of(again[33]) == 33


def test_forked_process_can_read_and_exit(video: Path) -> None:
    """As workers of data loaders do. A decoder's threads are not forked with it."""
    script = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from sam2_ros.data.video import VideoFrames
from video_files import number_of
frames = VideoFrames({str(video)!r})
running = iter(frames)
assert number_of(next(running)) == 0 and number_of(frames[30]) == 30
child = os.fork()
assert [number_of(frames[index]) for index in (31, 2, 39)] == [31, 2, 39]
assert number_of(next(running)) == 1
if not child:
    del frames, running
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_files_are_closed(video: Path) -> None:
    """Without the garbage collector."""

    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    gc.collect()
    before = count()
    gc.disable()
    try:
        for _ in range(5):
            frames = VideoFrames(video)
            assert number_of(frames[20]) == 20
            next(iter(frames))
            reader = VideoReader(video)
            reader.read()
        del frames, reader
        assert count() == before
        videos = [VideoFrames(video) for _ in range(5)]
        assert count() == before, "a list of clips takes no file each"
        assert [number_of(image) for frames in videos for image in frames] == list(range(40)) * 5
        assert [number_of(frames[index]) for frames in videos for index in range(40)] == list(range(40)) * 5
        assert count() == before, "nor does one that was read to its end"
    finally:
        gc.enable()


def test_seek_decodes_from_the_previous_key_frame(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = VideoFrames(video)
    handed_in: list[int] = []
    decode = Decoder.decode

    def counted(self, number, packet):
        handed_in.append(number)
        return decode(self, number, packet)

    monkeypatch.setattr(Decoder, "decode", counted)
    for index in range(40):
        frames[index]
    assert handed_in == list(range(40)), "in order, each packet is decoded once"
    reserve = 8 + 2 * (os.cpu_count() or 1)  # packets that a decoder takes before it gives the first frame
    for index in (30, 5, 38, 17, 30):
        handed_in.clear()
        frames[index]
        assert len(handed_in) <= index % 12 + 1 + reserve
    handed_in.clear()
    frames[30]
    assert not handed_in, "the same again"


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_rotation_of_phone_videos(rotation: int, tmp_path: Path) -> None:
    file = write_video(tmp_path / "phone.mp4", rotation=rotation)
    frames = VideoFrames(file)
    assert frames.size == frames[3].shape[:2] == ((64, 96) if rotation == 180 else (96, 64))
    assert number_of(np.rot90(frames[3], -rotation // 90)) == 3
    with VideoReader(file) as reader:
        np.testing.assert_array_equal(reader.read(), frames[0])


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_the_rate_is_the_average(suffix: str, tmp_path: Path) -> None:
    even = write_video(tmp_path / f"even.{suffix}")
    assert VideoFrames(even).fps == pytest.approx(30) and VideoReader(even).fps == pytest.approx(30)
    uneven = write_video(tmp_path / f"uneven.{suffix}", UNEVEN)
    average = 39 / UNEVEN[-1] * TICKS
    assert VideoFrames(uneven).fps == pytest.approx(average, rel=0.01)
    assert VideoReader(uneven).fps == pytest.approx(average, rel=0.08)  # MP4's own mean does without the last frame


CUT = {
    "first.mp4": lambda file: write_video(file, container={"movflags": "faststart"}),
    "fragmented.mp4": KINDS["fragmented.mp4"],
    "stream.ts": KINDS["stream.ts"],
    "film.mkv": lambda file: write_video(file, b_frames=3),
    "film.webm": KINDS["without_duration.webm"],
    "flash.flv": KINDS["flash.flv"],
}


@pytest.mark.parametrize("name", CUT)
@pytest.mark.parametrize("part", [0.55, 0.7, 0.92])
def test_truncated_file_has_its_decodable_frames(name: str, part: float, tmp_path: Path) -> None:
    file = CUT[name](tmp_path / name)
    data = file.read_bytes()
    file.write_bytes(data[: int(part * len(data))])
    truth = decoded_in_order(file)
    frames = VideoFrames(file)
    assert 10 < len(frames) == len(truth) < 40
    for index in (len(truth) - 1, 0, 9, len(truth) - 2, *range(len(truth))):
        np.testing.assert_array_equal(frames[index], truth[index], f"frame {index}")
    with VideoReader(file) as reader:
        assert all(np.array_equal(one, other) for one, other in zip(reader, truth, strict=True))


def test_damaged_frame_is_named_and_others_keep_their_indices(tmp_path: Path) -> None:
    file = write_video(tmp_path / "film.mp4", b_frames=0)
    packets: list[tuple[int, int]] = []
    remux(file, tmp_path / "copy.mp4", lambda _, packet: packets.append((packet.pos, packet.size)))
    data = bytearray(file.read_bytes())
    start = packets[15][0]
    end = sum(packets[17])
    data[start:end] = bytes(end - start)
    file.write_bytes(data)
    frames = VideoFrames(file)
    assert len(frames) == 40
    for order in (range(40), reversed(range(40))):
        lost = []
        for index in order:
            try:
                image = frames[index]
            except ClipError as error:
                lost.append(index)
                assert error.file == file and error.frame == index and "cannot be decoded" in str(error)
            else:
                assert number_of(image) == index or 15 <= index < 24, "up to the next key frame, they refer to it"
        assert {15, 16, 17} <= set(lost) < set(range(15, 24))
    with pytest.raises(ClipError, match="frame 15"):
        list(frames)
    with VideoReader(file) as reader:  # a player goes on
        assert len(list(reader)) == 40 - len(lost)


def test_names_that_look_like_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recordings are named after the time of day, and a list of addresses is no video."""
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "10.mp4").rename(tmp_path / "10:00:00 %d.mp4")
    frames = VideoFrames("10:00:00 %d.mp4")
    monkeypatch.chdir("/")
    assert number_of(frames[20]) == 20
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.mp4").write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/film.ts\n")
    with pytest.raises(ClipError, match="cannot be opened"):
        VideoFrames("list.mp4")


@pytest.mark.parametrize("told", [None, 7], ids=["none", "one_for_all"])
def test_decoders_without_packet_numbers(told: int | None, video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or make two frames of a packet. Then frames are counted from the start."""
    decoded = Decoder._decoded
    monkeypatch.setattr(Decoder, "_decoded", lambda *packet: [(told, frame) for _, frame in decoded(*packet)])
    frames = VideoFrames(video)
    assert len(frames) == 40
    assert [number_of(frames[index]) for index in (39, 3, 3, 20, 12)] == [39, 3, 3, 20, 12]


def test_concatenated_streams(tmp_path: Path) -> None:
    """Their times restart."""
    first = write_video(tmp_path / "first.ts", b_frames=3)
    second = write_video(tmp_path / "second.ts", UNEVEN)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    truth, frames = decoded_in_order(joined), VideoFrames(joined)
    assert len(frames) == len(truth) == 80
    for index in random.Random(0).sample(range(80), 80):
        np.testing.assert_array_equal(frames[index], truth[index])


def test_invalid_videos(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match="the video is missing"):
        VideoFrames(tmp_path / "none.mp4")
    file = tmp_path / "text.mp4"
    for content in (b"", b"not a video", os.urandom(5000)):
        file.write_bytes(content)
        with pytest.raises(ClipError, match="cannot be opened as a video"):
            VideoFrames(file)
        with pytest.raises(ValueError, match="cannot be opened as a video"):
            VideoReader(file)
    with pytest.raises(FileNotFoundError, match="no such video file or folder"):
        VideoReader(tmp_path / "none.mp4")


def test_missing_pyav(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A robot without video files does not need PyAV."""
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "av", None)
        for reads in (VideoFrames, VideoReader):
            with pytest.raises(ImportError, match="pip install av"):
                reads(video)
    monkeypatch.setattr("av.__version__", "11.0.0")
    with pytest.raises(ImportError, match=r"14\.2 or newer, found 11\.0\.0: pip install --upgrade av"):
        VideoFrames(video)


def test_backgrounds_from_videos_of_any_kind(tmp_path: Path) -> None:
    """Ten frames of each, also if the header lacks their number."""
    (tmp_path / "films").mkdir()
    for name in ("without_duration.webm", "variable_rate.mkv"):
        KINDS[name](tmp_path / "films" / name)
    (tmp_path / "films/broken.mp4").write_bytes(b"not a video")
    with contextlib.suppress(ValueError):
        pictures.Pictures.prepare(tmp_path / "store", [tmp_path / "films"])
    (images,) = pictures.Pictures.open(tmp_path / "store").backgrounds
    assert sorted(number_of(np.array(image)) for image in images) == sorted([*range(0, 40, 4)] * 2)
