"""Promptable visual segmentation over a stream that never ends (SAM 2 paper, sections 3 and 4).

A frame travels one way: image -> features (once) -> features conditioned on each object's memory -> mask -> memory.
Objects are independent of each other and go through the network side by side. The features of the last frames are kept,
so that a prompt which was made on one of them is applied there and carried forward to now.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain, pairwise
from numbers import Real
from threading import Lock
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from sam2_ros.acceleration import Capacity, Network, accelerated, choice_of
from sam2_ros.checkpoints.load import check_memory
from sam2_ros.model.sam2 import SAM2, Decoded, ImageFeatures
from sam2_ros.tracking import pixels
from sam2_ros.tracking.graphed_pixels import GraphedPixels
from sam2_ros.tracking.masklet import BOX_MIN_PART, Frame, Masklet
from sam2_ros.tracking.memory_bank import MemoryBank, most_recalled, recall_all
from sam2_ros.tracking.pixels import EARLIER_LOGITS_LIMIT, prompt_to_network, to_points
from sam2_ros.tracking.prompt import MAX_CLICKS, MAX_OBJECT_ID, Box, Click, Prompt, PromptError, what, whole_number

log = logging.getLogger("sam2_ros")

DTYPES = (None, torch.float32, torch.bfloat16, torch.float16)


class StampError(ValueError):
    """An image that is not newer than the one before it. Call `reset` when time has jumped back on purpose."""


@dataclass(frozen=True)
class EncodedImage:
    """An image as the network sees it, without what is tracked on it."""

    height: int
    width: int
    features: ImageFeatures

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of its stride-16 features."""
        rows, columns = self.features.stride16.shape[2:]
        return rows, columns

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of what the network saw, pixels."""
        rows, columns = self.grid
        return 16 * rows, 16 * columns


@dataclass(frozen=True)
class Answer:
    """What the network said of one object on one frame."""

    logits: Tensor
    """At a quarter of the height and width that the network sees: [h, w]."""
    iou: float
    presence_logit: float
    given: np.ndarray | None = None
    """The mask of the prompt, where it was one that the network has not changed: bool [H, W] of the image's size."""


@dataclass(frozen=True)
class SeenFrame:
    """An image of the recent past: its features, and what is known of every object on it."""

    index: int
    """Images since the start of the stream."""
    stamp: int
    image: EncodedImage
    answers: dict[int, Answer] = field(default_factory=dict)


@dataclass
class TrackedObject:
    """An object that somebody has pointed at."""

    object_id: int
    label: str
    bank: MemoryBank
    prompts: dict[int, tuple[Box | None, tuple[Click, ...]]] = field(default_factory=dict)
    """Box and clicks so far, by frame index."""
    unfollowed: set[int] = field(default_factory=set)
    """Prompted frames through which it has not been tracked yet: on them its prompts alone count, and no memory."""

    def copy(self) -> TrackedObject:
        """An object that can change while this one stays."""
        return TrackedObject(self.object_id, self.label, self.bank.copy(), dict(self.prompts), set(self.unfollowed))


