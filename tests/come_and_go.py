"""A short stream on which objects come and go, to compare trackers."""

from __future__ import annotations

from collections.abc import Iterator

from small_clips import make_clip

from sam2_ros.tracking import Box, Click, Prompt, Tracker
from sam2_ros.tracking.history import Answer

PROMPTS = {
    0: Prompt(clicks=(Click(20, 20),)),
    3: Prompt(box=Box(10, 8, 40, 36)),
    4: Prompt(clicks=(Click(30, 12),)),
    9: Prompt(1, clicks=(Click(25, 25, False),)),
}


def come_and_go(*trackers: Tracker) -> Iterator[tuple[int, list[dict[int, Answer]]]]:
    """Yield, after each of 16 frames, its index and the answers of each tracker for up to three objects."""
    for index, image in enumerate(make_clip(frames=16).frames):
        for tracker in trackers:
            tracker.step(image)
            if index in PROMPTS:
                tracker.prompt(PROMPTS[index])
            if index == 12:
                tracker.remove(2)
        known = [tracker.history.newest.answers for tracker in trackers]
        assert known[0] and all(answers.keys() == known[0].keys() for answers in known)
        yield index, known


def largest_difference(known: list[dict[int, Answer]], allowed: float) -> float:
    """Largest difference between the logits of two trackers; that of presence must not be larger than allowed."""
    one, other = known
    for object_id, answer in one.items():
        assert abs(answer.presence_logit - other[object_id].presence_logit) < allowed
    return max(float((answer.logits - other[object_id].logits).abs().max()) for object_id, answer in one.items())
