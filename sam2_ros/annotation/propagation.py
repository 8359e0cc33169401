"""Masks by hand of an object, propagated to the other frames of a recording."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from sam2_ros.evaluation.prompts import tight_box
from sam2_ros.recordings.recording import Recording
from sam2_ros.tracking.encoded_image import EncodedImage
from sam2_ros.tracking.masklet import Masklet
from sam2_ros.tracking.prompt import Prompt, SmallMaskError
from sam2_ros.tracking.tracker import Tracker

MEMORIES = 4
"""Masks by hand that an object is followed with at any time: those that are nearest. Each takes time on every frame."""


@dataclass(frozen=True, eq=False)
class HandMemory:
    """What the network remembers of a mask by hand: map [c, h, w] and object pointer [C]."""

    map: Tensor
    pointer: Tensor


def memory_of(tracker: Tracker, image: EncodedImage, mask: np.ndarray) -> HandMemory:
    """Remember a mask, bool [H, W], not empty, on its image. The tracker is reset.

    A mask that is too small for the network is remembered by its box.
    """
    tracker.reset()
    tracker.step(image)
    try:
        tracker.prompt(Prompt(1, mask=mask))
    except SmallMaskError:
        tracker.prompt(Prompt(1, box=tight_box(mask)))
    ((map, pointer),) = tracker.objects[1].bank.prompted.values()
    return HandMemory(map, pointer)


def nearest(by_hand: Collection[int], frame: int, beyond: int | None = None, count: int = MEMORIES) -> list[int]:
    """The masks by hand to follow an object with, from `frame` on: frames, the nearest first.

    Args:
        by_hand: frames with masks of the object.
        beyond: a frame that is among them in any case, if it is by hand: the next one in the direction of travel.
    """
    return sorted(by_hand, key=lambda other: (other != beyond, abs(other - frame), other))[:count]


def take_up(
    tracker: Tracker, object_id: int, memories: Mapping[int, HandMemory], frame: int, forwards: bool = True
) -> None:
    """Reset a tracker, and have it track an object whose next image is `frame`.

    Args:
        memories: by frame, before and after.
        forwards: False: time is mirrored, and later frames are the past.
    """
    tracker.reset()
    ages = {other: frame - other if forwards else other - frame for other in memories}
    if memories:
        tracker.adopt(object_id, "", [(ages[other], memory.map, memory.pointer) for other, memory in memories.items()])


def propagate(
    recording: Recording,
    tracker: Tracker,
    object_id: int,
    by_hand: Mapping[int, bool],
    memory_on: Callable[[int], HandMemory],
    start: int,
    span: range,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[int, Masklet]]:
    """Follow an object from one of its masks by hand: forwards to the end of `span`, then backwards to its beginning.

    Every mask by hand that is met begins anew: from there on the object is followed with it and those that are nearest
    to it, before and after, and what was tracked on the way is forgotten. So an error ends where somebody has corrected
    it, and what follows a mask by hand depends on masks by hand alone.

    Args:
        tracker: with `history=1`; it is reset.
        by_hand: frames with a mask by hand, and whether the object is visible there.
        memory_on: gives the memory of a mask by hand, on whose frame the object is visible.
        start: one of `by_hand`.
        span: frames, ascending.
        cancelled: asked before every image; if so, it ends.

    Yields:
        Frame and masklet, of every frame in `span` that is neither by hand nor damaged.
    """
    shown = [frame for frame, visible in by_hand.items() if visible]
    for forwards in (True, False):
        for here, following in _pairs(by_hand, start, forwards):
            frames = _between(here, following, span, forwards)
            if not frames:
                continue
            memories = {frame: memory_on(frame) for frame in nearest(shown, here, following)}
            take_up(tracker, object_id, memories, frames[0], forwards)
            if forwards:
                images = recording.images(frames[0], frames[-1] + 1)
            else:
                images = recording.images_backwards(frames[0], frames[-1])
            for image in images:
                if cancelled():
                    return
                (masklet,) = tracker.step(image.pixels).masklets
                yield image.index, masklet


def _pairs(by_hand: Collection[int], start: int, forwards: bool) -> Iterator[tuple[int, int | None]]:
    """The masks by hand that are met from `start` on, each with the next one; None: there is none."""
    met = sorted(frame for frame in by_hand if (frame >= start if forwards else frame <= start))
    ordered = met if forwards else met[::-1]
    return zip(ordered, [*ordered[1:], None], strict=True)


def _between(here: int, following: int | None, span: range, forwards: bool) -> range:
    """The frames in `span` after `here` and before `following` (None: its end), in the direction of travel."""
    if forwards:
        end = span.stop if following is None else min(following, span.stop)
        return range(max(here + 1, span.start), end)
    end = span.start - 1 if following is None else max(following, span.start - 1)
    return range(min(here, span.stop) - 1, end, -1)
