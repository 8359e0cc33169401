"""What a detector's boxes do to tracking: J&F, ID switches, duplicates and false objects, by `detections_do`.

    python benchmarks/detectors.py [--scenes 1] [--first 0] [--images 72] [--fps 12] [--only both start ...]

A simulated detector looks at the scenes of the evaluation suite 5 times a second, and its boxes arrive 300 ms late: it
misses 20 % of the objects, its boxes jitter by 5 to 10 % of their size, and 0.3 boxes an image are false. It knows two
classes. Everything follows from seeds, in simulated time; the default model tracks.

    J&F         of the masklets as published, in percent, all images counted, also those before an object starts; each
                true object is scored with the masklet that the best one-to-one match gives it over the whole clip (as
                in DAVIS 2019, unsupervised)
    later       the same, of the images from 2 s on: without the delay of the start, which counts much in short clips
    switches    images on which a true object is followed (IoU 0.5) by another ID than before
    duplicates  masklets on an object that another masklet follows, per 100 images
    false       objects that never follow a true one

Scenes number 0, 1, ... of each challenge judge; thresholds were chosen on numbers from 100 on (--first 100).
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as in the node, and before PyTorch starts its threads

import argparse
import itertools
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from rich.console import Console
from rich.table import Table

from sam2_ros.checkpoints.load import load_model
from sam2_ros.data.clip import Clip
from sam2_ros.detection.association import assign
from sam2_ros.detection.policy import Action, Decision, Detection, DetectionPolicy
from sam2_ros.detection.settings import DetectionSettings
from sam2_ros.evaluation.region_boundary import boundary_accuracy, region_similarity
from sam2_ros.evaluation.scores import FOLLOWED_IOU
from sam2_ros.evaluation.vos import stamp
from sam2_ros.scenes.synthetic import CHALLENGES, suite_scene
from sam2_ros.tracking.boxes import overlaps
from sam2_ros.tracking.encoded_image import EncodedImage
from sam2_ros.tracking.masklet import Frame
from sam2_ros.tracking.prompt import Box, Prompt, PromptError
from sam2_ros.tracking.tracker import Tracker

RATE = 5.0  # detector frames a second
LATE = 300_000_000  # ns
MISSES, JITTER, FALSE = 0.2, (0.05, 0.1), 0.3
LABELS = ("cup", "box")
LEAST_PIXELS = 40
"""Number of visible pixels from which on an object can be detected."""
LATER = 2.0  # s
FIRST_STARTS = 1_000_000_000
"""Time at the beginning during which `correct` may start objects, ns."""

VARIANTS = {
    "at once": DetectionSettings(do="start", confirm=1, confirm_within=1),  # by `AtOnce`
    "start": DetectionSettings(do="start"),
    "correct": DetectionSettings(do="correct"),
    "both": DetectionSettings(do="both"),
}


def detections(clip: Clip, seed: Sequence[int]) -> Iterator[tuple[int, list[Detection]]]:
    """Index and boxes of each image that the detector has looked at."""
    rng = np.random.default_rng(seed)
    height, width = clip.frames[0].shape[:2]
    for number in itertools.count():
        index = round(number * clip.fps / RATE)
        if index >= len(clip):
            return
        found = []
        for object_id, mask in zip(clip.object_ids, clip.masks[index], strict=True):
            missed, amount, noise, score = rng.random(), rng.uniform(*JITTER), rng.normal(size=4), rng.uniform(0.5, 1)
            if mask.sum() < LEAST_PIXELS or missed < MISSES:
                continue
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            size = np.array([columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1])
            corner = np.array([columns[0], rows[0]]) + amount * noise[:2] * size
            found.append(Detection(Box(*corner, *size * (1 + amount * noise[2:])), LABELS[object_id % 2], score))
        for _ in range(rng.poisson(FALSE)):
            size = rng.uniform(0.1, 0.4, 2) * (width, height)
            corner = rng.uniform(0, 1, 2) * ((width, height) - size)
            found.append(Detection(Box(*corner, *size), LABELS[rng.integers(2)], rng.uniform(0.5, 1)))
        boxes = [replace(one, box=cut) for one in found if (cut := _within(one.box, height, width)) is not None]
        yield index, sorted(boxes, key=lambda one: -one.score)


def _within(box: Box, height: int, width: int) -> Box | None:
    try:
        return Prompt(box=box).checked(height, width).box
    except PromptError:
        return None


@dataclass
class Result:
    """Scores of one variant, summed over clips."""

    quality: list[float] = field(default_factory=list)
    """J&F of each true object, 0 .. 1."""
    later: list[float] = field(default_factory=list)
    """The same, from `LATER` on."""
    images: int = 0
    switches: int = 0
    duplicates: int = 0
    false: int = 0
    actions: Counter[str] = field(default_factory=Counter)

    def __iadd__(self, other: Result) -> Result:
        self.quality += other.quality
        self.later += other.later
        self.images += other.images
        self.switches += other.switches
        self.duplicates += other.duplicates
        self.false += other.false
        self.actions += other.actions
        return self

    def row(self) -> list[str]:
        acts = [self.actions[kind] for kind in ("start", "correct", "recover", "remove")]
        return [
            f"{100 * np.mean(self.quality):.1f}",
            f"{100 * np.mean(self.later):.1f}",
            str(self.switches),
            f"{100 * self.duplicates / self.images:.1f}",
            str(self.false),
            " + ".join(map(str, acts)),
        ]


class AtOnce(DetectionPolicy):
    """What the node did before: each box that overlaps no visible object and no better box starts one."""

    def decide(
        self, detections: Sequence[Detection], frame: Frame, own: Collection[int], settings: DetectionSettings
    ) -> Decision:
        decision = Decision()
        taken = [masklet.box for masklet in frame.masklets if masklet.present]
        for detection in detections:
            if not (overlaps([detection.box], taken) > settings.max_overlap).any():
                taken.append(detection.box)
                decision.actions.append(Action("start", 0, detection))
        return decision


class Robot:
    """A tracker with a detector, in simulated time."""

    def __init__(self, tracker: Tracker, settings: DetectionSettings, policy: DetectionPolicy) -> None:
        self._tracker = tracker
        self._settings = settings
        self._policy = policy
        self._own: set[int] = set()
        self.actions: Counter[str] = Counter()
        tracker.reset()

    def step(self, image: EncodedImage, stamp: int, messages: Sequence[tuple[int, list[Detection]]]) -> Frame:
        """Process an image, and then the messages that have arrived since the last one: their stamps and boxes."""
        self._tracker.step(image, stamp)
        for detected_at, boxes in messages:
            settings = self._settings
            if settings.do == "correct" and detected_at <= FIRST_STARTS:
                settings = replace(settings, do="both")
            frame = self._tracker.frame_at(detected_at)
            for action in self._policy.decide(boxes, frame, self._own, settings).actions:
                self._carry_out(action, detected_at)
        newest = self._tracker.newest
        assert newest is not None
        return newest

    def _carry_out(self, action: Action, stamp: int) -> None:
        self.actions[action.kind] += 1
        if action.detection is None:
            self._tracker.remove(action.object_id)
            return
        box, label = action.detection.box, action.detection.label
        prompt = Prompt(action.object_id, box=box, label=label, replace=action.kind != "start")
        try:
            masklet = self._tracker.prompt(prompt, stamp)
        except PromptError:
            return
        self._own.add(masklet.object_id)
        self._policy.prompted(masklet.object_id, stamp, box, label)


def score(clip: Clip, frames: Sequence[Frame]) -> Result:
    """Scores of the published frames of a clip."""
    result = Result(images=len(clip))
    ids = sorted({masklet.object_id for frame in frames for masklet in frame.masklets})
    similarity = np.zeros((len(clip), len(clip.object_ids), len(ids)))
    nothing = np.zeros(clip.frames[0].shape[:2], bool)

    def mask_of(frame: Frame, object_id: int) -> np.ndarray:
        masklet = frame.masklet(object_id)
        return nothing if masklet is None else masklet.mask

    before: dict[int, int] = {}
    followed = np.zeros(len(ids), bool)
    for index, (frame, truth) in enumerate(zip(frames, clip.masks, strict=True)):
        predicted = [mask_of(frame, object_id) for object_id in ids]
        similarity[index] = [[region_similarity(mask, true) for mask in predicted] for true in truth]
        follows = similarity[index] * truth.any((1, 2))[:, None] * np.array([mask.any() for mask in predicted])
        steady = follows.copy()
        for row, column in before.items():
            steady[row, column] += follows[row, column] >= FOLLOWED_IOU  # whoever follows goes on
        steady[follows < FOLLOWED_IOU] = 0
        now = dict(assign(steady, FOLLOWED_IOU))
        result.switches += sum(before.get(row, column) != column for row, column in now.items())
        result.duplicates += int(
            ((follows.max(0) >= FOLLOWED_IOU) & ~np.isin(np.arange(len(ids)), list(now.values()))).sum()
        )
        before |= now
        followed |= follows.max(0, initial=0) >= FOLLOWED_IOU
    result.false = int((~followed).sum())
    matched = dict(assign(similarity.mean(0) + 1e-9, 0.0))
    for row in range(len(clip.object_ids)):
        column = matched.get(row)
        values = []
        for frame, truth in zip(frames, clip.masks, strict=True):
            mask = nothing if column is None else mask_of(frame, ids[column])
            j = region_similarity(mask, truth[row])
            values.append((j + boundary_accuracy(mask, truth[row])) / 2)
        result.quality.append(float(np.mean(values)))
        result.later.append(float(np.mean(values[round(LATER * clip.fps) :])))
    return result


def table_of(totals: Mapping[str, Result]) -> Table:
    """One row for each variant."""
    objects = len(next(iter(totals.values())).quality)
    columns = ("J&F", "later", "switches", "duplicates", "false", "starts + corrections + recoveries + removals")
    table = Table("", *columns, title=f"{objects} objects")
    for variant, total in totals.items():
        table.add_row(variant, *total.row())
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=1, help="of each challenge (%(default)s)")
    parser.add_argument("--first", type=int, default=0, help="number of the first (%(default)s)")
    parser.add_argument("--challenges", nargs="+", default=list(CHALLENGES), help="default: all")
    parser.add_argument("--images", type=int, default=72, help="of a clip (%(default)s)")
    parser.add_argument("--fps", type=float, default=12.0, help="processed images a second (%(default)s)")
    parser.add_argument("--only", nargs="+", default=list(VARIANTS), help="variants (all)")
    options = parser.parse_args()
    console = Console()
    names = [
        f"{challenge}-{number}"
        for number in range(options.first, options.first + options.scenes)
        for challenge in options.challenges
    ]
    model = load_model()
    trackers = {name: Tracker(model) for name in options.only}
    totals = {name: Result() for name in options.only}
    for number, name in enumerate(names):
        clip = replace(suite_scene(name, options.images), fps=options.fps)
        robots = {
            variant: Robot(tracker, VARIANTS[variant], AtOnce() if variant == "at once" else DetectionPolicy())
            for variant, tracker in trackers.items()
        }
        waiting = list(detections(clip, (5, number, options.first)))
        frames: dict[str, list[Frame]] = {variant: [] for variant in robots}
        for index, image in enumerate(clip.frames):
            now = stamp(clip, index)
            due = [(stamp(clip, at), boxes) for at, boxes in waiting if stamp(clip, at) + LATE <= now]
            waiting = waiting[len(due) :]
            encoded = next(iter(trackers.values())).encode(image)
            for variant, robot in robots.items():
                frames[variant].append(robot.step(encoded, now, due))
        for variant, robot in robots.items():
            scored = score(clip, frames[variant])
            scored.actions = robot.actions
            console.print(name, variant, *scored.row(), sep="  ", highlight=False)
            totals[variant] += scored
        if (number + 1) % len(options.challenges) == 0:
            console.print(table_of(totals))


if __name__ == "__main__":
    main()
