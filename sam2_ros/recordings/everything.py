"""Automatic masklets: everything that a recording shows, followed through all of it (SAM 2 paper, "Data engine")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sam2_ros.recordings.masklet_review import ReviewSettings, review
from sam2_ros.recordings.masklet_store import MaskletStore
from sam2_ros.recordings.pass_progress import COMMIT_PERIOD, Pace, taken_up
from sam2_ros.recordings.recording import RecordedImage, Recording
from sam2_ros.recordings.track import OnProgress
from sam2_ros.tracking import rle
from sam2_ros.tracking.automatic_masks import AutomaticMaskGenerator, EverythingSettings
from sam2_ros.tracking.encoded_image import EncodedImage
from sam2_ros.tracking.masklet import Masklet
from sam2_ros.tracking.masklet_quality import covered_share, uncovered_shares, without_repeats
from sam2_ros.tracking.pixels import is_large_enough
from sam2_ros.tracking.prompt import MAX_OBJECT_ID, Prompt, PromptError
from sam2_ros.tracking.tracker import Tracker

FORWARDS, BACKWARDS, REVIEW = "everything forwards", "everything backwards", "review"
"""Names of the passes; the first two are numbered."""
MIN_UNCOVERED = 0.5
"""A mask becomes an object if at least this share of its pixels belongs to no masklet yet."""


@dataclass(frozen=True)
class AutomaticMaskletSettings:
    """How everything in a recording is found and followed.

    Raises:
        ValueError: a value is out of range; the message names it.
    """

    masks: EverythingSettings | None = None
    """How masks are found in an image; None: what suits the model."""
    period: int | None = None
    """Images from one search to the next; None: about a second."""
    coverage: float = 0.9
    """Search only where masklets cover less than this share of the image, 0 .. 1."""
    max_masklets: int = 256
    """Objects in all: the search ends when so many are found, those that come first, the best-rated on an image."""
    review: ReviewSettings = field(default_factory=ReviewSettings)
    """What is merged and rejected in the end."""

    def __post_init__(self) -> None:
        if self.period is not None and self.period < 1:
            raise ValueError(f"period is {self.period}; it must be a number of images, 1 or more")
        if not 0 <= self.coverage <= 1:
            raise ValueError(f"coverage is {self.coverage}; it must be a share of the image, 0 to 1")
        if not 1 <= self.max_masklets <= MAX_OBJECT_ID:
            raise ValueError(f"max_masklets is {self.max_masklets}; it must be from 1 to {MAX_OBJECT_ID}")


def track_everything(
    recording: Recording,
    tracker: Tracker,
    store: MaskletStore,
    settings: AutomaticMaskletSettings | None = None,
    *,
    on_progress: OnProgress = lambda done, total, what: None,
    commit_period: float = COMMIT_PERIOD,
) -> None:
    """Find everything that a recording shows, and follow it through the whole recording.

    Masks of the first image become objects; later, every `period` images, those of what no masklet covers yet. They are
    followed forwards to the end and backwards to the beginning, at most the tracker's `max_objects` at once: a pass
    that is full stops searching, and another one goes on there. In the end, duplicates and bad masklets are rejected
    (`masklet_review`).

    A run that was killed goes on where it was, and gives the same masks. Two runs are equal.

    Args:
        tracker: of the network and with the settings to use; `history=1` is enough. It is reset.
        store: gets the masks. Its run must be that of this recording, this tracker and these settings.
        on_progress: the total grows with each pass that turns out to be necessary.
        commit_period: seconds, at least, between commits to the store.

    Raises:
        MemoryError: a GPU has too little memory for so many objects at once.
        OSError: the recording cannot be read, or the store not be written.
    """
    _Run(recording, tracker, store, settings or AutomaticMaskletSettings(), on_progress, Pace(commit_period)).all()


class _Run:
    """The passes of one run. All that they have found is in the store: objects are numbered in the order in which they
    are found, so that the IDs of each forward pass are known beforehand."""

    def __init__(
        self,
        recording: Recording,
        tracker: Tracker,
        store: MaskletStore,
        settings: AutomaticMaskletSettings,
        on_progress: OnProgress,
        pace: Pace,
    ) -> None:
        self.recording, self.tracker, self.store, self.settings = recording, tracker, store, settings
        suited = settings.masks or EverythingSettings.suited_to(tracker.network.config)
        self.generator = AutomaticMaskGenerator(tracker.network, suited)
        self.period = settings.period or max(1, round(recording.fps))
        self._on_progress, self._pace = on_progress, pace
        self._done = self._total = 0

    def all(self) -> None:
        if self.store.pass_state(REVIEW) is not None:
            return
        number = 0
        while (start := self._start_of(number)) is not None:
            self._forward(f"{FORWARDS} {number + 1}", number, start)
            number += 1
        first_image = self.recording.span.start
        found_late = {object_id: frame for object_id, frame in self.store.first_frames.items() if frame > first_image}
        latest_first = sorted(found_late, key=lambda object_id: (-found_late[object_id], object_id))
        size = self.tracker.max_objects
        parts = [latest_first[begin : begin + size] for begin in range(0, len(latest_first), size)]
        self._total += sum(found_late[part[0]] - first_image + 1 for part in parts)
        for number, part in enumerate(parts, 1):
            self._backward(f"{BACKWARDS} {number}", {object_id: found_late[object_id] for object_id in part})
        review(self.store, self.settings.review)
        self.store.commit(REVIEW, self.recording.span.stop, done=True)

    # ---- forwards

    def _ids(self, number: int) -> range:
        """The IDs of the objects that a forward pass follows."""
        size = self.tracker.max_objects
        return range(number * size + 1, min((number + 1) * size, self.settings.max_masklets) + 1)

    def _start_of(self, number: int) -> int | None:
        """The image on which a forward pass begins; None: there is nothing to do for it."""
        if number == 0:
            return self.recording.span.start
        first_frames, ids = self.store.first_frames, self._ids(number)
        if not ids or ids[0] - 1 not in first_frames:  # as many as there may be; or the pass before had room
            return None
        if ids[0] in first_frames:
            return first_frames[ids[0]]
        searches = range(self._next_search(first_frames[ids[0] - 1]), self.recording.span.stop, self.period)
        return next((frame for frame in searches if self._is_uncovered(frame)), None)

    def _next_search(self, after: int) -> int:
        """The first image after this one that is due to be searched."""
        first = self.recording.span.start
        return first + ((after - first) // self.period + 1) * self.period

    def _is_uncovered(self, frame: int) -> bool:
        """Whether the masklets of an image cover too little of it."""
        stored = self.store.frame(frame)
        if stored is None:  # it is damaged: the next one is searched instead
            return True
        counts = [mask.counts for mask in stored.masks if mask.present]
        return covered_share(counts, stored.height, stored.width) < self.settings.coverage

    def _forward(self, name: str, number: int, start: int) -> None:
        end = self.recording.span.stop
        self._total += end - start
        begin = taken_up(name, start, self.tracker, self.store)
        self._advance(name, (end if begin is None else begin) - start)
        if begin is None:
            return
        ids = self._ids(number)
        searched = self.store.first_frames[ids[0] - 1] if number else start - 1  # by the passes before
        due = self._next_search(max(searched, begin - 1))
        for image in self.recording.images(begin):
            if number == 0:
                self.store.add_frame(image.index, image.stamp, *image.pixels.shape[:2])
            encoded = self._follow(image)
            new = [object_id for object_id in self._found_on(image.index) if object_id in ids]
            if image.index >= due:
                due = self._next_search(image.index)
                if len(self.store.first_frames) < ids[-1] and self._is_uncovered(image.index):
                    encoded = encoded or self.tracker.encode(image.pixels)
                    new = [object_id for object_id in self._search(image, encoded) if object_id in ids]
            self._start(image, new, encoded)
            self._advance(name, 1)
            self._pace.commit(self.store, name, image.index + 1, self.tracker)
        self.store.commit(name, end, done=True)

    def _search(self, image: RecordedImage, encoded: EncodedImage) -> list[int]:
        """Find everything that no masklet covers yet, and add it to the store as objects; their IDs."""
        stored, first_frames = self.store.frame(image.index), self.store.first_frames
        assert stored is not None, "images are added before they are searched"
        found = self.generator.generate(image.pixels, encoded)
        known = [mask.counts for mask in stored.masks if mask.present]
        uncovered = uncovered_shares([mask.counts for mask in found], known, stored.height, stored.width)
        new = [mask for mask, share in zip(found, uncovered, strict=True) if share >= MIN_UNCOVERED]
        new = [mask for mask in new if is_large_enough(mask.mask, encoded.input_size)]
        new.sort(key=lambda mask: -mask.iou)
        most = self.settings.review.duplicate_iou  # what would be rejected in the end need not be followed
        new = [new[i] for i in without_repeats([mask.counts for mask in new], most, stored.height, stored.width)]
        object_ids = range(len(first_frames) + 1, self.settings.max_masklets + 1)[: len(new)]
        for object_id, mask in zip(object_ids, new, strict=False):  # beyond `max_masklets`, masks are left
            self.store.add_object(object_id, "", image.index)
            self.store.add(image.index, [Masklet(object_id, "", True, 1.0, mask.iou, mask.mask)])
        return list(object_ids)

    # ---- backwards

    def _backward(self, name: str, first_frames: Mapping[int, int]) -> None:
        """Follow objects, the latest first, from where they were found to the beginning.

        What the tracker sees is the recording in reverse: each object is prompted by its mask, on its frame.
        """
        start = max(first_frames.values())
        begin = taken_up(name, start, self.tracker, self.store)
        self._advance(name, start - (self.recording.span.start - 1 if begin is None else begin))
        if begin is None:
            return
        for image in self.recording.images_backwards(begin):
            encoded = self._follow(image)
            self._start(image, [i for i, frame in first_frames.items() if frame == image.index], encoded)
            self._advance(name, 1)
            self._pace.commit(self.store, name, image.index - 1, self.tracker)
        self.store.commit(name, -1, done=True)

    # ---- in both directions

    def _follow(self, image: RecordedImage) -> EncodedImage | None:
        """Track all objects on the next image, and store their masks; None: there are none yet."""
        expected = list(self.tracker.objects)
        if not expected:
            return None
        encoded = self.tracker.encode(image.pixels)
        masklets = self.tracker.step(encoded).masklets
        if len(masklets) < len(expected):
            raise self._too_many()
        self.store.add(image.index, masklets)
        return encoded

    def _start(self, image: RecordedImage, object_ids: Sequence[int], encoded: EncodedImage | None) -> None:
        """Prompt objects with the masks by which they were found on this image. The store has these already."""
        if not object_ids:
            return
        if not self.tracker.objects:
            self.tracker.step(encoded or self.tracker.encode(image.pixels))
        stored = self.store.frame(image.index)
        assert stored is not None
        for mask in stored.masks:
            if mask.object_id in object_ids:
                pixels = rle.decode(mask.counts, stored.height, stored.width)
                try:
                    self.tracker.prompt(Prompt(mask.object_id, mask=pixels))
                except PromptError as error:
                    raise self._too_many() from error

    def _too_many(self) -> MemoryError:
        number = self.tracker.max_objects
        return MemoryError(f"the GPU is out of memory for {number} objects at once; choose fewer (max_objects)")

    def _found_on(self, frame: int) -> list[int]:
        return [object_id for object_id, first in self.store.first_frames.items() if first == frame]

    def _advance(self, name: str, images: int) -> None:
        self._done += images
        self._on_progress(self._done, self._total, name)
