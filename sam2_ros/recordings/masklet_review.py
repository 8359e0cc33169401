"""Automatic masklets are reviewed when they are complete: duplicates and bad ones are rejected, with a reason."""

from __future__ import annotations

from dataclasses import dataclass

from sam2_ros.recordings.masklet_store import MaskletStore
from sam2_ros.tracking.masklet_quality import Lives


@dataclass(frozen=True)
class ReviewSettings:
    """When a masklet is rejected. Numbers of events are relative to the images on which it is visible.

    Raises:
        ValueError: a value is out of range; the message names it.
    """

    min_visible: int = 5
    """Images on which it has to be visible (all, in a shorter recording)."""
    min_iou: float = 0.4
    """Predicted IoU that it needs, on average."""
    max_returns: float = 0.05
    """It flickers if it comes back after images without a mask more often than that."""
    max_jumps: float = 0.1
    """It drifts if its mask jumps more often than that (`masklet_quality.JUMP_SHARE`)."""
    duplicate_iou: float = 0.6
    """Two are the same object if their IoU is higher, where both are visible."""
    max_filled: float = 0.5
    """It covers another one if that lies inside it and makes up most of it more often than that."""

    def __post_init__(self) -> None:
        if self.min_visible < 0:
            raise ValueError(f"min_visible is {self.min_visible}; it must be a number of images")
        for name in ("min_iou", "max_returns", "max_jumps", "duplicate_iou", "max_filled"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be from 0 to 1")


def review(store: MaskletStore, settings: ReviewSettings) -> None:
    """Reject masklets of a store (`verdicts`). The caller commits."""
    lives = Lives(list(store.labels))
    for frame in store.frames():
        present = [mask for mask in frame.masks if mask.present]
        lives.add(
            [mask.object_id for mask in present],
            [mask.counts for mask in present],
            [mask.iou for mask in present],
            frame.height,
            frame.width,
        )
    for object_id, reason in verdicts(lives, settings).items():
        store.reject(object_id, reason)


def verdicts(lives: Lives, settings: ReviewSettings) -> dict[int, str]:
    """Why masklets are rejected, by ascending ID; those that are accepted are not in it.

    Each is judged on its own first. Then, of the others, the best-rated first, each is compared with those that are
    better rated and accepted.
    """
    rejected = {i: reason for i in lives.object_ids if (reason := _fault(lives, i, settings))}
    accepted: list[int] = []
    for one in sorted(set(lives.object_ids) - set(rejected), key=lambda i: (-rating(lives, i), i)):
        reason = next(filter(None, (_repetition(lives, one, better, settings) for better in accepted)), "")
        if reason:
            rejected[one] = reason
        else:
            accepted.append(one)
    return dict(sorted(rejected.items()))


def rating(lives: Lives, object_id: int) -> float:
    """How much of the recording a masklet explains, and how well: its predicted IoU, summed over images."""
    life = lives.life(object_id)
    return life.iou * life.present


def _fault(lives: Lives, object_id: int, settings: ReviewSettings) -> str:
    """What is wrong with a masklet itself; empty: nothing."""
    life = lives.life(object_id)
    if life.present < min(settings.min_visible, lives.frames):
        return f"short-lived: visible on {life.present} of {lives.frames} images"
    if life.iou < settings.min_iou:
        return f"poor: a predicted IoU of {life.iou:.2f} on average"
    if life.returns > settings.max_returns * life.present:
        return f"flickers: it comes back {life.returns} times, and is visible on {life.present} images"
    if life.jumps > settings.max_jumps * life.present:
        return f"drifts: its mask jumps {life.jumps} times, and is visible on {life.present} images"
    return ""


def _repetition(lives: Lives, one: int, better: int, settings: ReviewSettings) -> str:
    """In what a masklet repeats a better-rated one; empty: in nothing."""
    present = lives.life(one).present
    together = lives.together(one, better)
    if 2 * together > present and (iou := lives.iou(one, better)) > settings.duplicate_iou:
        return f"repeats object {better}: an IoU of {iou:.2f} on {together} images"
    if (filled := lives.filled(one, better)) > settings.max_filled * present:
        return f"covers object {better}, which makes up most of it on {filled} of {present} images"
    return ""
