"""Finished runs of small recordings, for tests of what is written of them."""

from __future__ import annotations

from pathlib import Path

from sam2_ros.data import bag
from sam2_ros.data.clip import Clip
from sam2_ros.recordings.masklet_store import MaskletStore
from sam2_ros.recordings.open_recording import open_recording
from sam2_ros.recordings.outputs.finished_run import FinishedRun
from sam2_ros.recordings.prompts import ScheduledPrompt
from sam2_ros.recordings.recording import Recording
from sam2_ros.tracking.masklet import BOX_MIN_PART, Masklet
from sam2_ros.tracking.prompt import Box, Click, Prompt

LABELS = {1: "cup", 2: "", 5: "ball"}


def make_run(folder: Path, clip: Clip, recording: Recording | None = None) -> FinishedRun:
    """A run that has found the masks of a clip, and its prompts; without a recording, that of a bag of the clip."""
    folder.mkdir(exist_ok=True, parents=True)
    if recording is None:
        bag.write(clip, folder / "source", masklets="/truth")
        recording = open_recording(folder / "source")
    store = MaskletStore(folder / "masklets.db", {})
    for image in recording.images():
        store.add_frame(image.index, image.stamp, *image.pixels.shape[:2])
        store.add(image.index, masklets(clip, image.index))
    for object_id in clip.object_ids:
        store.add_object(object_id, LABELS[object_id], 4 if object_id == 5 else 0)
    store.commit("forwards", len(recording), done=True)
    return FinishedRun(recording, store, prompts(clip))


def masklets(clip: Clip, index: int) -> list[Masklet]:
    """The masklets on a frame. Object 5 is tracked from the fifth frame on."""
    masks = clip.masks[index]
    assert masks is not None
    return [
        Masklet(
            object_id,
            LABELS[object_id],
            bool(mask.any()),
            0.9 if mask.any() else 0.25,
            0.125 * object_id,
            mask,
            BOX_MIN_PART,
        )
        for object_id, mask in zip(clip.object_ids, masks, strict=True)
        if object_id != 5 or index >= 4
    ]


def prompts(clip: Clip) -> list[ScheduledPrompt]:
    """Clicks, a box, a mask, and a correction."""
    found = [
        ScheduledPrompt(0, Prompt(1, (Click(5.5, 5), Click(40, 30, False)), label="cup")),
        ScheduledPrompt(0, Prompt(2, box=Box(1, 14, 16, 30))),
        ScheduledPrompt(6, Prompt(1, (Click(20, 4),), replace=True)),
    ]
    if 5 in clip.object_ids:
        masks = clip.masks[4]
        assert masks is not None
        found.insert(2, ScheduledPrompt(4, Prompt(5, mask=masks[2], label="ball")))
    return found
