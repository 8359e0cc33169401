"""The schedule of prompts: each on its image of the recording, checked against it, and for an object with a number."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count

from sam2_ros.data.timed_prompt import TimedPrompt
from sam2_ros.recordings.prompts import ScheduledPrompt
from sam2_ros.recordings.recording import Recording
from sam2_ros.tracking.object_ids import ObjectIds
from sam2_ros.tracking.pixels import check_large_enough
from sam2_ros.tracking.prompt import MAX_OBJECT_ID, Prompt, PromptError

MAX_DISTANCE = 100
"""How many images before and after a damaged one are tried for its prompts."""


@dataclass(frozen=True)
class Schedule:
    """Prompts in the order in which they are applied."""

    prompts: Sequence[ScheduledPrompt]
    left_out: Sequence[str]
    """Names of prompts that cannot be applied, each with the reason."""


def schedule(
    prompts: Iterable[TimedPrompt],
    recording: Recording,
    shape: Callable[[int, int], tuple[int, int]] | None = None,
    as_the_node: bool = False,
) -> Schedule:
    """Find the image of each prompt, check the prompt against its size, and number new objects.

    A prompt without a moment is for the first image. One for a damaged image goes to the nearest that can be decoded,
    unless a person gave the number of the image.

    Args:
        shape: height and width of the network's input for an image of this height and width: masks are checked that
            are too small for it. None: they are not.
        as_the_node: the prompts are those that a node has received. It refuses single ones and goes on, so they are
            left out here; and an ID means the object that had it when the prompt came, also if the node had chosen it.
            False: they are a person's, who wants to know of the first that is wrong; and those without an ID start
            objects whose IDs no other prompt has.

    Raises:
        ValueError: a prompt cannot be applied; the message names it.
    """
    images = _Images(recording)
    left_out: list[str] = []
    placed: list[tuple[int, TimedPrompt]] = []
    for timed in prompts:
        try:
            placed.append((_frame(timed, recording), timed))
        except ValueError as error:
            _refuse(timed, error, left_out if as_the_node else None)
    placed.sort(key=lambda pair: pair[0])

    checked: list[tuple[int, TimedPrompt, Prompt]] = []
    for frame, timed in placed:
        try:
            image, height, width = images.nearest(
                frame, exact=timed.moment is not None and timed.moment.unit == "frame"
            )
            prompt = timed.prompt.checked(height, width, may_name=True)
            if prompt.mask is not None and shape is not None:
                check_large_enough(prompt.mask, shape(height, width))
            checked.append((image, timed, prompt))
        except ValueError as error:
            _refuse(timed, error, left_out if as_the_node else None)
    checked.sort(key=lambda entry: entry[0])

    numbers = _NodesNumbers() if as_the_node else _FreeNumbers({prompt.object_id for _, _, prompt in checked})
    objects: set[int] = set()
    scheduled = []
    for image, timed, prompt in checked:
        starts = prompt.replace or prompt.object_id not in objects
        if starts and prompt.box is None and prompt.mask is None and not any(click.positive for click in prompt.clicks):
            problem = PromptError("only negative clicks; a new object needs a positive click, a box or a mask")
            _refuse(timed, problem, left_out if as_the_node else None)
            continue
        object_id = numbers.number(prompt.object_id, objects)
        objects.add(object_id)
        scheduled.append(ScheduledPrompt(image, replace(prompt, object_id=object_id)))
    return Schedule(scheduled, left_out)


def _refuse(timed: TimedPrompt, error: ValueError, left_out: list[str] | None) -> None:
    """Note why a prompt cannot be applied; or, without a list for that, raise."""
    message = f"{timed.name}: {error}"
    if left_out is None:
        raise ValueError(message) from error
    left_out.append(message)


def _frame(timed: TimedPrompt, recording: Recording) -> int:
    """Index of a prompt's image. Raises ValueError: it is not tracked."""
    frames = recording.span
    if timed.moment is None:
        return frames.start
    frame = timed.moment.index(recording.stamps)
    if frame not in frames:
        raise ValueError(f"image {frame} is outside the stretch that is tracked, {frames.start} to {frames.stop - 1}")
    return frame


class _Images:
    """Sizes of images, each of which is decoded once."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._sizes: dict[int, tuple[int, int] | None] = {}

    def nearest(self, frame: int, exact: bool) -> tuple[int, int, int]:
        """The nearest image that can be decoded: its index, height and width. Raises ValueError: there is none.

        Args:
            exact: only this image itself.
        """
        for distance in range(1 if exact else MAX_DISTANCE):
            for index in dict.fromkeys((frame - distance, frame + distance)):
                if index in self._recording.span and (size := self._size(index)) is not None:
                    return index, *size
        reason = self._recording.damaged.get(frame, "it cannot be decoded")
        raise ValueError(f"image {frame} is damaged ({reason}); prompt another one")

    def _size(self, index: int) -> tuple[int, int] | None:
        if index not in self._sizes:
            image = next(iter(self._recording.images(index, index + 1)), None)
            self._sizes[index] = None if image is None else (image.pixels.shape[0], image.pixels.shape[1])
        return self._sizes[index]


class _NodesNumbers:
    """IDs as a node gives them."""

    def __init__(self) -> None:
        self._ids = ObjectIds()

    def number(self, given: int, objects: Collection[int]) -> int:
        object_id = given or self._ids.free(objects)
        if object_id not in objects:
            self._ids.use(object_id, objects, allocated=not given)
        return object_id


class _FreeNumbers:
    """IDs that no prompt has: ascending, for prompts without one."""

    def __init__(self, given: Collection[int]) -> None:
        self._free = (number for number in count(1) if number not in given)

    def number(self, given: int, _objects: Collection[int]) -> int:
        object_id = given or next(self._free)
        if object_id > MAX_OBJECT_ID:
            raise ValueError(f"there are more than {MAX_OBJECT_ID} objects")
        return object_id
