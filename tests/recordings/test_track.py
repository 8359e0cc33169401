"""Passes over a recording: equal to the tracker's own, whatever interrupts them; and backwards."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
import torch
from remembered_recording import RememberedRecording
from small_network import default_network, moving_things

from sam2_ros.checkpoints.load import load_model
from sam2_ros.evaluation.prompts import error_click
from sam2_ros.evaluation.region_boundary import region_similarity
from sam2_ros.recordings.masklet_store import MaskletStore
from sam2_ros.recordings.prompts import ScheduledPrompt
from sam2_ros.recordings.track import CHECKED_FRAMES, check_prompts, lost_objects, track
from sam2_ros.scenes.synthetic import SceneSettings, SyntheticScenes
from sam2_ros.tracking import Box, Click, Prompt, PromptError, Tracker, rle
from sam2_ros.tracking.masklet import Frame

RUN = {"recording": "moving things"}
KILLS = 10

PROMPTS = [
    ScheduledPrompt(20, Prompt(2, box=Box(30, 30, 30, 30))),  # in any order
    ScheduledPrompt(4, Prompt(1, clicks=[Click(20, 22)], label="ellipse")),
    ScheduledPrompt(8, Prompt(1, clicks=[Click(50, 22, False)])),
    ScheduledPrompt(8, Prompt(1, clicks=[Click(22, 24)])),
    ScheduledPrompt(12, Prompt(3, clicks=[Click(30, 30)])),
    ScheduledPrompt(15, Prompt(3, clicks=[Click(50, 50)], replace=True)),
]


def recording(frames: int = 30, damaged: tuple[int, ...] = ()) -> RememberedRecording:
    return RememberedRecording(moving_things(frames)[0], damaged)


@pytest.fixture(scope="module")
def tracker() -> Tracker:
    return Tracker(default_network(), history=1, max_objects=3)


def bytes_of(file: Path) -> list[list[tuple]]:
    """Everything that a store says about objects and their masks."""
    with MaskletStore(file, RUN) as store:
        tables = ("objects ORDER BY object_id", "frames ORDER BY frame", "masks ORDER BY frame, object_id")
        return [store._database.execute(f"SELECT * FROM {table}").fetchall() for table in tables]


def tracked(tracker: Tracker, file: Path, images: RememberedRecording, prompts=PROMPTS, **how) -> list[list[tuple]]:
    with MaskletStore(file, RUN) as store:
        track(images, prompts, tracker, store, **how)
    return bytes_of(file)


def test_forwards_it_is_the_tracker(tracker: Tracker, tmp_path: Path) -> None:
    """With images left out where they are damaged; prompts after an image, in their order."""
    images = recording(damaged=(0, 6, 29))
    with MaskletStore(tmp_path / "masklets.db", RUN) as store:
        track(images, PROMPTS, tracker, store, backward=False)
        stored = {frame.frame: frame for frame in store.frames()}
        labels = store.labels
        assert lost_objects(store) == {}
    plain = Tracker(default_network())  # with a history, as in a node
    expected: dict[int, Frame] = {}
    for index, pixels in enumerate(images.pixels):
        if index in (0, 6, 29):
            continue
        plain.step(pixels, images.stamps[index])
        for scheduled in PROMPTS:
            if scheduled.frame == index:
                plain.prompt(scheduled.prompt)
        expected[index] = plain.newest
    assert stored.keys() == expected.keys()
    for index, frame in expected.items():
        assert stored[index].stamp == frame.stamp
        for one, other in zip(stored[index].masklets(labels), frame.masklets, strict=True):
            assert (one.object_id, one.present, one.presence, one.iou) == (
                other.object_id,
                other.present,
                other.presence,
                other.iou,
            )
            assert np.array_equal(one.mask, other.mask)
    assert labels == {1: "ellipse", 2: "", 3: ""}


def test_backwards_frames_before_the_first_prompt_are_added(tracker: Tracker, tmp_path: Path) -> None:
    forwards = tracked(tracker, tmp_path / "forwards.db", recording(), backward=False)
    images = recording()
    both = tracked(tracker, tmp_path / "both.db", images)
    assert set(forwards[2]) < set(both[2]), "frames from the first prompt on stay as they were"
    added = {row[:2] for row in both[2]} - {row[:2] for row in forwards[2]}
    assert added == {(frame, i) for i, first in ((1, 4), (2, 20), (3, 12)) for frame in range(first)}
    assert images.read[-20:] == list(range(19, -1, -1))
    assert tracked(tracker, tmp_path / "forwards.db", recording()) == both, "backwards may come later"


def test_backwards_is_forwards_in_a_mirror(tracker: Tracker, tmp_path: Path) -> None:
    """An object that was prompted on one image only has the same past and future in a clip that is its own mirror."""
    half = list(moving_things(9)[0])
    images = RememberedRecording([*half[::-1], *half[1:]])  # image 8 is the middle
    prompts = [ScheduledPrompt(8, Prompt(1, clicks=[Click(20, 22)]))]
    _, _, masks = tracked(tracker, tmp_path / "masklets.db", images, prompts)
    assert len(masks) == 17
    for before, after in zip(masks[:8], masks[:8:-1], strict=True):
        assert before[0] + after[0] == 16 and before[1:] == after[1:]


def test_a_stretch_is_tracked_as_if_there_were_nothing_else(tracker: Tracker, tmp_path: Path) -> None:
    images, prompts = recording(), [ScheduledPrompt(9, Prompt(1, clicks=[Click(20, 22)]))]
    calls: list[tuple[int, int, str]] = []
    how = {"on_progress": lambda *call: calls.append(call), "commit_period": 0}
    _, frames, masks = tracked(tracker, tmp_path / "masklets.db", images.stretch(5, 12), prompts, **how)
    assert [row[0] for row in frames] == [row[0] for row in masks] == list(range(5, 12))
    assert calls[0] == (0, 11, "forwards") and (7, 11, "forwards") in calls and calls[-1] == (11, 11, "backwards")
    alone = RememberedRecording(images.pixels[5:12])
    moved = [ScheduledPrompt(4, prompts[0].prompt)]
    assert [row[1:] for row in tracked(tracker, tmp_path / "alone.db", alone, moved)[2]] == [row[1:] for row in masks]
    with pytest.raises(PromptError, match="on frame 20: the frames are 5 to 11"):
        check_prompts(images.stretch(5, 12), PROMPTS[:1], tracker)


def test_two_runs_are_equal_and_a_third_has_nothing_to_do(tracker: Tracker, tmp_path: Path) -> None:
    one = tracked(tracker, tmp_path / "one.db", recording())
    assert tracked(tracker, tmp_path / "other.db", recording(), commit_period=0) == one
    again, calls = recording(), []
    assert tracked(tracker, tmp_path / "one.db", again, on_progress=lambda *call: calls.append(call)) == one
    assert not again.read and not calls


def test_progress_over_both_passes(tracker: Tracker, tmp_path: Path) -> None:
    calls: list[tuple[int, int, str]] = []
    tracked(tracker, tmp_path / "masklets.db", recording(), on_progress=lambda *call: calls.append(call))
    done = [call[0] for call in calls]
    assert done == sorted(done) and done[0] == 0 and {call[1] for call in calls} == {50}
    assert calls[-1] == (50, 50, "backwards") and (30, 50, "forwards") in calls


@pytest.mark.parametrize(
    ("scheduled", "message"),
    [
        (
            ScheduledPrompt(30, PROMPTS[1].prompt),
            r"object 1 \(ellipse\) on frame 30: the frames are 0 to 29",
        ),
        (
            ScheduledPrompt(21, Prompt(2, box=Box(70, 0, 5, 5))),
            "object 2 on frame 21: box .* is outside the image of 64",
        ),
        (ScheduledPrompt(6, Prompt(2, clicks=[Click(1, 1)])), r"object 2 on frame 6: this image is damaged \(a broken"),
        (
            ScheduledPrompt(0, Prompt(4, clicks=[Click(1, 1)])),
            r"frame 20: the limit of tracked objects \(3\) is reached",
        ),
        (ScheduledPrompt(0, Prompt(clicks=[Click(1, 1)])), "object 0 on frame 0: it has no object ID"),
        (ScheduledPrompt(0, Prompt(1, mask=np.eye(64) > 2)), "object 1 on frame 0: the mask is empty"),
        (ScheduledPrompt(0, Prompt(1, mask=np.arange(4096).reshape(64, 64) < 2)), "object 1 on .* too few for the net"),
        (ScheduledPrompt(0, Prompt(1, clicks=[Click(1, 1, False)])), "object 1 on frame 0: only negative clicks"),
        (ScheduledPrompt(9, Prompt(1, clicks=[Click(1, 1, 0)], replace=True)), "object 1 .* 9: only negative clicks"),
    ],
)
def test_refused_before_the_first_image(
    tracker: Tracker, tmp_path: Path, scheduled: ScheduledPrompt, message: str
) -> None:
    images = recording(damaged=(6,))
    with MaskletStore(tmp_path / "masklets.db", RUN) as store:
        with pytest.raises(PromptError, match=message):
            track(images, [*PROMPTS, scheduled], tracker, store)
        assert store.pass_state("forwards") is None and not store.frame_count


def test_clicks_that_are_too_many_only_together(tracker: Tracker, tmp_path: Path) -> None:
    """Those of one object on one frame count, since the last box, mask or new beginning."""
    clicks = [Click(9, 9)] * 40

    def run(*more: ScheduledPrompt) -> None:
        (tmp_path / "masklets.db").unlink(missing_ok=True)
        tracked(tracker, tmp_path / "masklets.db", recording(10), [ScheduledPrompt(1, Prompt(1, clicks)), *more])

    run(ScheduledPrompt(2, Prompt(1, clicks)), ScheduledPrompt(1, Prompt(2, clicks)))
    run(ScheduledPrompt(1, Prompt(1, clicks, replace=True)))
    run(ScheduledPrompt(1, Prompt(1, clicks, Box(3, 3, 30, 30))))
    with pytest.raises(PromptError, match="object 1 on frame 1: 80 clicks on one frame; at most 64 are used"):
        run(ScheduledPrompt(1, Prompt(1, clicks)))


def test_prompts_of_many_frames_are_checked_by_size(tracker: Tracker, tmp_path: Path) -> None:
    """Only those that don't fit the image before are read, as images may change their size."""
    frame = np.zeros((64, 64, 3), np.uint8)
    images = RememberedRecording([*([frame] * 80), np.zeros((64, 128, 3), np.uint8), frame])
    prompts = [ScheduledPrompt(index, Prompt(1, clicks=[Click(20, 20)])) for index in range(80)]
    prompts += [ScheduledPrompt(80, Prompt(1, clicks=[Click(100, 20)]))]
    check_prompts(images, prompts, tracker)
    assert images.read == [*range(CHECKED_FRAMES), 80]
    with pytest.raises(PromptError, match=r"on frame 81: click .* is outside"):
        check_prompts(images, [*prompts, ScheduledPrompt(81, Prompt(1, clicks=[Click(100, 20)]))], tracker)


