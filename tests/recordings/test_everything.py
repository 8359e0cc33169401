"""Automatic masklets of a clip with a thing that comes later: passes, both directions, and going on after a kill."""

from __future__ import annotations

import multiprocessing
import os
import signal
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from remembered_recording import RememberedRecording

from sam2_ros.checkpoints.load import load_model
from sam2_ros.recordings.everything import AutomaticMaskletSettings, track_everything
from sam2_ros.recordings.masklet_review import ReviewSettings
from sam2_ros.recordings.masklet_store import MaskletStore
from sam2_ros.tracking import Tracker
from sam2_ros.tracking.automatic_masks import EverythingSettings

FRAMES, PERIOD, SIZE = 12, 4, (96, 128)
MASKS = EverythingSettings(points_per_side=6, pred_iou_thresh=0.75, stability_score_thresh=0.5)
ALL = ReviewSettings(min_visible=0, min_iou=0, max_returns=1, max_jumps=1, duplicate_iou=1, max_filled=1)
"""Nothing is rejected."""


def things() -> tuple[list[np.ndarray], np.ndarray]:
    """Two discs on a dark ground, and one that comes in from the right: images and masks, bool [T, 3, H, W]."""
    images, masks = [], np.zeros((FRAMES, 3, *SIZE), np.uint8)
    rng = np.random.default_rng(0)
    ground = cv2.resize(rng.integers(20, 50, (6, 8, 3), np.uint8), SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    for t in range(FRAMES):
        image = ground.copy()
        discs = ((24 + t, 26, 15), (30, 70 - t, 16), (160 - 7 * t, 50, 17))
        colours = ((230, 60, 50), (60, 90, 230), (70, 220, 90))
        for row, ((x, y, radius), colour) in enumerate(zip(discs, colours, strict=True)):
            cv2.circle(masks[t, row], (x, y), radius, 1, -1)
            image[masks[t, row] > 0] = colour
        images.append(image)
    return images, masks > 0


IMAGES, TRUTH = things()


def tracker_of(max_objects: int) -> Tracker:
    return Tracker(load_model(device="cpu", image_size=128), history=1, max_objects=max_objects)


def settings(**changed: object) -> AutomaticMaskletSettings:
    return AutomaticMaskletSettings(**{"masks": MASKS, "period": PERIOD, "review": ALL, **changed})


def content(file: Path) -> list[list[tuple]]:
    tables = ("objects ORDER BY object_id", "frames ORDER BY frame", "masks ORDER BY frame, object_id", "rejected")
    with MaskletStore(file, {}) as store:
        return [store._database.execute(f"SELECT * FROM {table}").fetchall() for table in tables]


def everything(file: Path, max_objects: int = 32, how: AutomaticMaskletSettings | None = None, **more) -> MaskletStore:
    with MaskletStore(file, {}) as store:
        track_everything(RememberedRecording(IMAGES), tracker_of(max_objects), store, how or settings(), **more)
    return MaskletStore(file, {})


@pytest.fixture(scope="module")
def one_pass(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("one") / "masklets.db"
    everything(file).close()
    return file


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return (one & other).sum() / max((one | other).sum(), 1)


def test_masklets_follow_everything_and_what_comes_later(one_pass: Path) -> None:
    """The third disc is found on image 4, and followed backwards to where it came in."""
    with MaskletStore(one_pass, {}) as store:
        first_frames = store.first_frames
        frames = list(store.frames())
        assert [frame.frame for frame in frames] == list(range(FRAMES))
        answers = [{masklet.object_id: masklet for masklet in frame.masklets({})} for frame in frames]
        assert all(masklets.keys() == first_frames.keys() for masklets in answers), "on every image"
        for row, first in ((0, 0), (1, 0), (2, PERIOD)):
            fits = {object_id: iou(masklet.mask, TRUTH[first][row]) for object_id, masklet in answers[first].items()}
            best = max(fits, key=fits.__getitem__)
            assert first_frames[best] == first
            for masklets, truth in zip(answers, TRUTH[:, row], strict=True):
                visible = np.count_nonzero(truth)
                assert masklets[best].present == (visible > 0)
                assert visible < 200 or iou(masklets[best].mask, truth) > 0.85


@pytest.mark.parametrize("max_objects", [1, 2])
def test_several_passes_find_the_same(one_pass: Path, tmp_path: Path, max_objects: int) -> None:
    """Except for rounding: batches have other sizes."""
    calls: list[tuple[int, int, str]] = []
    with (
        everything(tmp_path / "masklets.db", max_objects, on_progress=lambda *call: calls.append(call)) as several,
        MaskletStore(one_pass, {}) as store,
    ):
        assert several.first_frames == store.first_frames and len(store.first_frames) > 2
        for one, other in zip(store.frames(), several.frames(), strict=True):
            for a, b in zip(one.masklets({}), other.masklets({}), strict=True):
                assert (a.object_id, a.present) == (b.object_id, b.present)
                assert a.iou == pytest.approx(b.iou, abs=0.02)
                assert not a.present or iou(a.mask, b.mask) > 0.97
        objects, late = len(store.first_frames), sum(frame > 0 for frame in store.first_frames.values())
    names = {call[2] for call in calls}
    assert {name for name in names if "backwards" in name} == {
        f"everything backwards {number}" for number in range(1, 1 + -(-late // max_objects))
    }
    assert len([name for name in names if "forwards" in name]) <= objects // max_objects + 1
    done = [call[0] for call in calls]
    assert done == sorted(done) and calls[-1][0] == calls[-1][1]


def test_two_runs_are_equal_and_a_third_has_nothing_to_do(one_pass: Path, tmp_path: Path) -> None:
    everything(tmp_path / "masklets.db", commit_period=0).close()
    expected = content(one_pass)
    assert content(tmp_path / "masklets.db") == expected
    images = RememberedRecording(IMAGES)
    with MaskletStore(one_pass, {}) as store:
        track_everything(images, tracker_of(32), store, settings())
    assert content(one_pass) == expected and not images.read


class Stopped(Exception):
    """Raised in place of a kill: what was not committed is lost."""


def test_goes_on_wherever_it_was_stopped(tmp_path: Path) -> None:
    """In passes of two objects, at every fifth image of all passes."""
    everything(tmp_path / "unbroken.db", 2).close()
    tracker = tracker_of(2)

    def stops_after(images: int) -> bool:
        left = iter(range(images))

        def stop(done: int, total: int, what: str) -> None:
            if next(left, None) is None:
                raise Stopped

        with MaskletStore(tmp_path / "stopped.db", {}) as store:
            try:
                track_everything(
                    RememberedRecording(IMAGES), tracker, store, settings(), on_progress=stop, commit_period=0
                )
            except Stopped:
                return True
        return False

    stops = next(stops for stops in range(50) if not stops_after(5 + stops % 3))
    assert stops >= 5
    assert content(tmp_path / "stopped.db") == content(tmp_path / "unbroken.db")


def in_a_process(file: Path, connection: Connection) -> None:
    """A run that waits for an answer after each image."""
    torch.set_num_threads(1)

    def on_progress(done: int, total: int, what: str) -> None:
        connection.send(done)
        connection.recv()

    with MaskletStore(file, {}) as store:
        track_everything(
            RememberedRecording(IMAGES), tracker_of(2), store, settings(), on_progress=on_progress, commit_period=0
        )


@pytest.mark.slow
def test_killed_processes_leave_what_the_next_needs(tmp_path: Path) -> None:
    processes = multiprocessing.get_context("forkserver")  # Python and PyTorch start once
    processes.set_forkserver_preload([__name__, "sam2_ros.acceleration.cpu.classes"])

    def attempt(file: Path, kill_at: int | None = None) -> int:
        """Returns how many images were done at the beginning."""
        ours, theirs = processes.Pipe()
        process = processes.Process(target=in_a_process, args=(file, theirs))
        process.start()
        theirs.close()
        begin = done = ours.recv()
        try:
            while kill_at is None or done < kill_at:
                ours.send("go on")
                done = ours.recv()
            os.kill(process.pid, signal.SIGKILL)
        except EOFError:  # it is done
            pass
        process.join()
        assert process.exitcode == (0 if kill_at is None else -signal.SIGKILL)
        return begin

    begins = [attempt(tmp_path / "killed.db", kill_at) for kill_at in (5, 9, 17, None)]
    assert begins == sorted(begins) and begins[1] > 0
    attempt(tmp_path / "unbroken.db")
    assert content(tmp_path / "killed.db") == content(tmp_path / "unbroken.db")


def test_bad_masklets_are_rejected_in_the_end(one_pass: Path, tmp_path: Path) -> None:
    """Pieces of the ground, which a low threshold lets in: the network rates them low wherever they were not found."""
    lenient = settings(masks=replace(MASKS, pred_iou_thresh=0.5), review=ReviewSettings(min_iou=0.5))
    with everything(tmp_path / "masklets.db", how=lenient) as store:
        assert list(store.labels) == [1, 2, 3]
        assert store.rejected and all("predicted IoU" in reason for reason in store.rejected.values())


def test_no_more_masklets_than_wanted(tmp_path: Path) -> None:
    with everything(tmp_path / "masklets.db", 1, how=settings(max_masklets=2)) as store:
        assert store.first_frames == {1: 0, 2: 0}


def test_covered_images_are_not_searched(tmp_path: Path) -> None:
    with everything(tmp_path / "masklets.db", how=settings(coverage=0.05)) as store:
        assert set(store.first_frames.values()) == {0}


def test_damaged_images_are_left_out_and_the_next_is_searched(tmp_path: Path) -> None:
    damaged = (0, PERIOD, FRAMES - 1)
    with MaskletStore(tmp_path / "masklets.db", {}) as store:
        track_everything(RememberedRecording(IMAGES, damaged), tracker_of(32), store, settings())
        found_on = set(store.first_frames.values())
        assert {1, PERIOD + 1} <= found_on <= {1, PERIOD + 1, 2 * PERIOD}
        assert [frame.frame for frame in store.frames()] == [i for i in range(FRAMES) if i not in damaged]


def test_a_stretch_is_searched_from_its_first_image_on(tmp_path: Path) -> None:
    with MaskletStore(tmp_path / "masklets.db", {}) as store:
        track_everything(RememberedRecording(IMAGES).stretch(3, 10), tracker_of(32), store, settings())
        assert store.first_frames[1] == 3 and set(store.first_frames.values()) <= {3, 3 + PERIOD}
        assert [frame.frame for frame in store.frames()] == list(range(3, 10))


def test_an_empty_recording(tmp_path: Path) -> None:
    """Nothing can be found where there is nothing."""
    images = RememberedRecording([np.zeros((*SIZE, 3), np.uint8)] * 3)
    with MaskletStore(tmp_path / "masklets.db", {}) as store:
        how = settings(masks=EverythingSettings(points_per_side=2, pred_iou_thresh=1.0))
        track_everything(images, tracker_of(2), store, how)
        assert store.labels == {} and store.frame_count == 3


def test_settings_are_checked() -> None:
    for changed in ({"period": 0}, {"coverage": 1.5}, {"max_masklets": 0}, {"max_masklets": 70000}):
        (name,) = changed
        with pytest.raises(ValueError, match=name):
            AutomaticMaskletSettings(**changed)
