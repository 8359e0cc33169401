"""Outputs are written completely or not at all, once, and errors say what to do."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from finished_runs import make_run
from small_clips import make_clip

from sam2_ros.data.clip import Clip
from sam2_ros.data.images import write_jpeg
from sam2_ros.recordings.open_recording import open_recording
from sam2_ros.recordings.outputs.completely import UNFINISHED
from sam2_ros.recordings.outputs.finished_run import FinishedRun
from sam2_ros.recordings.outputs.outputs import FORMATS, check_outputs, write_outputs

PLACES = ["bag", "coco", "davis", "sav", "sheet.jpg", "video.mp4"]


def write(run: FinishedRun, out: Path, formats: list[str], originals: bool = True) -> list[str]:
    """Write the outputs; the names of those that are new."""
    return [path.name for path in write_outputs(run.recording, run.store, run.prompts, out, formats, originals).new]


def names(out: Path) -> list[str]:
    """What lies in the output folder, apart from the source and the store."""
    return sorted(
        path.name for path in out.iterdir() if path.name not in ("source", "images", "truth") and ".db" not in path.name
    )


def content(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """Limit the size of files to a number of bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_all_formats_and_the_sheet(tmp_path: Path) -> None:
    run = make_run(tmp_path, make_clip())
    calls: list[tuple[int, int, str]] = []
    written = write_outputs(
        run.recording, run.store, run.prompts, tmp_path, FORMATS, on_progress=lambda *call: calls.append(call)
    )
    assert names(tmp_path) == PLACES and written.paths == written.new and written.notes == []
    done = [call[0] for call in calls]
    assert done == sorted(done) and calls[0][0] == 0 and calls[-1][:2] == (6 * 9, 6 * 9)
    assert {call[2] for call in calls} == {*FORMATS, "sheet", ""}
    assert {call[1] for call in calls} == {6 * 9}


def test_what_is_complete_is_not_written_again(tmp_path: Path) -> None:
    run = make_run(tmp_path, make_clip())
    assert write(run, tmp_path, ["davis"]) == ["davis", "sheet.jpg"]
    assert write(run, tmp_path, ["davis"]) == []
    assert write(run, tmp_path, ["davis", "coco"]) == ["coco"]
    (tmp_path / "sheet.jpg").unlink()
    assert write(run, tmp_path, ["davis"]) == ["sheet.jpg"]


def test_outputs_of_other_masks_prompts_and_options_are_replaced(tmp_path: Path) -> None:
    clip = make_clip()
    run = make_run(tmp_path, clip)
    write(run, tmp_path, ["bag", "davis"])
    before = content(tmp_path / "bag")
    assert write(run, tmp_path, ["bag", "davis"], originals=False) == ["bag"]
    assert content(tmp_path / "bag").keys() == before.keys() and content(tmp_path / "bag") != before
    assert write(run, tmp_path, ["bag", "davis"]) == ["bag"]
    assert content(tmp_path / "bag") == before
    corrected = FinishedRun(run.recording, run.store, run.prompts[:3])
    assert set(write(corrected, tmp_path, ["bag"])) == {"bag", "sheet.jpg"}
    run.store.remove_object(5)
    run.store.commit("more", 0, done=True)
    assert set(write(run, tmp_path, ["bag", "davis"])) == {"bag", "davis", "sheet.jpg"}


def test_formats_print_what_they_are() -> None:
    assert list(FORMATS) == ["bag", "davis", "sav", "coco", "video"]
    assert all(20 < len(one.description) < 75 and name == one.name for name, one in FORMATS.items())


def test_foreign_files_are_never_replaced(tmp_path: Path) -> None:
    run = make_run(tmp_path, make_clip())
    (tmp_path / "davis").mkdir()
    (tmp_path / "davis/mine.txt").touch()
    for call in (
        lambda: check_outputs(tmp_path, ["davis"], [1]),
        lambda: check_outputs(tmp_path, ["davis"], [1], run.store),
        lambda: write(run, tmp_path, ["davis"]),
    ):
        with pytest.raises(FileExistsError, match=r"exists already and was not made by this run; delete it"):
            call()
    check_outputs(tmp_path, ["bag"], [1])
    assert (tmp_path / "davis/mine.txt").is_file()
    write(run, tmp_path, ["coco"])
    check_outputs(tmp_path, ["coco"], [1], run.store)


def test_unknown_formats_and_too_many_objects_are_refused_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no format png; choose bag, davis, sav, coco, video"):
        check_outputs(tmp_path, ["bag", "png"], [])
    with pytest.raises(ValueError, match="DAVIS has object IDs up to 254, here is 300; choose sav, coco or bag"):
        check_outputs(tmp_path, ["davis"], [1, 300])
    check_outputs(tmp_path, ["bag", "sav", "coco"], [1, 300])


