"""Passes of a tracker over a recording: forwards from the prompts on, and backwards from them to the first image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from sam2_ros.recordings.masklet_store import MaskletStore
from sam2_ros.recordings.pass_progress import COMMIT_PERIOD, Pace, from_bytes, taken_up, to_bytes
from sam2_ros.recordings.prompts import ScheduledPrompt, first_frames
from sam2_ros.recordings.recording import Recording
from sam2_ros.tracking.pixels import check_large_enough
from sam2_ros.tracking.prompt import MAX_CLICKS, Prompt, PromptError
from sam2_ros.tracking.tracker import Tracker

FORWARDS, BACKWARDS = "forwards", "backwards"
"""Names of the passes."""

CHECKED_FRAMES = 64
"""Maximum number of prompted images that are read to check prompts before the first pass. Prompts of the others are
checked with the size of the last one."""

OnProgress = Callable[[int, int, str], None]
"""Called with the number of images that are done, that of all passes together, and the name of the pass."""


def track(
    recording: Recording,
    prompts: Sequence[ScheduledPrompt],
    tracker: Tracker,
    store: MaskletStore,
    *,
    backward: bool = True,
    on_progress: OnProgress = lambda done, total, what: None,
    commit_period: float = COMMIT_PERIOD,
) -> None:
    """Track the prompted objects through a recording; go on where an earlier call was killed.

    Every image is processed, in order. On each, the objects so far are tracked, and then its prompts are applied, in
    the given order: the masklets are those of a node with `keep_all`. Then, backwards, the objects are followed from
    their first prompts to the first image; frames after the first prompt stay as they are. Damaged images are left out.

    Args:
        prompts: every one with an object ID.
        tracker: of the network and with the settings to use; `history=1` is enough. It is reset.
        store: gets the masks. Its run must be that of this recording, these prompts and this tracker.
        backward: whether to follow objects backwards as well.
        commit_period: seconds, at least, between commits to the store.

    Raises:
        PromptError: a prompt cannot be applied; the message names it. Nearly all are found before the first image is
            processed; otherwise the last commit stays in the store.
        OSError: the store cannot be written, or the recording cannot be read.
    """
    ordered = sorted(prompts, key=lambda scheduled: scheduled.frame)
    if store.pass_state(FORWARDS) is None:
        check_prompts(recording, ordered, tracker)
    ahead, begin = len(recording.span), max(first_frames(ordered).values(), default=0)
    behind = max(0, begin - recording.span.start) if backward else 0
    total = ahead + behind
    _forwards(recording, ordered, tracker, store, Pace(commit_period), lambda done: on_progress(done, total, FORWARDS))
    if behind:
        other = tracker.sibling()
        _backwards(
            recording,
            begin,
            other,
            store,
            Pace(commit_period),
            lambda done: on_progress(ahead + done, total, BACKWARDS),
        )


def lost_objects(store: MaskletStore) -> dict[int, int]:
    """Objects that were given up before the last image, because a GPU was out of memory: the last image of each."""
    end = store.last_frame
    return {object_id: last for object_id, last in store.last_frames.items() if last != end}


def check_prompts(recording: Recording, prompts: Iterable[ScheduledPrompt], tracker: Tracker) -> None:
    """Check prompts as far as that is possible without the network. Raises PromptError, which names the prompt."""
    by_frame = _by_frame(prompts)
    for frame, here in by_frame.items():
        if frame not in recording.span:
            raise _refused(here[0], f"the frames are {recording.span[0]} to {recording.span[-1]}")
    size: tuple[int, int] | None = None
    clicks: dict[int, tuple[int, int]] = {}
    for number, here in enumerate(by_frame.values()):
        if number < CHECKED_FRAMES or size is None:
            size = _size_of(recording, here[0])
            checked = _checked(here, size, tracker)
        else:
            try:  # most recordings have images of one size
                checked = _checked(here, size, tracker)
            except PromptError:
                checked = _checked(here, _size_of(recording, here[0]), tracker)
        for scheduled, prompt in zip(here, checked, strict=True):
            _check_together(scheduled, prompt, clicks, tracker.max_objects)


def _size_of(recording: Recording, scheduled: ScheduledPrompt) -> tuple[int, int]:
    """Height and width of a prompted image. Raises PromptError if it is damaged."""
    for image in recording.images(scheduled.frame, scheduled.frame + 1):
        height, width, _ = image.pixels.shape
        return height, width
    raise _damaged(recording, scheduled)


def _checked(prompts: Iterable[ScheduledPrompt], size: tuple[int, int], tracker: Tracker) -> list[Prompt]:
    """Prompts as the tracker reads them for an image of this size."""
    checked = []
    for scheduled in prompts:
        try:
            prompt = scheduled.prompt.checked(*size, may_name=True)
            if prompt.mask is not None:
                check_large_enough(prompt.mask, tracker.network.config.shape(*size))
        except PromptError as error:
            raise _refused(scheduled, error) from error
        checked.append(prompt)
    return checked


def _check_together(
    scheduled: ScheduledPrompt, prompt: Prompt, clicks: dict[int, tuple[int, int]], max_objects: int
) -> None:
    """Check a prompt with those before it.

    Args:
        clicks: the frame that each object was prompted on last, and how many of its clicks count there; is updated.
    """
    if not prompt.object_id:
        raise _refused(scheduled, "it has no object ID")
    starts = prompt.object_id not in clicks
    if starts and len(clicks) == max_objects:
        raise _refused(scheduled, f"the limit of tracked objects ({max_objects}) is reached")
    shown = prompt.box is not None or prompt.mask is not None
    if (starts or prompt.replace) and not shown and not any(click.positive for click in prompt.clicks):
        raise _refused(scheduled, "only negative clicks; a new object needs a positive click, a box or a mask")
    frame, before = clicks.get(prompt.object_id, (scheduled.frame, 0))
    count = len(prompt.clicks) + (0 if frame != scheduled.frame or shown or prompt.replace else before)
    if count > MAX_CLICKS:
        raise _refused(scheduled, f"{count} clicks on one frame; at most {MAX_CLICKS} are used")
    clicks[prompt.object_id] = scheduled.frame, count


def _forwards(
    recording: Recording,
    prompts: Sequence[ScheduledPrompt],
    tracker: Tracker,
    store: MaskletStore,
    pace: Pace,
    on_progress: Callable[[int], None],
) -> None:
    """Track every object from its first prompt to the last image."""
    by_frame = _by_frame(prompts)
    first = recording.span.start
    next_frame = taken_up(FORWARDS, first, tracker, store)
    if next_frame is None:
        return
    on_progress(next_frame - first)
    for image in recording.images(next_frame):
        _check_damaged(recording, by_frame, range(next_frame, image.index))
        frame = tracker.step(image.pixels, image.stamp)
        for scheduled in by_frame.get(image.index, ()):
            _apply(scheduled, tracker, store)
        newest = tracker.newest or frame
        store.add_frame(image.index, image.stamp, frame.height, frame.width)
        store.add(image.index, newest.masklets)
        next_frame = image.index + 1
        pace.commit(store, FORWARDS, next_frame, tracker)
        on_progress(next_frame - first)
    _check_damaged(recording, by_frame, range(next_frame, recording.span.stop))
    store.commit(FORWARDS, recording.span.stop, done=True)
    on_progress(len(recording.span))


def _apply(scheduled: ScheduledPrompt, tracker: Tracker, store: MaskletStore) -> None:
    """Apply a prompt to the newest image, and store what the pass backwards needs of its object."""
    object_id = scheduled.prompt.object_id
    try:
        tracker.prompt(scheduled.prompt)
    except PromptError as error:
        raise _refused(scheduled, error) from error
    tracked = tracker.objects[object_id]
    store.add_object(object_id, tracked.label, store.first_frames.get(object_id, scheduled.frame))
    first = next(iter(tracked.bank.prompted))
    start = store.start_of(object_id)
    if start is None or from_bytes(start)["first"] == first:  # otherwise it was replaced, which is no past of it
        memories = [[index - first, map.cpu().clone(), pointer.cpu().clone()]
                    for index, (map, pointer) in tracked.bank.prompted.items()]  # fmt: skip
        store.keep_start(object_id, to_bytes({"first": first, "memories": memories}))


def _backwards(
    recording: Recording,
    begin: int,
    tracker: Tracker,
    store: MaskletStore,
    pace: Pace,
    on_progress: Callable[[int], None],
) -> None:
    """Track every object from before its first prompt, at most on image `begin`, to the first image.

    Time is mirrored: what the object looks like on its prompted frames is its past.
    """
    next_frame = taken_up(BACKWARDS, begin - 1, tracker, store)
    if next_frame is None:
        return
    on_progress(begin - 1 - next_frame)
    first_frames, labels = store.first_frames, store.labels
    for image in recording.images_backwards(next_frame):
        for object_id, first_frame in first_frames.items():
            if image.index < first_frame <= next_frame + 1:
                start = from_bytes(store.start_of(object_id) or b"")
                memories = [(1 + later, map, pointer) for later, map, pointer in start["memories"]]
                tracker.adopt(object_id, labels[object_id], memories)
        store.add(image.index, tracker.step(image.pixels).masklets)
        next_frame = image.index - 1
        pace.commit(store, BACKWARDS, next_frame, tracker)
        on_progress(begin - 1 - next_frame)
    store.commit(BACKWARDS, recording.span.start - 1, done=True)
    on_progress(begin - recording.span.start)


def _by_frame(prompts: Iterable[ScheduledPrompt]) -> dict[int, list[ScheduledPrompt]]:
    """Prompts by frame, ascending; those of one frame as they were given."""
    by_frame: dict[int, list[ScheduledPrompt]] = {}
    for scheduled in sorted(prompts, key=lambda scheduled: scheduled.frame):
        by_frame.setdefault(scheduled.frame, []).append(scheduled)
    return by_frame


def _check_damaged(recording: Recording, by_frame: Mapping[int, Sequence[ScheduledPrompt]], left_out: range) -> None:
    """Raise PromptError if there is a prompt for an image that was left out."""
    for frame in left_out:
        if frame in by_frame:
            raise _damaged(recording, by_frame[frame][0])


def _damaged(recording: Recording, scheduled: ScheduledPrompt) -> PromptError:
    reason = recording.damaged.get(scheduled.frame, "it cannot be decoded")
    return _refused(scheduled, f"this image is damaged ({reason}); prompt another one")


def _refused(scheduled: ScheduledPrompt, reason: object) -> PromptError:
    return PromptError(f"{scheduled.described}: {reason}")