def test_objects_for_which_a_gpu_has_no_memory_are_reported(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Object 3, which began at frame 12, is given up at frame 25; backwards it is followed all the same."""
    full, plain = [False], Tracker._track

    def track_if_there_is_memory(self: Tracker, frame, objects, *more):
        if full[0] and len(objects) > 2:
            raise torch.OutOfMemoryError
        return plain(self, frame, objects, *more)

    monkeypatch.setattr(Tracker, "_track", track_if_there_is_memory)
    with MaskletStore(tmp_path / "masklets.db", RUN) as store:

        def on_progress(done: int, total: int, what: str) -> None:
            full[0] = done == 25

        prompts = [scheduled for scheduled in PROMPTS if scheduled.frame < 20]
        prompts.append(ScheduledPrompt(2, Prompt(2, clicks=[Click(40, 40)])))
        track(recording(), prompts, tracker, store, on_progress=on_progress)
        assert lost_objects(store) == {3: 24}
        assert [mask.frame for mask in store.masks_of(3)] == list(range(25))


@pytest.mark.slow
def test_an_object_that_is_clicked_in_the_middle_is_followed_to_both_ends(tmp_path: Path) -> None:
    """By the default model, in a scene with two moving objects."""
    settings = SceneSettings(192, 256, frames=13, objects=(2, 3), size=(0.2, 0.5), leaving=0, occlusion=0, lookalikes=0)
    clip = SyntheticScenes(settings).scene(4)
    prompts = []
    for row, (object_id, frame) in enumerate(zip(clip.object_ids, (6, 4), strict=True)):
        truth = clip.masks[frame][row]
        prompts.append(ScheduledPrompt(frame, Prompt(object_id, clicks=[error_click(np.zeros_like(truth), truth)])))
    with MaskletStore(tmp_path / "masklets.db", RUN) as store:
        track(RememberedRecording(list(clip.frames)), prompts, Tracker(load_model()), store)
        for row, object_id in enumerate(clip.object_ids):
            found = [rle.decode(mask.counts, 192, 256) for mask in store.masks_of(object_id)]
            similarity = [region_similarity(mask, truths[row]) for mask, truths in zip(found, clip.masks, strict=True)]
            assert len(similarity) == 13 and np.mean(similarity) > 0.8
            assert similarity[0] > 0.8 and similarity[-1] > 0.8


def run(folder: Path, progress: Connection) -> None:
    """One attempt in a process of its own, which says how far it has come."""
    torch.set_num_threads(1)
    small = Tracker(default_network(), history=1, max_objects=3)
    with MaskletStore(folder / "masklets.db", RUN) as store:
        period = random.choice((0.0, 0.02, 0.1))
        track(
            recording(60), PROMPTS, small, store, on_progress=lambda done, *_: progress.send(done), commit_period=period
        )


@pytest.mark.slow
def test_killed_at_ten_random_moments(tmp_path: Path) -> None:
    """The bytes are those of an unbroken run."""
    processes = multiprocessing.get_context("forkserver")  # Python and PyTorch start once
    processes.set_forkserver_preload([__name__, "sam2_ros.acceleration.cpu.classes"])
    moments = random.Random(os.urandom(8))

    def attempt(folder: Path, until: float) -> list[int]:
        """What it said: how many images were done, each time."""
        folder.mkdir(exist_ok=True)
        receiver, sender = processes.Pipe(duplex=False)
        process = processes.Process(target=run, args=(folder, sender))
        process.start()
        sender.close()
        heard: list[int] = []
        try:
            while not heard or heard[-1] < until:
                heard.append(receiver.recv())
        except EOFError:
            process.join()
            assert process.exitcode == 0
            return heard
        time.sleep(moments.uniform(0, 0.05))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL
        return heard

    unbroken = attempt(tmp_path / "unbroken", 1000)
    assert unbroken[0] == 0 and unbroken[-1] == 80
    goals = sorted(moments.uniform(0, 75) for _ in range(KILLS))
    begins = [attempt(tmp_path / "killed", goal)[0] for goal in goals]
    begins.append(attempt(tmp_path / "killed", 1000)[0])
    assert begins == sorted(begins) and begins[-1] > 0, "each goes on where the one before was"
    assert bytes_of(tmp_path / "killed" / "masklets.db") == bytes_of(tmp_path / "unbroken" / "masklets.db")
