"""Calibrates the thresholds of automatic masks for a model: python benchmarks/everything_thresholds.py --data STILLS

For every image the masks of a whole grid of points are computed once, unfiltered; thresholds are then swept over them,
with the boxes' non-maximum suppression that belongs to each. An object counts as found by a mask of IoU > 0.7, once.

Two rules: the best F2 (recall counts twice as much as precision), the mean of generated scenes and photographs; and
the highest recall, the mean of both, with at most 16 masks an image in both, which is how many objects a tracker holds
by default. The second one doesn't ask for precision, which can't be measured: neither has everything annotated, and
most masks that match no object are of other things.

Scenes are those of the suite's kinds, with other seeds. STILLS is a folder with masks that no evaluation uses.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from sam2_ros.checkpoints.load import load_model
from sam2_ros.data.clip import Clip
from sam2_ros.data.formats import open_clips
from sam2_ros.evaluation.everything import FOUND_IOU, overlaps
from sam2_ros.scenes.synthetic import CHALLENGES, suite_scene
from sam2_ros.tracking.automatic_masks import AutomaticMaskGenerator, EverythingSettings
from sam2_ros.tracking.suppression import suppress

FIRST_SCENE = 100
"""Number of the first scene of each kind; the suite has those below."""
IOU_THRESHOLDS = np.arange(0, 0.96, 0.05).round(2)
STABILITY_THRESHOLDS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
NMS_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
BETA = 2
MAX_MASKS = 16
"""Mean number of masks an image, at most."""
Thresholds = tuple[float, float, float]
"""Of the predicted IoU, the stability and the IoU of boxes in suppression."""


class Candidates(NamedTuple):
    """All masks of one image, M of them, with its N true objects."""

    iou: np.ndarray
    """Predicted: [M]."""
    stability: np.ndarray
    boxes: np.ndarray
    """x0, y0, x1, y1: [M, 4]."""
    true_iou: np.ndarray
    """[M, N]."""


@dataclass(frozen=True)
class Quality:
    """What thresholds give on a set of images."""

    recall: float
    precision: float
    masks: float
    """An image."""

    def f(self, beta: float) -> float:
        """The F measure, 0 .. 1."""
        weighted = beta**2 * self.precision + self.recall
        return (1 + beta**2) * self.precision * self.recall / weighted if weighted else 0.0


def candidates(generator: AutomaticMaskGenerator, clip: Clip) -> Candidates:
    """The unfiltered masks of the first frame of a clip."""
    truth = clip.masks[0]
    assert truth is not None
    truth = truth[truth.any(axis=(1, 2))]
    found = [one for one in generator.generate(clip.frames[0]) if one.area]
    boxes, true_iou = [], []
    for one in found:
        mask = one.mask
        x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
        boxes.append((x, y, x + width - 1, y + height - 1))
        true_iou.append(overlaps([mask], truth)[0])
    predicted, stability = (np.array([getattr(one, name) for one in found]) for name in ("iou", "stability"))
    return Candidates(predicted, stability, np.array(boxes), np.array(true_iou))


def qualities(images: Sequence[Candidates], stability: float, nms: float) -> list[Quality]:
    """Quality of each of IOU_THRESHOLDS.

    Suppression goes from the best mask down, so that what it keeps above a threshold doesn't depend on those below.
    """
    found, masks, objects = np.zeros(len(IOU_THRESHOLDS)), np.zeros(len(IOU_THRESHOLDS)), 0
    for image in images:
        stable = np.flatnonzero(image.stability >= stability)
        kept = stable[suppress(image.boxes[stable], image.iou[stable], nms)]
        matching = image.true_iou[kept] > FOUND_IOU
        best = np.where(matching, image.iou[kept][:, None], -1.0).max(axis=0, initial=-1.0)
        objects += image.true_iou.shape[1]
        found += (best > IOU_THRESHOLDS[:, None]).sum(axis=1)
        masks += (image.iou[kept] > IOU_THRESHOLDS[:, None]).sum(axis=1)
    return [Quality(f / objects, f / m if m else 0.0, m / len(images)) for f, m in zip(found, masks, strict=True)]


def sweep(kinds: Sequence[Sequence[Candidates]]) -> dict[Thresholds, list[Quality]]:
    """Quality on each kind of images by thresholds of predicted IoU, stability and suppression."""
    results: dict[Thresholds, list[Quality]] = {}
    for stability, nms in product(STABILITY_THRESHOLDS, NMS_THRESHOLDS):
        for images in kinds:
            for least, quality in zip(IOU_THRESHOLDS, qualities(images, stability, nms), strict=True):
                results.setdefault((float(least), stability, nms), []).append(quality)
    return results


def score(of_kinds: Sequence[Quality]) -> float:
    """What the first rule maximises."""
    return float(np.mean([quality.f(BETA) for quality in of_kinds]))


def recall(of_kinds: Sequence[Quality]) -> tuple[float, float]:
    """What the second rule maximises: mean recall, 0 .. 1, or -1 with more masks than MAX_MASKS; then few masks."""
    few = all(quality.masks <= MAX_MASKS for quality in of_kinds)
    mean = float(np.mean([quality.recall for quality in of_kinds])) if few else -1.0
    return mean, -sum(quality.masks for quality in of_kinds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="STILLS", help="photographs with masks")
    parser.add_argument("--only", nargs="+", default=[""], metavar="NAME", help="those whose names begin with NAME")
    parser.add_argument("--stills", type=int, default=60, help="number of photographs")
    parser.add_argument("--scenes", type=int, default=5, help="number of scenes of each kind")
    parser.add_argument("--model", default="default")
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--size", type=int, help="input size: about a square of this side; default: the model's")
    parser.add_argument("--points", type=int, nargs="+", default=[32], help="points per side")
    parser.add_argument("--offsets", type=float, nargs="+", default=[1.0], help="stability score offsets")
    parser.add_argument(
        "--also", nargs=3, type=float, action="append", default=[], metavar=("IOU", "STABILITY", "NMS"),
        help="thresholds of the sweep that are listed too; repeat",
    )  # fmt: skip
    parser.add_argument("--m2m", action="store_true", help="refine each mask once more")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    console = Console()
    console.width = max(console.width, 110)  # tables in a file would be cut to 80 columns
    console.print("$ python " + shlex.join(sys.argv), highlight=False)
    model = load_model(options.model, options.checkpoint, "cpu", options.size)
    scenes = [suite_scene(f"{kind}-{FIRST_SCENE + i}", frames=1) for kind in CHALLENGES for i in range(options.scenes)]
    clips = open_clips(options.data).beginning(tuple(options.only))
    stills = [clips[int(i)] for i in np.linspace(0, len(clips) - 1, min(options.stills, len(clips)))]
    kinds = {"scenes": scenes, "photographs": stills}
    meta, suited = EverythingSettings(), EverythingSettings.suited_to(model.config)
    for points, offset in product(options.points, options.offsets):
        settings = replace(
            suited,
            points_per_side=points,
            stability_score_offset=offset,
            use_m2m=options.m2m,
            pred_iou_thresh=0,
            stability_score_thresh=0,
            box_nms_thresh=1,
        )
        generator = AutomaticMaskGenerator(model, settings)
        images: list[list[Candidates]] = []
        for name, kind in kinds.items():
            images.append([])
            for clip in track(
                kind, f"{points} x {points} points, offset {offset:g}, {name}", console=console, transient=True
            ):
                images[-1].append(candidates(generator, clip))
        results = sweep(images)
        console.print(
            f"\n{points} x {points} points, stability offset {offset:g}, refined: {options.m2m}; "
            + ", ".join(f"{len(kind)} {name} with {sum(one.true_iou.shape[1] for one in kind)} objects"
                        for name, kind in zip(kinds, images, strict=True))
        )  # fmt: skip
        reached = [
            np.mean([np.concatenate([one.true_iou.max(axis=0, initial=0) for one in kind]) > FOUND_IOU])
            for kind in images
        ]
        console.print("without any filter found: " + ", ".join(f"{100 * share:.1f} %" for share in reached))
        named = {"suited": _thresholds(suited), "Meta's": _thresholds(meta)}
        for chosen in options.also:
            named[f"also {len(named) - 1}"] = tuple(chosen)
        _show(console, results, named, list(kinds))
    return 0


def _thresholds(settings: EverythingSettings) -> Thresholds:
    return settings.pred_iou_thresh, settings.stability_score_thresh, settings.box_nms_thresh


def _show(
    console: Console, results: dict[Thresholds, list[Quality]], named: dict[str, Thresholds], kinds: list[str]
) -> None:
    table = Table("thresholds", box=None, padding=(0, 2, 0, 0))
    for column in ("IoU", "stability", "NMS", f"F{BETA}"):
        table.add_column(column, justify="right")
    for kind in kinds:
        for column in (f"{kind}: found", "precision", "masks"):
            table.add_column(column, justify="right")

    def row(name: str, key: Thresholds) -> None:
        cells = [f"{value:g}" for value in key]
        for quality in results[key]:
            cells += [f"{100 * quality.recall:.1f}", f"{100 * quality.precision:.1f}", f"{quality.masks:.1f}"]
        table.add_row(name, *cells[:3], f"{100 * score(results[key]):.2f}", *cells[3:])

    for rank, key in enumerate(sorted(results, key=lambda key: recall(results[key]), reverse=True)[:5]):
        row("recall" if rank == 0 else f"{rank + 1}.", key)
    order = sorted(results, key=lambda key: -score(results[key]))
    for rank in (0, 1, 2, 3, 4):
        row(f"F{BETA}" if rank == 0 else f"{rank + 1}.", order[rank])
    for kind in range(len(kinds)):
        row(f"best of {kinds[kind]}", max(results, key=lambda key: results[key][kind].f(BETA)))
    row("best F1", max(results, key=lambda key: float(np.mean([quality.f(1) for quality in results[key]]))))
    best = max(results, key=lambda key: recall(results[key]))
    for least in IOU_THRESHOLDS[::2]:
        row("IoU", (float(least), *best[1:]))
    for stability in STABILITY_THRESHOLDS:
        row("stability", (best[0], stability, best[2]))
    for nms in NMS_THRESHOLDS:
        row("NMS", (*best[:2], nms))
    for name, key in named.items():
        if key in results:
            row(name, key)
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
