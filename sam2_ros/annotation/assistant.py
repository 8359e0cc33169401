"""What the model does for a person who annotates (SAM 2 paper, section 5.1): the three phases.

Phase 1: a mask for every frame, with clicks on single images or by hand. Phase 2: such masks are propagated, and made
anew where they are wrong. Phase 3: clicks, boxes and masks correct what was propagated, with memory, and are propagated
again, both ways.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sam2_ros.acceleration import Network
from sam2_ros.annotation.annotated_mask import BY_HAND, PROMPTED, PROPAGATED, AnnotatedMask
from sam2_ros.annotation.project import Project, ProjectError
from sam2_ros.annotation.project_recording import pixels_of
from sam2_ros.annotation.propagation import MEMORIES, HandMemory, memory_of, nearest, propagate, take_up
from sam2_ros.model.sam2 import SAM2
from sam2_ros.recordings.recording import Recording
from sam2_ros.tracking.encoded_image import EncodedImage
from sam2_ros.tracking.image_predictor import Candidates, ImagePredictor
from sam2_ros.tracking.masklet import Masklet
from sam2_ros.tracking.pixels import is_large_enough
from sam2_ros.tracking.prompt import MAX_CLICKS, Prompt, PromptError
from sam2_ros.tracking.tracker import Tracker

IMAGES, HAND_MEMORIES = 8, 64
"""Encoded images and memories of masks by hand that are kept. At 1024 pixels, one is 17 MB and 1 MB."""


class Assistant:
    """Does for an annotator what the model can do. Every answer is stored in the project, as one action.

    Answers depend on what is in the project alone: on the masks and prompts by hand that stand there. An instance
    belongs to one thread, that of its project. All methods raise ClipError when the recording cannot be read any
    further, and OSError when the project cannot be written.

    Args:
        project: gets the masks.
        recording: that of the project.
        network: a model in eval mode, or a network that is accelerated already, which assistants may share.
        by: the annotator.
    """

    def __init__(self, project: Project, recording: Recording, network: SAM2 | Network, by: str) -> None:
        self.project, self.recording, self.by = project, recording, by
        self._tracker = Tracker(network, history=1, max_objects=1, prompted_memories=MEMORIES)
        self._predictor = ImagePredictor(self._tracker.network, encode=self._tracker.encode)
        self._images: OrderedDict[int, EncodedImage] = OrderedDict()
        self._memories: OrderedDict[tuple[int, int, int], HandMemory] = OrderedDict()

    def candidates(self, frame: int, prompt: Prompt) -> Candidates:
        """What a prompt may mean on its frame alone: three masks for a single click, otherwise one. Nothing is stored.

        Raises:
            PromptError: the prompt cannot be followed.
            ProjectError: there is no such image.
        """
        self._predictor.set_image(self._image(frame))
        return self._predictor.segment(prompt)

    def begin(
        self,
        frame: int,
        prompt: Prompt,
        label: str = "",
        phase: int = 1,
        seconds: float = 0.0,
        choice: int | None = None,
    ) -> AnnotatedMask:
        """A new object together with its first mask: one action, and nothing at all if the prompt cannot be followed.

        Args:
            prompt: in pixels of the image. A mask alone is taken as it is; with clicks or a box, they correct it.
            phase: 1 and 2: as `segment`; 3: as `correct`.
            seconds: how long it took the annotator.
            choice: the number of one of `candidates`, which is taken as it is; None: what the model finds best.

        Returns:
            The mask, with the new object's ID.

        Raises:
            PromptError: the prompt cannot be followed, or there is no such candidate.
            ProjectError: there is no such image or phase, or the label is too long.
        """
        if phase not in (1, 2, 3):
            raise ProjectError(f"there is no phase {phase}; say 1, 2 or 3")
        image = self._image(frame)
        new = prompt.checked(image.height, image.width)
        if new.mask is not None and new.box is None and not new.clicks:
            object_id = self.project.begin(
                self.by, AnnotatedMask.drawn(0, frame, new.mask, phase), None, label, seconds
            )
            return self._stored(object_id, frame)
        if phase == 3 and choice is None:
            found = self._remembering(1, {}, frame, image, new)
        else:
            found = self._alone(0, image, new, choice or 0)
        mask, given, detail = _answer(found, frame, new, new, phase)
        return self._stored(self.project.begin(self.by, mask, given, label, seconds, detail), frame)

    def segment(
        self,
        object_id: int,
        frame: int,
        prompt: Prompt,
        phase: int = 1,
        seen: int | None = None,
        seconds: float = 0.0,
        choice: int | None = None,
    ) -> AnnotatedMask:
        """Segment an object on its frame alone, by clicks and boxes: phase 1, and what phase 2 starts from.

        Clicks accumulate on a frame, and correct the mask that they have made so far; a new box begins anew, and so
        does a click on a mask that was drawn or propagated.

        Args:
            prompt: what is new, in pixels of the image. A mask in it is one that its clicks correct. With `replace`, it
                begins anew.
            phase: 1, or 2 if it takes the place of a propagated mask.
            seen: the last action that the annotator had seen (`Project.last_action`); None: there is nothing newer.
            seconds: how long it took the annotator.
            choice: as in `begin`.

        Raises:
            PromptError: the prompt cannot be followed, or there is no such candidate.
            ProjectError: there is no such object or image.
            ChangedError: somebody else has changed the mask since the action `seen`.
        """
        seen = self._seen(object_id, seen)
        image = self._image(frame)
        new = prompt.checked(image.height, image.width)
        known = self.project.mask(object_id, frame)
        together, mask = new, new.mask
        if known is not None and known.origin == PROMPTED and known.present and _goes_on(new):
            together = self._together(object_id, frame, new)
            mask = _correctable(known, image)
        found = self._alone(object_id, image, replace(together, mask=mask), choice or 0)
        return self._put(found, frame, together, new, phase, seen, seconds)

    def draw(
        self,
        object_id: int,
        frame: int,
        mask: np.ndarray,
        phase: int = 1,
        seen: int | None = None,
        seconds: float = 0.0,
    ) -> AnnotatedMask:
        """Store a mask that was drawn, bool [H, W] of the image's size; empty: the object is not visible.

        Raises:
            PromptError: the mask is of another form or size.
            ProjectError, ChangedError: as `segment`.
        """
        seen = self._seen(object_id, seen)
        height, width = self._size(frame)
        if np.asarray(mask).any():
            checked = Prompt(object_id, mask=mask).checked(height, width).mask
            assert checked is not None
        else:
            checked = np.zeros((height, width), bool)
        self.project.put_mask(self.by, AnnotatedMask.drawn(object_id, frame, checked, phase), None, seen, seconds)
        return self._stored(object_id, frame)

    def correct(
        self, object_id: int, frame: int, prompt: Prompt, seen: int | None = None, seconds: float = 0.0
    ) -> AnnotatedMask:
        """Correct an object on a frame, with memory of its masks by hand on other frames: phase 3.

        Clicks correct the mask that is there, whatever made it, together with the clicks before them on this frame. A
        new box begins anew. A mask alone is taken as it is. Other frames stay as they are, until `propagate`.

        Args, Raises: as for `segment`.
        """
        seen = self._seen(object_id, seen)
        image = self._image(frame)
        new = prompt.checked(image.height, image.width)
        if new.mask is not None and new.box is None and not new.clicks:
            return self.draw(object_id, frame, new.mask, 3, seen, seconds)
        known = self.project.mask(object_id, frame)
        together, mask = new, new.mask
        if known is not None and _goes_on(new):
            together = self._together(object_id, frame, new)
            mask = _correctable(known, image) if known.present else None
        others = self._by_hand(object_id)
        others.pop(frame, None)
        chosen = nearest([other for other, shown in others.items() if shown], frame)
        memories = {other: self._memory(object_id, other) for other in chosen}
        found = self._remembering(object_id, memories, frame, image, replace(together, mask=mask))
        return self._put(found, frame, together, new, 3, seen, seconds)

    def propagate(
        self,
        object_id: int,
        frame: int,
        phase: int = 3,
        span: range | None = None,
        on_progress: Callable[[int, int], None] = lambda done, total: None,
        cancelled: Callable[[], bool] = lambda: False,
        seen: int | None = None,
        seconds: float = 0.0,
        is_fine: Callable[[AnnotatedMask], bool] = lambda mask: True,
    ) -> int:
        """Propagate the mask by hand on a frame to those before and after it: phases 2 and 3.

        Masks by hand on other frames stay, and are followed as well (`propagation.propagate`). All of them are the
        truth, pixel by pixel, whatever they were made with; so phase 2, with masks alone, and phase 3 differ in
        how masks are made, and not in how they are propagated.

        Args:
            phase: 2 or 3.
            span: the frames that get masks, with `frame` among them; None: all of the recording.
            on_progress: called with the numbers of frames that are done, and of all.
            cancelled: asked before every frame; if so, nothing is stored.
            seen, seconds: as in `segment`.
            is_fine: asked of every mask as soon as it is there. False: it ends with this one, because somebody who
                watches sees that it is wrong; it and those before it are stored.

        Returns:
            The number of masks that were stored; 0 if it was cancelled.

        Raises:
            ProjectError: there is no mask by hand on this frame, or none on which the object is visible.
            ChangedError: somebody else has pointed at this object in the meantime; nothing is stored.
        """
        if phase not in (2, 3):
            raise ProjectError(f"there is no propagation in phase {phase}; say 2 or 3")
        seen = self._seen(object_id, seen)
        by_hand = self._by_hand(object_id)
        if frame not in by_hand:
            raise ProjectError(f"object {object_id} has no mask by hand on frame {frame}; point at it there first")
        if not any(by_hand.values()):
            raise ProjectError(f"object {object_id} is visible on no mask by hand; point at it first")
        whole = self.recording.span
        span = whole if span is None else range(max(span.start, whole.start), min(span.stop, whole.stop))
        if frame not in span:
            raise ProjectError(f"frame {frame} is not among those to propagate to, {span.start} to {span.stop - 1}")
        total = len(span) - sum(other in span for other in by_hand)
        masks: list[AnnotatedMask] = []
        answers = propagate(
            self.recording,
            self._tracker,
            object_id,
            by_hand,
            lambda other: self._memory(object_id, other),
            frame,
            span,
            cancelled,
        )
        on_progress(0, total)
        for index, masklet in answers:
            masks.append(AnnotatedMask.of(masklet, index, PROPAGATED, phase))
            on_progress(len(masks), total)
            if not is_fine(masks[-1]):
                break
        if cancelled():
            return 0
        return self.project.put_propagated(self.by, object_id, masks, seen, seconds, {"from": frame})

    # ---- how

    def _seen(self, object_id: int, seen: int | None) -> int:
        """What the annotator has seen; what is read from here on is not older. Raises ProjectError: no such object."""
        self.project.object(object_id)
        return self.project.last_action if seen is None else seen

    def _together(self, object_id: int, frame: int, new: Prompt) -> Prompt:
        """A prompt with the clicks and the box that were given before on its frame."""
        for scheduled in self.project.prompts_of(object_id):
            before = scheduled.prompt
            if scheduled.frame == frame and before.mask is None:
                clicks = (*before.clicks, *new.clicks)
                if len(clicks) > MAX_CLICKS:
                    raise PromptError(f"more than {MAX_CLICKS} clicks on one frame; draw the mask instead")
                return replace(new, clicks=clicks, box=before.box)
        return new

    def _alone(self, object_id: int, image: EncodedImage, prompt: Prompt, choice: int = 0) -> Masklet:
        """The answer to a prompt on its image alone."""
        self._predictor.set_image(image)
        candidates = self._predictor.segment(prompt)
        if not 0 <= choice < len(candidates.masks):
            raise PromptError(f"there is no candidate {choice}; there are 0 to {len(candidates.masks) - 1}")
        mask, iou = candidates.masks[choice], float(candidates.iou[choice])
        return Masklet(object_id, "", bool(mask.any()), 1.0, iou, mask)

    def _remembering(
        self, object_id: int, memories: Mapping[int, HandMemory], frame: int, image: EncodedImage, prompt: Prompt
    ) -> Masklet:
        """The answer to a prompt with memory of masks on other frames."""
        take_up(self._tracker, object_id, memories, frame)
        self._tracker.step(image)
        found = self._tracker.prompt(replace(prompt, object_id=object_id, replace=False))
        if not found.present and any(click.positive for click in prompt.clicks):  # somebody sees it
            found = self._alone(object_id, image, prompt)
        return found

    def _put(
        self, found: Masklet, frame: int, together: Prompt, new: Prompt, phase: int, seen: int, seconds: float
    ) -> AnnotatedMask:
        """Store the answer to a prompt."""
        mask, prompt, detail = _answer(found, frame, together, new, phase)
        self.project.put_mask(self.by, mask, prompt, seen, seconds, detail)
        return self._stored(found.object_id, frame)

    def _stored(self, object_id: int, frame: int) -> AnnotatedMask:
        mask = self.project.mask(object_id, frame)
        assert mask is not None
        return mask

    def _by_hand(self, object_id: int) -> dict[int, bool]:
        """Frames with a mask by hand, and whether the object is visible there."""
        return {mask.frame: mask.present for mask in self.project.masks_of(object_id) if mask.origin in BY_HAND}

    def _memory(self, object_id: int, frame: int) -> HandMemory:
        """The memory of a mask by hand."""
        mask = self._stored(object_id, frame)
        key = object_id, frame, mask.action_id
        if key not in self._memories:
            self._memories[key] = memory_of(self._tracker, self._image(frame), mask.mask)
            if len(self._memories) > HAND_MEMORIES:
                self._memories.popitem(last=False)
        self._memories.move_to_end(key)
        return self._memories[key]

    def _image(self, frame: int) -> EncodedImage:
        """An image, encoded. Raises ProjectError if there is none, or it is damaged."""
        if frame not in self._images:
            self._images[frame] = self._tracker.encode(pixels_of(self.recording, frame))
            if len(self._images) > IMAGES:
                self._images.popitem(last=False)
        self._images.move_to_end(frame)
        return self._images[frame]

    def _size(self, frame: int) -> tuple[int, int]:
        """Height and width of an image."""
        if frame in self._images:
            return self._images[frame].height, self._images[frame].width
        height, width, _ = pixels_of(self.recording, frame).shape
        return height, width


def _answer(
    found: Masklet, frame: int, together: Prompt, new: Prompt, phase: int
) -> tuple[AnnotatedMask, Prompt, dict[str, Any]]:
    """What is stored of the answer to a prompt: the mask, all clicks and the box of the frame, and what is new of them.

    The masks that clicks have corrected on the way are not kept: what they have led to is.
    """
    mask = AnnotatedMask.of(found, frame, PROMPTED, phase)
    detail = {"new_clicks": len(new.clicks), "new_box": new.box is not None}
    return mask, Prompt(found.object_id, clicks=together.clicks, box=together.box), detail


def _correctable(known: AnnotatedMask, image: EncodedImage) -> np.ndarray | None:
    """The mask for clicks to correct, bool [H, W]; None: it is too small for the network to see."""
    mask = known.mask
    return mask if is_large_enough(mask, image.input_size) else None


def _goes_on(new: Prompt) -> bool:
    """Whether a prompt goes on from what is there, instead of beginning anew."""
    return new.box is None and new.mask is None and not new.replace
