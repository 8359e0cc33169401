"""What limits the accuracy of a network: the same clips with one thing after another known, as if somebody told it.

    python benchmarks/limits.py [--davis DAVIS --list five.txt] [--checkpoint WEIGHTS] [--size 448]

Without --davis, the clips are like the synthetic suite's, from seeds that it doesn't hold ("lookalikes-100" ...). Each
object is clicked, or its true mask is given, where it first appears. J&F (0 .. 100), by challenge and over all objects,
presence F1 and ID switches, of

- `click`, `mask`: as it is;
- `click, best first`: of the three candidates for the click the one nearest to the truth, without a closer look;
- `click, best` and `mask, best`: that candidate on every frame;
- `mask, true memory`: each frame is remembered with its true mask and presence, so that no error is carried on;
- `mask, true memory, best`: both, which leaves what the decoder can draw at this input size.

The difference of two rows is what the known thing is worth.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from sam2_ros.acceleration import Network, accelerate
from sam2_ros.checkpoints.load import load_model
from sam2_ros.data import davis
from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import Clips, read_list
from sam2_ros.evaluation.prompts import prompt_object
from sam2_ros.evaluation.scores import ObjectScore, Scorer, summary
from sam2_ros.model.mask_decoder import RawMasks, best_candidate
from sam2_ros.model.sam2 import ABSENT_LOGIT, Decoded, ImageFeatures, Memories
from sam2_ros.scenes.synthetic import CHALLENGES, suite_scene
from sam2_ros.tracking.tracker import Tracker

FIRST = 100
"""Index of the first scene of each challenge; the suite's own begin at 0."""
PRESENT = 10.0
"""Logit of what is known for certain."""


@dataclass(frozen=True)
class Known:
    """What is known beside the prompt."""

    prompt: str
    best_first: bool = False
    best: bool = False
    true_memory: bool = False

    def __str__(self) -> str:
        told = {"true memory": self.true_memory, "best first": self.best_first and not self.best, "best": self.best}
        return ", ".join([self.prompt, *(name for name, known in told.items() if known)])


ROWS = (
    Known("click"),
    Known("click", best_first=True),
    Known("click", best_first=True, best=True),
    Known("mask"),
    Known("mask", best=True),
    Known("mask", true_memory=True),
    Known("mask", best=True, true_memory=True),
)


class Informed:
    """A network that knows the true masks of the objects which it segments: a `Network`."""

    def __init__(self, network: Network, known: Known) -> None:
        self._network, self._known = network, known
        self.truth = np.zeros((0, 1, 1), bool)  # of the objects of the next call, [N, H, W]
        self.prompting = False

    def __getattr__(self, name: str) -> object:
        return getattr(self._network, name)

    def track(self, features: ImageFeatures, memories: Memories) -> tuple[Decoded, Tensor]:
        decoded, maps = self._network.track(features, memories)
        if self._known.true_memory:
            truth = self._resized(decoded.mask_logits.shape[-2:])
            logits = torch.where(truth > 0.5, PRESENT, -PRESENT)
            present = torch.where(truth.flatten(1).any(1), PRESENT, -PRESENT)
            maps = self._network.encode_memory(features, logits, present, False)
            shown = torch.where(present[:, None, None] > 0, decoded.visible_logits, ABSENT_LOGIT)
            decoded = replace(decoded, mask_logits=shown, presence_logit=present)
        return decoded, maps

    def nearest(self, raw: RawMasks) -> Tensor:
        """Index of the candidate that is chosen, 1 .. 3: int64 [N]."""
        informed = self._known.best_first if self.prompting else self._known.best
        if not informed or len(raw.logits) != len(self.truth):
            return best_candidate(raw)
        truth = self._resized(raw.logits.shape[-2:])[:, None] > 0.5
        masks = raw.logits[:, 1:] > 0
        union = (masks | truth).flatten(2).sum(2).clamp(min=1)
        overlap = (masks & truth).flatten(2).sum(2) / union
        return torch.where(overlap.amax(1) > 0, overlap.argmax(1) + 1, best_candidate(raw))

    def _resized(self, shape: tuple[int, ...]) -> Tensor:
        return F.interpolate(torch.from_numpy(self.truth)[None].float(), tuple(shape), mode="area")[0]


def scores(tracker: Tracker, informed: Informed, clip: Clip, prompt: str) -> list[ObjectScore]:
    """Track one clip."""
    tracker.reset()
    scorer = Scorer(clip)
    waiting = set(clip.object_ids)
    for index, (image, truth) in enumerate(zip(clip.frames, clip.masks, strict=True)):
        by_id = None if truth is None else dict(zip(clip.object_ids, truth, strict=True))
        if by_id is not None and tracker.objects:
            informed.truth = np.stack([by_id[number] for number in tracker.objects])
        tracker.step(image)
        for number in clip.object_ids:
            if by_id is not None and number in waiting and by_id[number].any():
                informed.truth, informed.prompting = by_id[number][None], True
                prompt_object(tracker, prompt, number, by_id[number])
                informed.prompting = False
                waiting.discard(number)
        assert tracker.newest is not None
        scorer.add(index, truth, tracker.newest)
    return scorer.scores()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--davis", type=Path, help="folder with JPEGImages/ and Annotations/")
    parser.add_argument("--list", type=Path, help="file with the names of its sequences, one a line")
    parser.add_argument("--checkpoint", type=Path, help="default: the weights that ship")
    parser.add_argument("--size", type=int, help="input size, about N x N pixels; default: the model's")
    parser.add_argument("--challenges", nargs="+", choices=CHALLENGES, default=list(CHALLENGES), help="default: all")
    parser.add_argument("--scenes", type=int, default=3, help="of each challenge (%(default)s)")
    options = parser.parse_args()
    if options.davis:
        clips = davis.clips(options.davis)
        if options.list:
            clips = clips.listed(read_list(options.list))
        challenges = {clip: clip for clip in clips.names}
    else:
        names = [f"{one}-{FIRST + index}" for one in options.challenges for index in range(options.scenes)]
        clips = Clips(names, suite_scene)
        challenges = {name: name.rsplit("-", 1)[0] for name in names}
    network = accelerate(load_model(checkpoint=options.checkpoint, image_size=options.size))
    table = Table("", "J&F", "F1", "switches", *dict.fromkeys(challenges.values()))
    for known in ROWS:
        informed = Informed(network, known)
        # What is nearest to the truth is known on the whole image alone, not in a window of it.
        closer_look = False if known.best_first else None
        tracker = Tracker(informed, max_objects=64, closer_look=closer_look)  # type: ignore[arg-type]
        found: list[ObjectScore] = []
        with patch("sam2_ros.model.sam2.best_candidate", informed.nearest):
            for clip in track(clips, str(known), transient=True):
                found += scores(tracker, informed, clip, known.prompt)
        total = summary(found)
        parts = [
            summary([one for one in found if challenges[one.clip] == part]).j_and_f
            for part in dict.fromkeys(challenges.values())
        ]
        percents = [f"{100 * value:.1f}" for value in (total.j_and_f, total.presence_f1, *parts)]
        table.add_row(str(known), *percents[:2], str(total.switches), *percents[2:])
    console = Console()
    console.width = max(console.width, 160)
    console.print(table)


if __name__ == "__main__":
    main()