class Tracker:
    """Follows objects through a stream of images.

    Not thread-safe: one thread owns it. Only `encode` may be called from another.

    Args:
        model: in eval mode; or a network that is accelerated already (`sam2_ros.acceleration.accelerate`), which many
            trackers may share; or `OnnxNetwork`, its exported graphs.
        history: how many frames are kept for late prompts, the newest included.
        max_objects: how many objects may be tracked at once.
        prompted_memories: how many prompted frames of an object are remembered: the first, and the latest others. Each
            costs time in every frame, for as long as the object is tracked.
        non_overlap_masks: each pixel belongs to one object at most, to the one that is most certain of it, as in Meta's
            results for data sets whose masks don't overlap. Only what is shown changes: every object is tracked, and
            remembered, as if it were alone.
        box_min_part: parts of a mask with fewer pixels than this share of its largest part don't count for
            `Masklet.box`, so that a few stray pixels don't widen it; the mask stays as it is. 0: all count.
        dtype: the precision of the computation; None: on a CUDA GPU the half precision that suits the weights (`half`
            of its config), float32 elsewhere. Where rounding would decide a result, it is float32 in any case.
        accelerate: take everything that is fast on this machine: kernels, and CUDA graphs on a GPU. They are compiled
            and recorded now, not when images wait, but for graphs of unusual shapes. False: the network as the paper
            defines it, in PyTorch's operations alone, for comparison.

    Raises:
        ValueError: a number is too small or not whole, or `dtype` or `accelerate` is something else.
        CheckpointError: the model's weights came without those of the memory.
        TypeError: the model is none, but a name or a path, for instance.
    """

    def __init__(
        self,
        model: SAM2 | Network,
        *,
        history: int = 16,
        max_objects: int = 16,
        prompted_memories: int = 4,
        non_overlap_masks: bool = False,
        box_min_part: float = BOX_MIN_PART,
        dtype: torch.dtype | None = None,
        accelerate: bool = True,
    ) -> None:
        if not hasattr(model, "encode_image"):
            raise TypeError(f"the model is {what(model)}; give load_model(name) or load_model(checkpoint=path)")
        history = _at_least("history", history, 1)
        max_objects = _at_least("max_objects", max_objects, 1)
        prompted_memories = _at_least("prompted_memories", prompted_memories, 2)  # the first and the latest
        if dtype not in DTYPES:
            raise ValueError(f"dtype is {dtype}; it must be None or one of {', '.join(map(str, DTYPES[1:]))}")
        if max_objects > MAX_OBJECT_ID:
            raise ValueError(f"max_objects is {max_objects}; there are {MAX_OBJECT_ID} IDs")
        if not _is_share(box_min_part):
            raise ValueError(f"box_min_part is {box_min_part}; it must be a share from 0 to 1")
        if not isinstance(accelerate, bool):
            raise ValueError(f"accelerate is {accelerate!r}; it must be True or False")
        check_memory(model)
        recalled = (prompted_memories + reach for reach in most_recalled(model.config))
        self.network = accelerated(model, dtype, Capacity(max_objects, *recalled), accelerate)
        self.dtype = choice_of(self.network).dtype
        self.max_objects = max_objects
        self._prompted_memories = prompted_memories
        self._non_overlap_masks = non_overlap_masks
        self._box_min_part = box_min_part
        self._history: deque[SeenFrame] = deque(maxlen=history)
        self.reset()
        self._encoding = Lock()  # recordings have one place for the image
        graphs = choice_of(self.network).graphs
        self._pixels: GraphedPixels | ModuleType = GraphedPixels(max_objects) if graphs else pixels

    def reset(self) -> None:
        """Forget all objects and frames; IDs start again at 1."""
        self._history.clear()
        self._objects: dict[int, TrackedObject] = {}
        self._next_id = 1
        self._given_ids: set[int] = set()
        self._frames_seen = 0
        self._newest: Frame | None = None

    @property
    def newest(self) -> Frame | None:
        """The newest frame, with all objects as they are known now; None before the first image."""
        if self._newest is None and self._history:
            self._newest = self.frame_at()
        return self._newest

    @property
    def labels(self) -> dict[int, str]:
        """Labels of the tracked objects, by ascending ID."""
        return {object_id: self._objects[object_id].label for object_id in sorted(self._objects)}

    @property
    def stamps(self) -> tuple[int, ...]:
        """Stamps of the frames that can still be prompted, ascending, ns."""
        return tuple(seen.stamp for seen in self._history)

    def encode(self, image: np.ndarray) -> EncodedImage:
        """The first part of `step`, which needs nothing of what is tracked.

        It may run in another thread, for the next image, while objects are still being found in this one.

        Args:
            image: uint8 [H, W, 3], RGB. OpenCV reads BGR: image[..., ::-1]. Of a PIL image:
                np.asarray(image.convert("RGB")).

        Raises:
            ValueError: the image is of another type or shape; what makes one of it.
        """
        with self._encoding, torch.no_grad():
            seen = self._pixels.to_network(image, self.network.config, self.network.device)
            height, width, _ = image.shape
            return EncodedImage(height, width, self.network.encode_image(seen))

    def step(self, image: np.ndarray | EncodedImage, stamp: int | None = None) -> Frame:
        """See the next image and find all objects in it.

        Args:
            image: as in `encode`; or what that has made of it. Size and aspect may change at any frame.
            stamp: time of the image, ns; None: one more than the last.

        Raises:
            StampError: the image is not newer than the one before it, or the stamp is no whole number.
            ValueError: the image is of another type or shape.
        """
        last = self._history[-1].stamp if self._history else -1
        stamp = last + 1 if stamp is None else _stamp(stamp, StampError)
        if self._history and stamp <= last:
            raise StampError(f"stamp {stamp} ns is not after {last} ns; call reset() if time has jumped back")
        encoded = image if isinstance(image, EncodedImage) else self.encode(image)
        seen = SeenFrame(self._frames_seen, stamp, encoded)
        with torch.no_grad():
            masks = self._track_what_fits(seen)
            newest = self._frame(seen, self._objects, masks)
        for tracked in self._objects.values():
            tracked.unfollowed.discard(seen.index - 1)
        self._frames_seen += 1
        self._history.append(seen)
        self._newest = newest
        return newest

    def restamp(self, *stamps: int) -> None:
        """Give the newest frames other times, ns, where their own were wrong or the clock was put back.

        What is tracked stays as it is.

        Args:
            stamps: ascending, one each for the last frames of the history; the last of them is the newest frame's.

        Raises:
            StampError: they do not ascend or are not after the frame before them, or there are not so many frames.
        """
        if not 0 < len(stamps) <= len(self._history):
            frames = f"only {len(self._history)}" if self._history else "no"
            raise StampError(f"there are {frames} frames to give {len(stamps)} other stamps")
        stamps = tuple(_stamp(stamp, StampError) for stamp in stamps)
        history = list(self._history)
        kept = history[: -len(stamps)]
        in_order = [*(seen.stamp for seen in kept[-1:]), *stamps]
        for before, after in pairwise(in_order):
            if after <= before:
                raise StampError(f"stamp {after} ns is not after {before} ns, that of the frame before")
        moved = [replace(seen, stamp=stamp) for seen, stamp in zip(history[len(kept) :], stamps, strict=True)]
        self._history = deque(kept + moved, self._history.maxlen)
        if self._newest is not None:
            self._newest = replace(self._newest, stamp=stamps[-1])

    def prompt(self, prompt: Prompt, stamp: int | None = None, *, carry: bool = True) -> Masklet:
        """Say where an object is, on the newest frame or on one of the history.

        The answer holds for the prompted frame. From there the object is carried forward to the newest frame, whose
        `Frame` (`newest`) then holds it too. Clicks on one frame add up; a new box or mask on it starts afresh. A mask
        without box and clicks is taken as the truth: it is the object's mask on its frame, pixel by pixel.

        Args:
            prompt: in pixels of the prompted image.
            stamp: of the image that was prompted, ns; the nearest frame of the history is taken. None: the newest.
            carry: whether to carry the object forward. False, for the first of several prompts on an old frame: later
                frames keep what was known there, or know nothing yet (nor after `replace`), until `retrack`.

        Raises:
            PromptError: the prompt cannot be followed. Nothing tracked has changed.
        """
        if not isinstance(prompt, Prompt):
            raise PromptError(f"got {type(prompt).__name__} for a prompt; give Prompt(clicks=[(x, y)]), for instance")
        seen = self._seen_at(stamp)
        prompt = prompt.checked(seen.image.height, seen.image.width)
        tracked = self._object_for(prompt)
        # All is worked out on copies and put in place at the end: a failure leaves everything as it was.
        answers: dict[int, Answer | None] = {}
        if prompt.replace:  # later frames, too: what was known there is of what the object is no more
            answers = dict.fromkeys(frame.index for frame in self._history)
        with self._enough_memory():
            answers[seen.index] = self._answer(prompt, tracked, seen)
            if carry:
                answers |= self._carried(tracked, seen.index)
            objects, history = self._with(tracked, answers)
            (prompted,) = (frame for frame in history if frame.index == seen.index)
            masklet = self._masklets(prompted, objects, [tracked.object_id])[0]
            newest = self._frame(history[-1], objects)
        if tracked.object_id not in self._objects:
            self._take_id(tracked.object_id, free=not prompt.object_id)
        self._put_in_place(objects, history, newest)
        return masklet

    def retrack(self, object_id: int, stamp: int | None = None) -> None:
        """Find an object anew on the frames of the history, with all that its prompts have said.

        A prompt changes what comes after it. This lets it change what came before it, too: for recordings, where the
        history is as long as the recording (SAM 2 paper, section 6.1, "offline"). Prompted frames stay as they are.

        Args:
            stamp: only frames after this one, ns. None: all from the first that was prompted.

        Raises:
            PromptError: no such object is tracked, or the GPU's memory does not suffice. Nothing tracked has changed.
        """
        tracked = self._known(object_id).copy()
        start = next(iter(tracked.bank.prompted)) if stamp is None else self._seen_at(stamp).index
        with self._enough_memory():
            objects, history = self._with(tracked, self._carried(tracked, start))
            newest = self._frame(history[-1], objects)
        self._put_in_place(objects, history, newest)

    def frame_at(self, stamp: int | None = None) -> Frame:
        """The frame of the history that is nearest to a stamp (None: the newest), with all objects as known now.

        Raises:
            PromptError: no image has been seen, or the stamp lies outside the history.
        """
        with torch.no_grad():
            return self._frame(self._seen_at(stamp), self._objects)

    def remove(self, object_id: int) -> None:
        """Stop tracking an object and forget it.

        Raises:
            PromptError: no such object is tracked.
        """
        object_id = self._known(object_id).object_id
        del self._objects[object_id]
        for seen in self._history:
            seen.answers.pop(object_id, None)
        if self._non_overlap_masks:
            self._newest = None  # the others get back what was cut off for it
        elif self._newest is not None:
            kept = tuple(masklet for masklet in self._newest.masklets if masklet.object_id != object_id)
            self._newest = replace(self._newest, masklets=kept)

    def _known(self, object_id: int) -> TrackedObject:
        if (number := whole_number(object_id)) is None:
            raise PromptError(f"object_id is {what(object_id)}; it must be the number of a tracked object")
        object_id = number
        if object_id not in self._objects:
            known = ", ".join(str(known) for known in sorted(self._objects)) or "none"
            raise PromptError(f"no object {object_id} is tracked; tracked: {known}")
        return self._objects[object_id]

    @contextmanager
    def _enough_memory(self) -> Iterator[None]:
        """Without gradients; where the memory of the GPU does not suffice, raise PromptError."""
        try:
            with torch.no_grad():
                yield
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise PromptError("the GPU is out of memory; remove an object or choose a smaller model") from error

    def _with(
        self, tracked: TrackedObject, answers: Mapping[int, Answer | None]
    ) -> tuple[dict[int, TrackedObject], list[SeenFrame]]:
        """All objects and the history, with one object and its answers by frame index; None: it is not known there."""
        history = []
        for seen in self._history:
            known = seen.answers | {tracked.object_id: answers.get(seen.index, seen.answers.get(tracked.object_id))}
            history.append(replace(seen, answers={key: one for key, one in known.items() if one is not None}))
        return self._objects | {tracked.object_id: tracked}, history

    def _put_in_place(self, objects: dict[int, TrackedObject], history: list[SeenFrame], newest: Frame) -> None:
        self._objects = objects
        self._history = deque(history, self._history.maxlen)
        self._newest = newest

    def _seen_at(self, stamp: int | None) -> SeenFrame:
        """The frame of the history that is nearest to a stamp."""
        if not self._history:
            raise PromptError("no image has been seen yet; prompt once images arrive")
        oldest, newest = self._history[0], self._history[-1]
        if stamp is None:
            return newest
        stamp = _stamp(stamp, PromptError)
        if stamp < oldest.stamp:
            late = (newest.stamp - stamp) / 1e9
            kept = (newest.stamp - oldest.stamp) / 1e9
            raise PromptError(
                f"the prompted image is {late:.3f} s older than the newest, but the history of {len(self._history)} "
                f"frames reaches back {kept:.3f} s; prompt a newer image or keep a longer history"
            )
        if stamp > newest.stamp:
            raise PromptError(f"the prompted image ({stamp} ns) has not been seen yet; the newest is {newest.stamp} ns")
        return min(self._history, key=lambda seen: abs(seen.stamp - stamp))

    def _object_for(self, prompt: Prompt) -> TrackedObject:
        """A copy of the prompted object, or a new one."""
        known = self._objects.get(prompt.object_id)
        if known is not None and not prompt.replace:
            tracked = known.copy()
            tracked.label = prompt.label or known.label
            return tracked
        if known is None and len(self._objects) >= self.max_objects:
            raise PromptError(f"the limit of tracked objects ({self.max_objects}) is reached; remove one first")
        if prompt.box is None and prompt.mask is None and not any(click.positive for click in prompt.clicks):
            raise PromptError("only negative clicks; a new object needs a positive click, a box or a mask")
        return TrackedObject(
            object_id=prompt.object_id or self._free_id(),
            label=prompt.label or (known.label if known else ""),
            bank=MemoryBank(self.network.config, self._history.maxlen or 1, self._prompted_memories),
        )

    def _free_id(self) -> int:
        """The next that was never given; when all have been given, they begin again."""
        taken = self._given_ids if len(self._given_ids) < MAX_OBJECT_ID else self._objects
        following = chain(range(self._next_id, MAX_OBJECT_ID + 1), range(1, self._next_id))
        return next(number for number in following if number not in taken)

    def _take_id(self, object_id: int, free: bool) -> None:
        if len(self._given_ids) == MAX_OBJECT_ID:
            self._given_ids = set(self._objects)
        self._given_ids.add(object_id)
        if free or object_id >= self._next_id:
            self._next_id = object_id + 1

    def _answer(self, prompt: Prompt, tracked: TrackedObject, seen: SeenFrame) -> Answer:
        """Follow a prompt on its frame and remember it."""
        network, features = self.network, seen.image.features
        box, clicks = tracked.prompts.get(seen.index, (None, ()))
        if prompt.box is not None or prompt.mask is not None:
            box, clicks = prompt.box, ()
        clicks += tuple(prompt.clicks)
        if len(clicks) > MAX_CLICKS:
            raise PromptError(f"more than {MAX_CLICKS} clicks on one frame; send a mask, or start again with replace")
        tracked.prompts[seen.index] = box, clicks

        # On a frame where the object was not followed, the prompts alone count, as in a picture.
        followed = tracked.object_id in seen.answers and seen.index not in tracked.unfollowed and not prompt.replace
        if not followed:
            tracked.unfollowed.add(seen.index)

        given = None
        if prompt.mask is not None and box is None and not clicks:
            given = prompt.mask
            mask, logits = prompt_to_network(given, seen.image.shape, network.device)
            decoded = replace(network.decode_mask(features, mask), mask_logits=logits[:, 0])
        else:
            memories = recall_all([tracked.bank], seen.index, seen.image.grid) if followed else None
            conditioned = network.condition(features, memories)
            size = seen.image.height, seen.image.width
            points, labels = to_points(box, clicks, size, seen.image.shape, network.device)
            decoded = network.decode(
                conditioned,
                features,
                points,
                labels,
                self._earlier_logits(prompt, tracked, seen),
                multimask=labels.shape[1] <= 1,
            )
        memory = network.encode_memory(features, decoded.mask_logits, decoded.presence_logit, prompted=True)
        tracked.bank.remember_prompted(seen.index, memory[0], decoded.pointer[0])
        for index in [index for index in tracked.prompts if index not in tracked.bank.prompted]:
            del tracked.prompts[index]
            tracked.unfollowed.discard(index)
        return replace(_answers(decoded)[0], given=given)

    def _earlier_logits(self, prompt: Prompt, tracked: TrackedObject, seen: SeenFrame) -> Tensor | None:
        """The mask that clicks and boxes correct: the prompt's own, or the one the object has on this frame."""
        if prompt.mask is not None:
            return prompt_to_network(prompt.mask, seen.image.shape, self.network.device)[1]
        earlier = seen.answers.get(tracked.object_id)
        if earlier is None or prompt.replace or prompt.box is not None:
            return None
        return earlier.logits[None, None].clamp(-EARLIER_LOGITS_LIMIT, EARLIER_LOGITS_LIMIT)

    def _track(
        self, seen: SeenFrame, objects: Sequence[TrackedObject], meanwhile: Callable[[Tensor], None] = lambda _: None
    ) -> list[Answer]:
        """Find objects on a frame from memory alone, and remember it.

        Args:
            meanwhile: is given the logits [N, h, w] before the host waits for a GPU.
        """
        memories = recall_all([tracked.bank for tracked in objects], seen.index, seen.image.grid)
        assert memories is not None, "an object is tracked only after it was prompted"
        decoded, maps = self.network.track(seen.image.features, memories)
        meanwhile(decoded.mask_logits)
        answers = _answers(decoded)
        for tracked, map, pointer, answer in zip(objects, maps, decoded.pointer, answers, strict=True):
            tracked.bank.remember(seen.index, map, pointer, answer.presence_logit)
        return answers

    def _carried(self, tracked: TrackedObject, start: int) -> dict[int, Answer]:
        """Track an object through the frames of the history after index `start`, but for those that were prompted."""
        tracked.unfollowed = {index for index in tracked.unfollowed if index < start}
        return {
            seen.index: self._track(seen, [tracked])[0]
            for seen in self._history
            if seen.index > start and seen.index not in tracked.bank.prompted
        }

    def _track_what_fits(self, seen: SeenFrame) -> Mapping[int, np.ndarray] | None:
        """Find all objects on a new frame; when the GPU's memory does not suffice, give up the newest of them.

        Returns:
            Masks at the image's size, where they could be begun with before the host waited for a GPU.
        """
        begun: list[Callable[[], np.ndarray]] = []

        def begin(logits: Tensor) -> None:
            if isinstance(self._pixels, GraphedPixels) and not self._non_overlap_masks:
                begun[:] = [self._pixels.begin_masks(logits, seen.image.height, seen.image.width)]

        while self._objects:
            objects = list(self._objects.values())
            try:
                answers = self._track(seen, objects, begin)
            except torch.OutOfMemoryError:
                torch.cuda.empty_cache()
                log.error("GPU out of memory: object %d is given up, the others go on", objects[-1].object_id)
                self.remove(objects[-1].object_id)
                continue
            seen.answers.update(zip(self._objects, answers, strict=True))
            return dict(zip(self._objects, begun[0](), strict=True)) if begun else None
        return None

    def _frame(
        self, seen: SeenFrame, objects: Mapping[int, TrackedObject], masks: Mapping[int, np.ndarray] | None = None
    ) -> Frame:
        masklets = tuple(self._masklets(seen, objects, sorted(objects), masks))
        return Frame(seen.stamp, seen.image.height, seen.image.width, masklets)

    def _masklets(
        self,
        seen: SeenFrame,
        objects: Mapping[int, TrackedObject],
        object_ids: Sequence[int],
        masks: Mapping[int, np.ndarray] | None = None,
    ) -> list[Masklet]:
        """Answers at the image's size. Objects that are absent, or newer than the frame, have an empty mask.

        Args:
            masks: by ID, where they are known already.
        """
        height, width = seen.image.height, seen.image.width
        if masks is None:
            compared = sorted(objects) if self._non_overlap_masks else object_ids
            shown = [i for i in compared if i in seen.answers and seen.answers[i].presence_logit > 0]
            masks = {}
            if shown:
                answers = [seen.answers[object_id] for object_id in shown]
                logits = torch.stack([answer.logits for answer in answers])
                given = {row: answer.given for row, answer in enumerate(answers) if answer.given is not None}
                found = self._pixels.to_masks(logits, height, width, self._non_overlap_masks, given)
                masks = dict(zip(shown, found, strict=True))
        masklets = []
        for object_id in object_ids:
            answer = seen.answers.get(object_id)
            mask = masks.get(object_id, np.zeros((height, width), dtype=bool))
            present = bool(mask.any())
            presence = 0.0 if answer is None else _sigmoid(answer.presence_logit)
            masklets.append(
                Masklet(
                    object_id=object_id,
                    label=objects[object_id].label,
                    present=present,
                    presence=presence if present or presence <= 0.5 else 0.0,  # nothing of it can be seen
                    iou=0.0 if answer is None else answer.iou,
                    mask=mask,
                    box_min_part=self._box_min_part,
                )
            )
        return masklets


def _is_share(value: object) -> bool:
    return isinstance(value, Real) and 0 <= float(value) <= 1


def _at_least(name: str, value: object, least: int) -> int:
    number = whole_number(value)
    if number is None or number < least:
        raise ValueError(f"{name} is {value!r}; it must be a whole number, at least {least}")
    return number


def _stamp(stamp: object, error: type[ValueError]) -> int:
    """A stamp as Python's int: NumPy's wrap around when one is subtracted from another."""
    number = whole_number(stamp)
    if number is None:
        raise error(f"the stamp is {what(stamp)}; it must be that of an image, a whole number of ns")
    return number


def _sigmoid(logit: float) -> float:
    return 0.5 * (1 + math.tanh(logit / 2))


def _answers(decoded: Decoded) -> list[Answer]:
    """One answer for each object; the numbers come to the host together."""
    numbers = torch.stack((decoded.iou, decoded.presence_logit)).float().cpu()
    return [
        Answer(logits, float(iou), float(presence))
        for logits, iou, presence in zip(decoded.mask_logits.float(), *numbers, strict=True)
    ]
