"""Semi-supervised video object segmentation: each object is pointed out once, and followed from there."""

from __future__ import annotations

from collections.abc import Iterator

from sam2_ros.data.clip import Clip
from sam2_ros.evaluation.prompts import prompt_object
from sam2_ros.tracking.masklet import Frame
from sam2_ros.tracking.tracker import Tracker


def follow(tracker: Tracker, clip: Clip, kind: str) -> Iterator[Frame]:
    """Runs a tracker over a clip and yields its answer to every frame.

    Each object is prompted (`prompts.KINDS`) on the first frame where it is visible. Tracked objects have the IDs that
    they have in the clip. The tracker is reset first.
    """
    tracker.reset()
    waiting = set(clip.object_ids)
    for index, (image, truth) in enumerate(zip(clip.frames, clip.masks, strict=True)):
        tracker.step(image, round(index * 1e9 / clip.fps))
        if truth is not None:
            for row, object_id in enumerate(clip.object_ids):
                if object_id in waiting and truth[row].any():
                    prompt_object(tracker, kind, object_id, truth[row])
                    waiting.discard(object_id)
        assert tracker.newest is not None
        yield tracker.newest
