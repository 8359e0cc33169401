"""The schedule of waiting prompts: when they are applied or refused, decided by stamps alone, without the network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import Enum

from sam2_ros.ros.image_stamps import ImageStamps
from sam2_ros.ros.prompt_queue import PromptQueue
from sam2_ros.ros.snapshot import Snapshot
from sam2_ros.ros.waiting_prompt import Source, WaitingDetections, WaitingPrompt
from sam2_ros.tracking.prompt import PromptError

MAX_PLAYBACK_RATE = 10
"""Maximum playback rate of a bag for prompts that are sent before their images, as a multiple of real time."""


class Turn(Enum):
    """The decision on a waiting prompt."""

    WAITS = "waits"
    DUE = "due"
    """Its image has been processed."""
    EXPIRED = "expired"
    """Its image has not arrived in time, or will not."""


def target_stamp(stamp: int, source: Source, images: ImageStamps) -> tuple[int, bool]:
    """The stamp of the image that a prompt is for, ns, and whether that is just the newest image.

    Args:
        stamp: stamp of the prompt, ns. 0, or one of another clock, means the newest image; the result is 0 if there is
            no unprocessed image.
    """
    if stamp == 0 or (source.other_clock and images.is_foreign(stamp)):
        return images.newest_pending or 0, True
    return stamp, False


def refusal(waiting: WaitingPrompt, images: ImageStamps) -> str | None:
    """Reason to refuse a new prompt at once; None: it may wait. Replaces its prompt by the checked one."""
    stamp, processed, jumps = waiting.stamp, images.processed, bool(images.after_jump)
    stamps, is_processed = processed.stamps, processed.find(waiting.stamp) is not None
    if not is_processed and not waiting.means_newest:
        if stamp < 0:
            return f"a stamp of {stamp / 1e9:.3f} s is not that of an image; use the stamp of an image (0: the newest)"
        if is_too_far_ahead(waiting, images.newest):
            return ahead_of_newest(stamp, images.newest or 0)
        if not jumps and (reason := processed.too_old(stamp)) is not None:
            return reason
    if isinstance(waiting, WaitingDetections):
        return None  # each box is checked on its image
    if stamp == 0 and stamps:
        stamp = stamps[-1]
    was_processed = is_processed or (bool(stamps) and stamps[0] <= stamp <= stamps[-1])
    try:
        waiting.prompt = processed.checked(waiting.prompt, stamp if was_processed and not jumps else None)
    except PromptError as error:
        return str(error)
    return None


def object_limit(waiting: WaitingPrompt, images: ImageStamps, queue: PromptQueue, snapshot: Snapshot) -> str | None:
    """Reason to refuse a new prompt because of the limit of objects; None: there may be room. The queue is locked.

    Args:
        snapshot: the current one; `images` may be older.
    """
    newest = images.newest
    if waiting.proposal is not None or newest is None or images.after_jump or waiting.stamp > newest:
        return None
    if queue.has_room(waiting, newest, snapshot.object_ids, snapshot.max_objects):
        return None
    return f"the limit of tracked objects ({snapshot.max_objects}) is reached; remove one first"


def turn(waiting: WaitingPrompt, images: ImageStamps, now: float, last_step: float) -> Turn:
    """Decide on a waiting prompt.

    Args:
        now: s of the monotonic clock.
        last_step: time of the last processed image, s of the monotonic clock.
    """
    stamp, stamps = waiting.stamp, images.processed.stamps
    overdue = now >= waiting.deadline
    if stamps and not overdue and images.is_after_jump(stamp):
        return Turn.WAITS  # its image is about to be processed
    pending = images.newest_pending
    none_pending = pending is None or pending < stamp
    if stamps:
        applies_to_newest = none_pending and waiting.means_newest
        if applies_to_newest or stamp <= stamps[-1] or images.processed.find(stamp) is not None:
            return Turn.DUE
    if overdue and (none_pending or last_step < waiting.arrived):  # images may all fail
        return Turn.EXPIRED
    if stamps and is_too_far_ahead(waiting, images.newest):
        return Turn.EXPIRED
    return Turn.WAITS


def expiry(waiting: WaitingPrompt, images: ImageStamps) -> str:
    """The reason why a prompt has expired."""
    stamps = images.processed.stamps
    if not stamps:
        return "no image has been processed yet; prompt once images arrive"
    return ahead_of_newest(waiting.stamp, stamps[-1])


def is_too_far_ahead(waiting: WaitingPrompt, newest: int | None) -> bool:
    """Whether no image with a prompt's stamp can arrive in time. `newest` is the newest stamp that has arrived, ns."""
    if newest is None or waiting.means_newest:
        return False
    return waiting.stamp - newest > 1e9 * (1 + MAX_PLAYBACK_RATE * (waiting.deadline - waiting.arrived))


def ahead_of_newest(stamp: int, newest: int) -> str:
    """The reason for a refusal: no image with this stamp has arrived. Both stamps are ns."""
    return (
        f"no image with this stamp or a newer one could be processed: it is {(stamp - newest) / 1e9:.3f} s ahead of"
        " the newest image. Use the stamp of an image (0: the newest)"
    )


def round_robin(prompts: Iterable[WaitingPrompt]) -> list[WaitingPrompt]:
    """The prompts of all sources in turn, those of each source in their order."""
    count: Counter[str] = Counter()
    rounds = []
    for waiting in prompts:
        rounds.append((count[waiting.source.name], waiting))
        count[waiting.source.name] += 1
    return [waiting for _, waiting in sorted(rounds, key=lambda pair: pair[0])]
