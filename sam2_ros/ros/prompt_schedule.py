"""When a waiting prompt is applied, and when it is refused: decided by stamps alone, without the network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import Enum

from sam2_ros.ros.image_stamps import ImageStamps
from sam2_ros.ros.prompt_queue import PromptQueue
from sam2_ros.ros.snapshot import Snapshot
from sam2_ros.ros.waiting_prompt import Source, WaitingPrompt
from sam2_ros.tracking.prompt import PromptError

MAX_PLAYBACK_RATE = 10
"""How many times faster than it was recorded a bag may be played, for prompts that are sent before their images."""


class Turn(Enum):
    """What becomes of a waiting prompt now."""

    WAITS = "waits"
    DUE = "due"
    """Its image was processed."""
    EXPIRED = "expired"
    """Its image has not come in time, or will not."""


def target_stamp(stamp: int, source: Source, images: ImageStamps) -> tuple[int, bool]:
    """The stamp of the image that a prompt is for, ns, and whether it is just the newest that has come.

    Args:
        stamp: the prompt's, ns. 0, or one of another clock, means the newest image; the result is 0 where none has
            come that is still to be processed.
    """
    if stamp == 0 or (source.other_clock and images.is_foreign(stamp)):
        return images.newest_coming or 0, True
    return stamp, False


def refusal(waiting: WaitingPrompt, images: ImageStamps) -> str | None:
    """Why a new prompt is refused at once; None: it may wait. Replaces its prompt by the checked one."""
    stamp, processed, jumps = waiting.stamp, images.processed, bool(images.after_jump)
    stamps, found = processed.stamps, processed.find(waiting.stamp) is not None
    if not found and not waiting.means_newest:
        if stamp < 0:
            return f"a stamp of {stamp / 1e9:.3f} s is none of an image; use the stamp of an image (0: the newest)"
        if is_too_far_ahead(waiting, images.newest):
            return ahead_of_newest(stamp, images.newest or 0)
        if not jumps and (reason := processed.too_old(stamp)) is not None:
            return reason
    if stamp == 0 and stamps:
        stamp = stamps[-1]
    was_processed = found or (bool(stamps) and stamps[0] <= stamp <= stamps[-1])
    try:
        waiting.prompt = processed.checked(waiting.prompt, stamp if was_processed and not jumps else None)
    except PromptError as error:
        return str(error)
    return None


def object_limit(waiting: WaitingPrompt, images: ImageStamps, queue: PromptQueue, snapshot: Snapshot) -> str | None:
    """Why there is no room for the object of a new prompt; None: there may be. The queue is locked.

    Args:
        snapshot: of now; `images` may be older.
    """
    newest = images.newest
    if waiting.proposal is not None or newest is None or images.after_jump or waiting.stamp > newest:
        return None
    if queue.has_room(waiting, newest, snapshot.object_ids, snapshot.max_objects):
        return None
    return f"the limit of tracked objects ({snapshot.max_objects}) is reached; remove one first"


def turn(waiting: WaitingPrompt, images: ImageStamps, now: float, last_step: float) -> Turn:
    """What becomes of a waiting prompt.

    Args:
        now: s of the monotonic clock.
        last_step: s of the monotonic clock, when an image was processed last.
    """
    stamp, stamps = waiting.stamp, images.processed.stamps
    late = now >= waiting.deadline
    if stamps and not late and images.is_after_jump(stamp):
        return Turn.WAITS  # its image is about to be processed
    coming = images.newest_coming
    none_coming = coming is None or coming < stamp
    if stamps:
        newest_will_do = none_coming and waiting.means_newest
        if newest_will_do or stamp <= stamps[-1] or images.processed.find(stamp) is not None:
            return Turn.DUE
    if late and (none_coming or last_step < waiting.since):  # images may all fail
        return Turn.EXPIRED
    if stamps and is_too_far_ahead(waiting, images.newest):
        return Turn.EXPIRED
    return Turn.WAITS


def expiry(waiting: WaitingPrompt, images: ImageStamps) -> str:
    """Why a prompt has expired."""
    stamps = images.processed.stamps
    if not stamps:
        return "no image has been processed yet; prompt once images arrive"
    return ahead_of_newest(waiting.stamp, stamps[-1])


def is_too_far_ahead(waiting: WaitingPrompt, newest: int | None) -> bool:
    """Whether no image with a prompt's stamp can come in time. `newest` is the newest stamp that has come, ns."""
    if newest is None or waiting.means_newest:
        return False
    return waiting.stamp - newest > 1e9 * (1 + MAX_PLAYBACK_RATE * (waiting.deadline - waiting.since))


def ahead_of_newest(stamp: int, newest: int) -> str:
    """The reason for a refusal: no image with this stamp has come. Both are ns."""
    return (
        f"no image with this stamp or a newer one could be processed: it is {(stamp - newest) / 1e9:.3f} s ahead of"
        " the newest image. Use the stamp of an image (0: the newest)"
    )


def round_robin(prompts: Iterable[WaitingPrompt]) -> list[WaitingPrompt]:
    """One prompt of each source in turn, those of one source in their order."""
    count: Counter[str] = Counter()
    rounds = []
    for waiting in prompts:
        rounds.append((count[waiting.source.name], waiting))
        count[waiting.source.name] += 1
    return [waiting for _, waiting in sorted(rounds, key=lambda pair: pair[0])]