def test_formats_of_one_size_are_refused_after_the_others(tmp_path: Path) -> None:
    clip = make_clip(frames=4, ids=(1, 2))
    masks, sizes = [], [(48, 64), (48, 64), (30, 40), (48, 64)]
    for index, (height, width) in enumerate(sizes):
        write_jpeg(tmp_path / f"images/{index}.jpg", clip.frames[index][:height, :width], 95)
        masks.append(clip.masks[index][:, :height, :width])
    mixed = Clip("mixed", clip.frames, clip.object_ids, masks)
    run = make_run(tmp_path, mixed, open_recording(tmp_path / "images"))
    with pytest.raises(ValueError, match="davis: images must have one size, here are 40 x 30, 64 x 48; choose bag"):
        write(FinishedRun(run.recording, run.store, run.prompts[:2]), tmp_path, ["bag", "davis", "coco", "video"])
    assert names(tmp_path) == ["bag", "coco", "sheet.jpg", "video.mp4"]


@pytest.mark.parametrize("name", ["bag", "davis", "coco", "sav", "video"])
def test_full_disk_leaves_nothing_half(tmp_path: Path, name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (9, 48, 64, 3), np.uint8)
    clip = make_clip()
    run = make_run(tmp_path, Clip("noise", list(noise), clip.object_ids, clip.masks))
    size = {"bag": 40_000, "video": 10_000}.get(name, 2_000)
    with disk_of(size), pytest.raises(OSError) as caught:
        write(run, tmp_path, [name])
    assert caught.value.filename == str(tmp_path / FORMATS[name].place)
    assert "the disk is full; make room and start the same command again" in str(caught.value)
    assert names(tmp_path) == []
    assert write(run, tmp_path, [name]) == [FORMATS[name].place, "sheet.jpg"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a file system")
@pytest.mark.parametrize("name", ["bag", "davis", "coco", "sav", "video"])
def test_a_real_full_disk(tmp_path: Path, name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (40, 96, 128, 3), np.uint8)
    clip = make_clip(frames=40, ids=(1,))
    masks = [np.pad(one, ((0, 0), (0, 48), (0, 64))) for one in clip.masks]
    run = make_run(tmp_path / "run", Clip("noise", list(noise), clip.object_ids, masks))
    run = FinishedRun(run.recording, run.store, run.prompts[:1])
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.system(f"mount -t tmpfs -o size=100k tmpfs {disk} 2> /dev/null"):
        pytest.skip("this container may not mount a file system")
    try:
        with pytest.raises(OSError, match="the disk is full; make room"):
            write(run, disk, [name])
        assert names(disk) == []
        os.system(f"mount -o remount,ro {disk}")
        with pytest.raises(OSError, match="cannot be written; choose another folder"):
            write(run, disk, [name])
        os.system(f"mount -o remount,rw,size=30m {disk}")
        write(run, disk, [name])
        assert names(disk) == sorted([FORMATS[name].place, "sheet.jpg"])
    finally:
        os.system(f"umount {disk}")


KILLED = """
import os, signal, sys
from pathlib import Path
from finished_runs import make_run
from small_clips import make_clip
from sam2_ros.recordings.outputs.outputs import write_outputs

run = make_run(Path(sys.argv[1]), make_clip())
count = 0
def step(done, total, what):
    global count
    count += 1
    if done == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
write_outputs(run.recording, run.store, run.prompts, Path(sys.argv[1]), ["bag", "davis", "video"], True, step)
"""


@pytest.mark.slow
@pytest.mark.parametrize("moment", [5, 12, 22, 30])
def test_kill_leaves_no_half_output(tmp_path: Path, moment: int) -> None:
    """Killed in the middle of each output; the next start writes what is missing, with the same bytes."""
    from sam2_ros.recordings.masklet_store import MaskletStore

    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path, str(moment)], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    done = ["bag", "davis", "video.mp4"][: moment // 9]
    assert names(tmp_path) == sorted([UNFINISHED, *done])
    clip = make_clip()
    unbroken = make_run(tmp_path / "truth", clip)
    write(unbroken, tmp_path / "truth", ["bag", "davis", "video"])
    recording = open_recording(tmp_path / "source", images="/camera/image_raw")
    with MaskletStore(tmp_path / "masklets.db", {}) as store:
        run = FinishedRun(recording, store, unbroken.prompts)
        assert write(run, tmp_path, ["bag", "davis", "video"]) == [
            name for name in ("bag", "davis", "video.mp4", "sheet.jpg") if name not in done
        ]
    assert names(tmp_path) == ["bag", "davis", "sheet.jpg", "video.mp4"]
    for name in ("bag", "davis", "sheet.jpg"):  # x264 reads memory that is not set in frames as small as these
        assert content(tmp_path / name) == content(tmp_path / "truth" / name)
