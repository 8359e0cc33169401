"""The recent past of a stream: the frames that can still be prompted, and the network's answers on them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from torch import Tensor

from sam2_ros.tracking.closer_look import CloserLook
from sam2_ros.tracking.encoded_image import EncodedImage
from sam2_ros.tracking.prompt import PromptError, describe, whole_number


class StampError(ValueError):
    """An image is not newer than the one before it. Call `Tracker.reset` after time has jumped back on purpose."""


@dataclass(frozen=True)
class Answer:
    """The network's output for one object on one frame."""

    logits: Tensor
    """Mask logits at stride 4: [h, w]."""
    iou: float
    """Predicted IoU, 0 .. 1."""
    presence_logit: float
    exact_mask: np.ndarray | None = None
    """The answer itself where it is known to the pixel, bool [H, W] of the image's size: the mask of a prompt with
    neither box nor clicks, or that of a closer look."""
    closer_look: CloserLook | None = None
    """Where `exact_mask` comes from, if it is not from a prompt."""


@dataclass(frozen=True)
class HistoryFrame:
    """A frame of the history: its encoded image, and the answers for the objects on it."""

    index: int
    """Images since the start of the stream."""
    stamp: int
    """Time of the image, ns."""
    image: EncodedImage
    answers: dict[int, Answer] = field(default_factory=dict)
    """Answers by object ID, for objects that were prompted or tracked on this frame."""


class History:
    """The newest frames of a stream, oldest first. Not thread-safe.

    Args:
        max_frames: maximum number of stored frames, at least 1.
    """

    def __init__(self, max_frames: int) -> None:
        self.max_frames = max_frames
        self.next_index = 0
        """Index of the next frame that is appended."""
        self.last_stamp: int | None = None
        """Of the frame that was appended last, ns, also if it is not stored any more; None: there was none."""
        self._frames: deque[HistoryFrame] = deque(maxlen=max_frames)

    def __len__(self) -> int:
        return len(self._frames)

    def __iter__(self) -> Iterator[HistoryFrame]:
        return iter(self._frames)

    @property
    def newest(self) -> HistoryFrame:
        """The frame that was appended last. Raises IndexError when there is none."""
        return self._frames[-1]

    @property
    def stamps(self) -> tuple[int, ...]:
        """Stamps of all frames, ascending, ns."""
        return tuple(frame.stamp for frame in self._frames)

    def clear(self) -> None:
        """Drop all frames; indices restart at 0."""
        self._frames.clear()
        self.next_index, self.last_stamp = 0, None

    def next_stamp(self, stamp: int | None = None) -> int:
        """The stamp of the next frame, ns; None: one more than the last frame's.

        Raises:
            StampError: the stamp is not a whole number, or not after the last frame's.
        """
        last = self.last_stamp
        if stamp is None:
            return 0 if last is None else last + 1
        stamp = _whole(stamp, StampError)
        if last is not None and stamp <= last:
            raise StampError(f"stamp {stamp} ns is not after {last} ns; call reset() if time has jumped back")
        return stamp

    def append(self, frame: HistoryFrame) -> None:
        """Add the next frame; of more than `max_frames`, the oldest is dropped."""
        self._frames.append(frame)
        self.next_index, self.last_stamp = frame.index + 1, frame.stamp

    def nearest(self, stamp: int | None = None) -> HistoryFrame:
        """The frame whose stamp is nearest to this one, ns; None: the newest frame.

        Raises:
            PromptError: there is no frame, or the stamp lies outside the history or is not a whole number.
        """
        if not self._frames:
            raise PromptError("no image has been seen yet; prompt once images arrive")
        oldest, newest = self._frames[0], self._frames[-1]
        if stamp is None:
            return newest
        stamp = _whole(stamp, PromptError)
        if stamp < oldest.stamp:
            age, reach = (newest.stamp - stamp) / 1e9, (newest.stamp - oldest.stamp) / 1e9
            raise PromptError(
                f"the prompted image is {age:.3f} s older than the newest, but the history of {len(self)} "
                f"frames reaches back {reach:.3f} s; prompt a newer image or keep a longer history"
            )
        if stamp > newest.stamp:
            raise PromptError(f"the prompted image ({stamp} ns) has not been seen yet; the newest is {newest.stamp} ns")
        return min(self._frames, key=lambda frame: abs(frame.stamp - stamp))

    def with_index(self, index: int) -> HistoryFrame:
        """The frame with this index. Raises KeyError when there is none."""
        for frame in self._frames:
            if frame.index == index:
                return frame
        raise KeyError(index)

    def restamp(self, stamps: tuple[int, ...]) -> None:
        """Replace the stamps, ns, of the last frames, one for each of `stamps`.

        Raises:
            StampError: they are not ascending whole numbers after the frame before them, or there are fewer frames.
                Nothing has changed.
        """
        if not 0 < len(stamps) <= len(self._frames):
            number = f"only {len(self._frames)}" if self._frames else "no"
            raise StampError(f"there are {number} frames to give {len(stamps)} other stamps")
        stamps = tuple(_whole(stamp, StampError) for stamp in stamps)
        stored = list(self._frames)
        unchanged, restamped = stored[: -len(stamps)], stored[-len(stamps) :]
        for before, after in pairwise([*(frame.stamp for frame in unchanged[-1:]), *stamps]):
            if after <= before:
                raise StampError(f"stamp {after} ns is not after {before} ns, that of the frame before")
        restamped = [replace(frame, stamp=stamp) for frame, stamp in zip(restamped, stamps, strict=True)]
        self._frames = deque(unchanged + restamped, self.max_frames)
        self.last_stamp = stamps[-1]

    def with_answers(self, object_id: int, answers: Mapping[int, Answer | None]) -> History:
        """A copy of the history with some answers for one object replaced; this history stays unchanged.

        Args:
            answers: new answers by frame index; None: the object is unknown on that frame. Answers on other frames
                stay.
        """
        history = History(self.max_frames)
        for frame in self._frames:
            changed = frame.answers | {object_id: answers.get(frame.index, frame.answers.get(object_id))}
            known = {key: answer for key, answer in changed.items() if answer is not None}
            history._frames.append(replace(frame, answers=known))
        history.next_index, history.last_stamp = self.next_index, self.last_stamp
        return history

    def forget(self, object_id: int) -> None:
        """Drop all answers for an object."""
        for frame in self._frames:
            frame.answers.pop(object_id, None)


def _whole(stamp: object, error: type[ValueError]) -> int:
    """A stamp as Python's int: NumPy's integers wrap around in subtractions."""
    number = whole_number(stamp)
    if number is None:
        raise error(f"the stamp is {describe(stamp)}; it must be that of an image, a whole number of ns")
    return number
