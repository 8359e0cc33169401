"""Promptable visual segmentation over an endless stream (SAM 2 paper, sections 3 and 4).

A frame passes through: image encoder -> memory attention, for each object -> mask decoder -> memory encoder -> memory
bank. Objects are independent of each other and processed as one batch. The history keeps the features of the last
frames, so that a prompt for one of them is applied there and propagated to the newest.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from itertools import groupby
from numbers import Real
from types import MappingProxyType, ModuleType

import numpy as np
import torch
from torch import Tensor

from sam2_ros.acceleration import Capacity, Network, accelerated, choice_of
from sam2_ros.checkpoints.load import check_memory
from sam2_ros.model.sam2 import SAM2, Decoded
from sam2_ros.system.fair_lock import FairLock
from sam2_ros.tracking import pixels
from sam2_ros.tracking.box_agreement import answer_to
from sam2_ros.tracking.closer_look import CloserLook, is_better, is_worth_it, look_closer
from sam2_ros.tracking.encoded_image import EncodedImage
from sam2_ros.tracking.graphed_pixels import GraphedPixels
from sam2_ros.tracking.history import Answer, History, HistoryFrame
from sam2_ros.tracking.image_encoder import ImageEncoder
from sam2_ros.tracking.masklet import BOX_MIN_PART, Frame, Masklet
from sam2_ros.tracking.memory_bank import MemoryBank, most_recalled, recall_all
from sam2_ros.tracking.object_ids import ObjectIds
from sam2_ros.tracking.pixels import is_large_enough, mask_input, prompt_to_network, to_points
from sam2_ros.tracking.prompt import MAX_OBJECT_ID, Prompt, PromptError, describe, whole_number
from sam2_ros.tracking.rendering import masklets_of, render_masks
from sam2_ros.tracking.sighting import Sighting
from sam2_ros.tracking.tracked_object import TrackedObject
from sam2_ros.tracking.tracker_state import (
    VERSION,
    State,
    StateError,
    ids_state,
    object_state,
    restored_ids,
    restored_object,
)

log = logging.getLogger("sam2_ros")

DTYPES = (None, torch.float32, torch.bfloat16, torch.float16)


class Tracker:
    """Tracks objects through a stream of images.

    Not thread-safe: one thread owns it. Only `encode` may be called from another.

    Args:
        model: in eval mode; or a network that is accelerated already (`sam2_ros.acceleration.accelerate`), which many
            trackers may share; or `OnnxNetwork`, its exported graphs.
        history: number of frames stored for late prompts, the newest included.
        max_objects: maximum number of tracked objects.
        prompted_memories: number of prompted frames of an object in its memory: the first, and the latest others. Each
            costs time in every frame, as long as the object is tracked.
        non_overlap_masks: each pixel belongs to at most one object, the one with the highest logit, as in Meta's
            results for data sets whose masks don't overlap. Only the returned masks change: every object is tracked and
            remembered independently.
        box_min_part: parts of a mask with fewer pixels than this share of its largest part don't count for
            `Masklet.box`, so that a few stray pixels don't widen it; the mask itself stays unchanged. 0: all count.
        dtype: the precision of the computation; None: on a CUDA GPU the half precision that suits the weights (`half`
            of its config), float32 elsewhere. Where rounding would decide a result, it is float32 in any case.
        closer_look: look at small things that are prompted in a window around them; None: as the network's config says.
            It takes one more encoding, and a copy of each image of the history.
        accelerate: use this package's kernels, and CUDA graphs on a GPU. They are compiled and recorded now, not while
            images wait, except graphs of unusual shapes. False: the network as the paper
            defines it, in PyTorch's operations alone, for comparison.

    Raises:
        ValueError: a number is too small or not whole, or `dtype` or `accelerate` is invalid.
        CheckpointError: the model's weights came without those of the memory.
        TypeError: the model is something else, such as a name or a path.
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
        closer_look: bool | None = None,
        accelerate: bool = True,
    ) -> None:
        if not hasattr(model, "encode_image"):
            raise TypeError(f"the model is {describe(model)}; give load_model(name) or load_model(checkpoint=path)")
        history = _at_least("history", history, 1)
        max_objects = _at_least("max_objects", max_objects, 1)
        prompted_memories = _at_least("prompted_memories", prompted_memories, 2)  # the first and the latest
        if dtype not in DTYPES:
            raise ValueError(f"dtype is {dtype}; it must be None or one of {', '.join(map(str, DTYPES[1:]))}")
        if max_objects > MAX_OBJECT_ID:
            raise ValueError(f"max_objects is {max_objects}; there are {MAX_OBJECT_ID} IDs")
        if not _is_share(box_min_part):
            raise ValueError(f"box_min_part is {box_min_part}; it must be a share from 0 to 1")
        if closer_look is not None and not isinstance(closer_look, bool):
            raise ValueError(f"closer_look is {closer_look!r}; it must be True, False or None")
        if not isinstance(accelerate, bool):
            raise ValueError(f"accelerate is {accelerate!r}; it must be True or False")
        check_memory(model)
        recalled = (prompted_memories + reach for reach in most_recalled(model.config))
        self.model = model
        """The model that was given."""
        self.network = accelerated(model, dtype, Capacity(max_objects, *recalled), accelerate)
        """What computes: the accelerated model."""
        self.dtype = choice_of(self.network).dtype
        self.max_objects = max_objects
        """May be changed at any time. On a GPU, more objects than at first are tracked without CUDA graphs."""
        self._prompted_memories = prompted_memories
        self._non_overlap_masks = non_overlap_masks
        self._box_min_part = box_min_part
        self.closer_look = self.network.config.closer_look if closer_look is None else closer_look
        """Whether it looks closer at small things."""
        self.history = History(history)
        self.reset()
        self.turn = FairLock()
        """Held while objects are tracked or prompted. Trackers that share a network take turns."""
        graphs = choice_of(self.network).graphs
        self._pixels: GraphedPixels | ModuleType = GraphedPixels(max_objects) if graphs else pixels
        self.encoder = ImageEncoder(self.network, self._pixels, keep_pixels=self.closer_look)

    def sibling(self) -> Tracker:
        """A tracker for another stream, without objects. It shares network, encoder and settings with this one.

        Siblings may be used in different threads: they take turns in the order in which they come, and images that wait
        at the same time are encoded as one batch.
        """
        other = copy(self)
        other.history = History(self.history.max_frames)
        other.reset()
        return other

    def reset(self) -> None:
        """Forget all objects and frames; IDs restart at 1."""
        self.history.clear()
        self._objects: dict[int, TrackedObject] = {}
        self._ids = ObjectIds()
        self._newest: Frame | None = None

    @property
    def non_overlap_masks(self) -> bool:
        """May be changed at any time; the masklets of earlier frames change with it."""
        return self._non_overlap_masks

    @non_overlap_masks.setter
    def non_overlap_masks(self, value: bool) -> None:
        self._non_overlap_masks, self._newest = value, None

    @property
    def box_min_part(self) -> float:
        """May be changed at any time; the masklets of earlier frames change with it."""
        return self._box_min_part

    @box_min_part.setter
    def box_min_part(self, value: float) -> None:
        if not _is_share(value):
            raise ValueError(f"box_min_part is {value}; it must be a share from 0 to 1")
        self._box_min_part, self._newest = value, None

    @property
    def next_id(self) -> int:
        """The ID of the next new object."""
        return self._ids.free(self._objects)

    @property
    def newest(self) -> Frame | None:
        """The newest frame, with all tracked objects; None before the first image."""
        if self._newest is None and len(self.history):
            self._newest = self.frame_at()
        return self._newest

    @property
    def objects(self) -> Mapping[int, TrackedObject]:
        """The tracked objects by ID, in the order in which they were first prompted."""
        return MappingProxyType(self._objects)

    @property
    def labels(self) -> dict[int, str]:
        """Labels of the tracked objects, by ascending ID."""
        return {object_id: self._objects[object_id].label for object_id in sorted(self._objects)}

    @property
    def stamps(self) -> tuple[int, ...]:
        """Stamps of the frames that can still be prompted, ascending, ns."""
        return self.history.stamps

    def encode(self, image: np.ndarray) -> EncodedImage:
        """Encode an image: the first part of `step`, which does not depend on the tracked objects.

        It may run in another thread, for the next image, while objects are tracked on this one.

        Args:
            image: uint8 [H, W, 3], RGB. OpenCV reads BGR: image[..., ::-1]. Of a PIL image:
                np.asarray(image.convert("RGB")).

        Raises:
            ValueError: the image is of another type or shape; the message says how to convert it.
        """
        return self.encoder.encode(image)

    def step(self, image: np.ndarray | EncodedImage, stamp: int | None = None) -> Frame:
        """Track all objects on the next image.

        Args:
            image: as in `encode`, or already encoded. Size and aspect may change at any frame.
            stamp: time of the image, ns; None: one more than the last.

        Raises:
            StampError: the image is not newer than the one before it, or the stamp is no whole number.
            ValueError: the image is of another type or shape.
        """
        stamp = self.history.next_stamp(stamp)
        encoded = image if isinstance(image, EncodedImage) else self.encode(image)
        frame = HistoryFrame(self.history.next_index, stamp, encoded)
        with self.turn, torch.no_grad():
            masks = self._track_all(frame)
            newest = self._frame(frame, self._objects, masks)
        for tracked in self._objects.values():
            tracked.untracked_frames.discard(frame.index - 1)
        self.history.append(frame)
        self._newest = newest
        return newest

    def restamp(self, *stamps: int) -> None:
        """Correct the stamps of the newest frames, after wrong stamps or a jump of the clock.

        Objects and their memory stay unchanged.

        Args:
            stamps: ascending, ns, one for each of the last frames of the history; the last is the newest frame's.

        Raises:
            StampError: they do not ascend or are not after the frame before them, or there are fewer frames.
        """
        self.history.restamp(stamps)
        if self._newest is not None:
            self._newest = replace(self._newest, stamp=self.history.newest.stamp)

    def prompt(self, prompt: Prompt, stamp: int | None = None, *, carry: bool = True) -> Masklet:
        """Prompt an object on the newest frame or on another one of the history.

        Returns the masklet on the prompted frame. From there the object is propagated to the newest frame, so that
        `newest` has it too. Clicks on one frame accumulate; a new box or mask on it replaces them. A mask without box
        and clicks is taken as the truth: it is the object's mask on its frame, pixel by pixel. A label alone is the
        object's new label; nothing else changes.

        Args:
            prompt: in pixels of the prompted image.
            stamp: of the image that was prompted, ns; the nearest frame of the history is taken. None: the newest.
            carry: whether to propagate the object to later frames. False, for the first of several prompts on an old
                frame: until `retrack`, later frames keep their answers, or have none (also after `replace`).

        Raises:
            PromptError: the prompt is invalid, or cannot be applied. Tracked objects are unchanged.
        """
        if not isinstance(prompt, Prompt):
            raise PromptError(f"got {type(prompt).__name__} for a prompt; give Prompt(clicks=[(x, y)]), for instance")
        frame = self.history.nearest(stamp)
        prompt = prompt.checked(frame.image.height, frame.image.width, may_name=True)
        if prompt.only_names:
            return self._name(prompt, frame)
        tracked = self._copy_for(prompt)
        # All results are computed on copies, which replace the originals at the end: a failure changes nothing.
        answers: dict[int, Answer | None] = {}
        if prompt.replace:  # answers on later frames are those of the replaced object
            answers = dict.fromkeys(frame.index for frame in self.history)
        with self._out_of_memory_refused():
            answers[frame.index] = self._segment(prompt, tracked, frame)
            if carry:
                answers |= self._propagate(tracked, frame.index)
            objects = self._objects | {tracked.object_id: tracked}
            history = self.history.with_answers(tracked.object_id, answers)
            masklet = self._masklets(history.with_index(frame.index), objects, [tracked.object_id])[0]
            newest = self._frame(history.newest, objects)
        if tracked.object_id not in self._objects:
            self._ids.use(tracked.object_id, self._objects, allocated=not prompt.object_id)
        self._objects, self.history, self._newest = objects, history, newest
        return masklet

    def retrack(self, object_id: int, stamp: int | None = None) -> None:
        """Track an object through the history again, with the memory of all its prompts.

        A prompt changes only later frames. This method lets it change earlier ones too: for recordings, with a history
        as long as the recording (SAM 2 paper, section 6.1, "offline"). Prompted frames stay unchanged.

        Args:
            stamp: only frames after this one, ns. None: all from the first that was prompted.

        Raises:
            PromptError: no such object is tracked, or the GPU is out of memory. Tracked objects are unchanged.
        """
        tracked = self._tracked(object_id).copy()
        start = next(iter(tracked.bank.prompted)) if stamp is None else self.history.nearest(stamp).index
        with self._out_of_memory_refused():
            objects = self._objects | {tracked.object_id: tracked}
            history = self.history.with_answers(tracked.object_id, self._propagate(tracked, start))
            newest = self._frame(history.newest, objects)
        self._objects, self.history, self._newest = objects, history, newest

    def resume(self, sightings: Iterable[Sighting], next_id: int = 1) -> list[int]:
        """Forget everything, and track the objects of these sightings: those of an earlier process, for instance.

        They are found on the next image as after an occlusion. Until then there is no frame, and `newest` is None.

        Args:
            sightings: of any number of objects, at best two each: as it was prompted last, and where it was seen last.
            next_id: new objects get IDs from this one on.

        Returns:
            The IDs of the tracked objects. Objects beyond `max_objects`, and those that are too small in all sightings
            or for which a GPU has too little memory, are left out.
        """
        self.reset()
        self._ids.skip(next_id)

        left_out: set[int] = set()

        def image_of(sighting: Sighting) -> tuple[int, int]:
            return sighting.stamp, id(sighting.image)

        for _, together in groupby(sorted(sightings, key=image_of), key=image_of):
            on_image = list(together)
            height, width = on_image[0].mask.shape
            image = replace(self.encode(on_image[0].image), height=height, width=width)
            index, self.history.next_index = self.history.next_index, self.history.next_index + 1
            for sighting in on_image:
                if sighting.object_id not in self._objects and len(self._objects) >= self.max_objects:
                    left_out.add(sighting.object_id)
                    continue
                try:
                    with self._out_of_memory_refused():
                        self._take_up(sighting, image, index)
                except PromptError as error:
                    log.warning("Object %d: %s", sighting.object_id, error)
        if left_out:
            named = ", ".join(map(str, sorted(left_out)))[:200]
            log.warning("max_objects is %d: forgotten are the objects %s", self.max_objects, named)
        return sorted(self._objects)

    def _take_up(self, sighting: Sighting, image: EncodedImage, index: int) -> None:
        """Remember an object as it is in a sighting."""
        object_id = sighting.object_id
        tracked = self._objects[object_id].copy() if object_id in self._objects else self._new(object_id)
        mask, logits = prompt_to_network(sighting.mask, image.input_size, self.network.device)
        decoded = self.network.decode_mask(image.features, mask)
        prompted = sighting.prompted or not tracked.bank.prompted
        memory = self.network.encode_memory(image.features, logits[:, 0], decoded.presence_logit, prompted)
        if prompted:
            tracked.bank.remember_prompted(index, memory[0], decoded.pointer[0])
            tracked.drop_forgotten_prompts()
        else:
            tracked.bank.remember(index, memory[0], decoded.pointer[0])
        if object_id not in self._objects:
            self._ids.use(object_id, self._objects, allocated=False)
        self._objects[object_id] = replace(tracked, label=sighting.label)

    def adopt(self, object_id: int, label: str, memories: Iterable[tuple[int, Tensor, Tensor]]) -> None:
        """Track an object from the next image on, which another tracker of this network was prompted for.

        Args:
            memories: of frames on which it was prompted, at least one: age on the next image, at least 1, map and
                pointer, as in `MemoryBank.prompted`.

        Raises:
            PromptError: it is tracked already, or the limit of tracked objects is reached.
        """
        if object_id in self._objects:
            raise PromptError(f"object {object_id} is tracked already")
        if len(self._objects) >= self.max_objects:
            raise PromptError(f"the limit of tracked objects ({self.max_objects}) is reached; remove one first")
        tracked, device = self._new(object_id, label), self.network.device
        for age, map, pointer in sorted(memories, key=lambda memory: -memory[0]):
            tracked.bank.remember_prompted(self.history.next_index - age, map.to(device), pointer.to(device))
        self._ids.use(object_id, self._objects, allocated=False)
        self._objects[object_id] = tracked

    def state(self) -> State:
        """All that decides the answers on the next images, exactly: tensors on the CPU and plain values.

        `torch.save` writes it, and `torch.load(weights_only=True)` reads it. The frames of the history are not in it.
        """
        objects = [object_state(tracked) for tracked in self._objects.values()]
        history = self.history
        return {
            "version": VERSION,
            "network": self._kind,
            "next_index": history.next_index,
            "last_stamp": history.last_stamp,
            "ids": ids_state(self._ids),
            "objects": objects,
        }

    def restore(self, state: State) -> None:
        """Forget everything, and go on where another tracker was when it gave its `state`.

        With the same network and settings, the next images get the same answers, bit for bit. Earlier frames cannot be
        prompted, and there is no `newest` until the next image.

        Raises:
            StateError: the state is of another form or of another network. Nothing has changed.
        """
        if state.get("version") != VERSION:
            raise StateError(f"the state has the form {state.get('version')}, not {VERSION}; track from the start")
        if state["network"] != self._kind:
            raise StateError(f"the state is of the network {state['network']}, not {self._kind}")
        self.reset()
        self.history.next_index, self.history.last_stamp = state["next_index"], state["last_stamp"]
        self._ids = restored_ids(state["ids"])
        for stored in state["objects"]:
            tracked = restored_object(stored, self._new(stored["object_id"]).bank, self.network.device)
            self._objects[tracked.object_id] = tracked

    @property
    def _kind(self) -> str:
        """The kind of network that can go on with a state."""
        config = self.network.config
        return f"{config.name} at {config.image_size} in {self.dtype}"

    def frame_at(self, stamp: int | None = None) -> Frame:
        """The frame of the history that is nearest to a stamp (None: the newest), with all tracked objects.

        Raises:
            PromptError: no image has been seen, or the stamp lies outside the history.
        """
        with self.turn, torch.no_grad():
            return self._frame(self.history.nearest(stamp), self._objects)

    def remove(self, object_id: int) -> None:
        """Stop tracking an object and forget it.

        Raises:
            PromptError: no such object is tracked.
        """
        object_id = self._tracked(object_id).object_id
        del self._objects[object_id]
        self.history.forget(object_id)
        if self._non_overlap_masks:
            self._newest = None  # the others regain the pixels that they lost to it
        elif self._newest is not None:
            others = tuple(masklet for masklet in self._newest.masklets if masklet.object_id != object_id)
            self._newest = replace(self._newest, masklets=others)

    def _tracked(self, object_id: int) -> TrackedObject:
        if (number := whole_number(object_id)) is None:
            raise PromptError(f"object_id is {describe(object_id)}; it must be the number of a tracked object")
        if number not in self._objects:
            tracked = ", ".join(map(str, sorted(self._objects))) or "none"
            raise PromptError(f"no object {number} is tracked; tracked: {tracked}")
        return self._objects[number]

    @contextmanager
    def _out_of_memory_refused(self) -> Iterator[None]:
        """Context without gradients, in which running out of the GPU's memory is a PromptError."""
        try:
            with self.turn, torch.no_grad():
                yield
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise PromptError("the GPU is out of memory; remove an object or choose a smaller model") from error

    def _name(self, prompt: Prompt, frame: HistoryFrame) -> Masklet:
        """Give an object another label. Returns its masklet on this frame."""
        tracked = replace(self._tracked(prompt.object_id), label=prompt.label)
        self._objects = self._objects | {tracked.object_id: tracked}
        if self._newest is not None:
            masklets = self._newest.masklets
            named = (
                replace(one, label=prompt.label) if one.object_id == tracked.object_id else one for one in masklets
            )
            self._newest = replace(self._newest, masklets=tuple(named))
        with self._out_of_memory_refused():
            return self._masklets(frame, self._objects, [tracked.object_id])[0]

    def _copy_for(self, prompt: Prompt) -> TrackedObject:
        """A copy of the prompted object, or a new one."""
        tracked = self._objects.get(prompt.object_id)
        if tracked is not None and not prompt.replace:
            return replace(tracked.copy(), label=prompt.label or tracked.label)
        if tracked is None and len(self._objects) >= self.max_objects:
            raise PromptError(f"the limit of tracked objects ({self.max_objects}) is reached; remove one first")
        if prompt.box is None and prompt.mask is None and not any(click.positive for click in prompt.clicks):
            raise PromptError("only negative clicks; a new object needs a positive click, a box or a mask")
        label = prompt.label or (tracked.label if tracked else "")
        return self._new(prompt.object_id or self.next_id, label)

    def _new(self, object_id: int, label: str = "") -> TrackedObject:
        bank = MemoryBank(self.network.config, self.history.max_frames, self._prompted_memories)
        return TrackedObject(object_id, label, bank)

    def _segment(self, prompt: Prompt, tracked: TrackedObject, frame: HistoryFrame) -> Answer:
        """Segment an object on its prompted frame, and store the frame in its memory."""
        network, features = self.network, frame.image.features
        box, clicks = tracked.add_prompt(frame.index, prompt)
        # A frame through which the object was not tracked is segmented like a single image, without memory.
        tracked_here = tracked.object_id in frame.answers and frame.index not in tracked.untracked_frames
        with_memory = tracked_here and not prompt.replace
        if not with_memory:
            tracked.untracked_frames.add(frame.index)

        exact_mask = prompt.mask if box is None and not clicks else None
        closer = None
        if exact_mask is None:
            memories = recall_all([tracked.bank], frame.index, frame.image.grid) if with_memory else None
            conditioned = network.condition(features, memories)
            size = frame.image.height, frame.image.width
            points, labels = to_points(box, clicks, size, frame.image.input_size, network.device)
            corrected, multimask = self._corrected(prompt, tracked, frame), labels.shape[1] <= 1
            corrected_mask = self._mask_input(prompt, corrected, frame)
            decoded = network.decode(conditioned, features, points, labels, corrected_mask, multimask)
            decoded = answer_to(network.config, decoded, box, clicks, size)
            earlier = None if corrected is None else corrected.closer_look
            looks_small = not with_memory and is_worth_it(frame.image, box, decoded.mask_logits[0])
            if earlier is not None or looks_small:
                closer, exact_mask = self._look_closer(prompt, tracked, frame, earlier, decoded, multimask)
        if exact_mask is not None:
            mask, logits = prompt_to_network(exact_mask, frame.image.input_size, network.device)
            decoded = replace(network.decode_mask(features, mask), mask_logits=logits[:, 0])
            if closer is not None:
                decoded = replace(decoded, iou=closer.decoded.iou)
        memory = network.encode_memory(features, decoded.mask_logits, decoded.presence_logit, prompted=True)
        tracked.bank.remember_prompted(frame.index, memory[0], decoded.pointer[0])
        tracked.drop_forgotten_prompts()
        return replace(_answers(decoded)[0], exact_mask=exact_mask, closer_look=closer)

    def _look_closer(
        self,
        prompt: Prompt,
        tracked: TrackedObject,
        frame: HistoryFrame,
        earlier: CloserLook | None,
        whole: Decoded,
        multimask: bool,
    ) -> tuple[CloserLook, np.ndarray] | tuple[None, None]:
        """A closer look at what is prompted, and the mask that it finds, bool [H, W]; None: nothing better than the
        answer on the whole image."""
        box, clicks = tracked.prompts[frame.index]
        closer = look_closer(self.network, self.encode, frame.image, box, clicks, prompt.mask, earlier, multimask)
        if closer is None or closer.decoded.presence_logit[0] <= 0:
            return None, None
        mask = closer.masks(closer.decoded.mask_logits)[0]
        goes_on = earlier is not None and closer.window == earlier.window
        found = mask.any() if goes_on else is_better(mask, box, float(closer.decoded.iou), float(whole.iou))
        return (closer, mask) if found and is_large_enough(mask, frame.image.input_size) else (None, None)

    def _corrected(self, prompt: Prompt, tracked: TrackedObject, frame: HistoryFrame) -> Answer | None:
        """The answer on this frame that a prompt's clicks correct; None: it begins anew, or brings its own mask."""
        if prompt.mask is not None or prompt.box is not None or prompt.replace:
            return None
        return frame.answers.get(tracked.object_id)

    def _mask_input(self, prompt: Prompt, corrected: Answer | None, frame: HistoryFrame) -> Tensor | None:
        """The mask that clicks and boxes correct: the prompt's own, or that of an answer."""
        if prompt.mask is not None:
            return prompt_to_network(prompt.mask, frame.image.input_size, self.network.device)[1]
        return None if corrected is None else mask_input(corrected.logits[None, None])

    def _track(
        self,
        frame: HistoryFrame,
        objects: Sequence[TrackedObject],
        on_logits: Callable[[Tensor], None] = lambda _: None,
    ) -> list[Answer]:
        """Segment objects on a frame from memory alone, and store the frame in their memory.

        Args:
            on_logits: called with the logits [N, h, w] before the host waits for a GPU.
        """
        memories = recall_all([tracked.bank for tracked in objects], frame.index, frame.image.grid)
        assert memories is not None, "an object is tracked only after it was prompted"
        decoded, maps = self.network.track(frame.image.features, memories)
        on_logits(decoded.mask_logits)
        answers = _answers(decoded)
        for tracked, map, pointer, answer in zip(objects, maps, decoded.pointer, answers, strict=True):
            tracked.bank.remember(frame.index, map, pointer, answer.presence_logit)
        return answers

    def _propagate(self, tracked: TrackedObject, start: int) -> dict[int, Answer]:
        """Track an object through the unprompted frames of the history after index `start`: answers by frame index."""
        tracked.untracked_frames = {index for index in tracked.untracked_frames if index < start}
        return {
            frame.index: self._track(frame, [tracked])[0]
            for frame in self.history
            if frame.index > start and frame.index not in tracked.bank.prompted
        }

    def _track_all(self, frame: HistoryFrame) -> Mapping[int, np.ndarray] | None:
        """Track all objects on a new frame; while the GPU is out of memory, remove the newest object.

        Returns:
            Masks at the image's size, by object ID, if a GPU has computed them asynchronously.
        """
        pending: list[Callable[[], np.ndarray]] = []

        def begin_masks(logits: Tensor) -> None:
            if isinstance(self._pixels, GraphedPixels) and not self._non_overlap_masks:
                pending[:] = [self._pixels.begin_masks(logits, frame.image.height, frame.image.width)]

        while self._objects:
            objects = list(self._objects.values())
            try:
                answers = self._track(frame, objects, begin_masks)
            except torch.OutOfMemoryError:
                torch.cuda.empty_cache()
                newest = objects[-1].object_id
                log.error("The GPU is out of memory: object %d is not tracked any more, the others are", newest)
                self.remove(newest)
                continue
            frame.answers.update(zip(self._objects, answers, strict=True))
            return dict(zip(self._objects, pending[0](), strict=True)) if pending else None
        return None

    def _frame(
        self, frame: HistoryFrame, objects: Mapping[int, TrackedObject], masks: Mapping[int, np.ndarray] | None = None
    ) -> Frame:
        masklets = tuple(self._masklets(frame, objects, sorted(objects), masks))
        return Frame(frame.stamp, frame.image.height, frame.image.width, masklets)

    def _masklets(
        self,
        frame: HistoryFrame,
        objects: Mapping[int, TrackedObject],
        object_ids: Sequence[int],
        masks: Mapping[int, np.ndarray] | None = None,
    ) -> list[Masklet]:
        """Masklets of some objects.

        Args:
            masks: masks by ID, if they are known already.
        """
        if masks is None:
            competing = sorted(objects) if self._non_overlap_masks else object_ids
            masks = render_masks(frame, competing, self._pixels, self._non_overlap_masks)
        labels = {object_id: objects[object_id].label for object_id in object_ids}
        return masklets_of(frame, labels, masks, self._box_min_part)


def _is_share(value: object) -> bool:
    return isinstance(value, Real) and 0 <= float(value) <= 1


def _at_least(name: str, value: object, least: int) -> int:
    number = whole_number(value)
    if number is None or number < least:
        raise ValueError(f"{name} is {value!r}; it must be a whole number, at least {least}")
    return number


def _answers(decoded: Decoded) -> list[Answer]:
    """One answer for each object; their numbers are copied to the host together."""
    numbers = torch.stack((decoded.iou, decoded.presence_logit)).float().cpu()
    return [
        Answer(logits, float(iou), float(presence))
        for logits, iou, presence in zip(decoded.mask_logits.float(), *numbers, strict=True)
    ]
