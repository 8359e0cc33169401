"""Whether the three candidates for one click hold the whole thing and its part, on scenes that nothing has learnt from.

    python benchmarks/whole_and_part.py [WEIGHTS ...] [--photographs ../shared/real-clips] [--scenes 200]

Each part of every thing of several parts is clicked in its centre. The best IoU (0 .. 100) of the three with the part
and with the whole; in how many answers one candidate fits the part and another one the whole (IoU > 0.5 both); how
often the candidate that is chosen is nearer to the whole; and the mean IoU of two candidates, which differ the more the
lower it is.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
from held_out import FIRST_SEED, SHIPPED
from rich.console import Console
from rich.progress import track
from rich.table import Table

from sam2_ros.checkpoints.load import load_model
from sam2_ros.evaluation.prompts import error_click
from sam2_ros.evaluation.region_boundary import region_similarity
from sam2_ros.scenes.parts import taken_apart
from sam2_ros.scenes.photo_scenes import PhotoScenes
from sam2_ros.scenes.photographs import Photographs
from sam2_ros.scenes.rendering import Thing
from sam2_ros.scenes.synthetic import SceneSettings, SyntheticScenes
from sam2_ros.tracking.image_predictor import ImagePredictor

LEAST, MOST = 0.002, 0.7
"""Share of the image that a part covers at least, and of its whole at most."""
FITS = 0.5


@dataclass(frozen=True)
class PartOfThing:
    """A part in an image, and the whole: bool [H, W]."""

    image: np.ndarray
    part: np.ndarray
    whole: np.ndarray


class Apart(SyntheticScenes):
    """Scenes taken apart, that know which parts were one thing."""

    def _objects(self, rng: np.random.Generator, scene: list[Thing]) -> list[Thing]:
        taken = taken_apart(rng, scene)
        self.things = [thing.part_ids for thing in taken if thing.part_ids]
        return taken


class PhotosApart(Apart, PhotoScenes):
    """Photographs taken apart along their colours."""


def parts_of(scenes: Apart, seeds: range) -> Iterator[PartOfThing]:
    """Parts in the first frames of scenes."""
    for seed in seeds:
        image, label = scenes.film(seed)[0]
        for ids in scenes.things:
            whole = np.isin(label, ids)
            for part in (label == number for number in ids):
                if LEAST * part.size < part.sum() < MOST * whole.sum():
                    yield PartOfThing(image, part, whole)


def judge(predictor: ImagePredictor, things: list[PartOfThing], name: str) -> np.ndarray:
    """Part, whole, both, chosen whole, IoU of two candidates: float [things, 5]."""
    values = []
    for thing in track(things, name, transient=True):
        predictor.set_image(thing.image)
        click = error_click(np.zeros_like(thing.part), thing.part)
        assert click is not None
        masks = predictor.predict([click]).masks
        part = np.array([region_similarity(mask, thing.part) for mask in masks])
        whole = np.array([region_similarity(mask, thing.whole) for mask in masks])
        both = any(
            one > FITS and other > FITS for (one, _), (_, other) in permutations(zip(part, whole, strict=True), 2)
        )
        alike = np.mean([region_similarity(one, other) for one, other in combinations(masks, 2)])
        values.append((part.max(), whole.max(), both, whole[0] > part[0], alike))
    return np.array(values, float)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="*", type=Path, metavar="WEIGHTS", help="beside the shipped ones")
    photographs = "still images with masks, of which the held-out ones are used, too"
    parser.add_argument("--photographs", type=Path, metavar="PATH", help=photographs)
    parser.add_argument("--scenes", type=int, default=100, help="of each kind (%(default)s)")
    options = parser.parse_args()
    settings, seeds = SceneSettings(360, 480, frames=1), range(FIRST_SEED, FIRST_SEED + options.scenes)
    things = {"drawn": list(parts_of(Apart(settings), seeds))}
    if options.photographs:
        held_out = Photographs.open(options.photographs, held_out=True)
        things["photographs"] = list(parts_of(PhotosApart(settings, held_out), seeds))
    table = Table("", "weights", "clicks", "part", "whole", "both", "whole chosen", "IoU of two")
    for kind, clicked in things.items():
        for weights in (None, *options.weights):
            name = SHIPPED if weights is None else str(weights)
            values = judge(ImagePredictor(load_model(checkpoint=weights)), clicked, f"{name}, {kind}")
            table.add_row(kind, name, str(len(clicked)), *(f"{100 * value:.1f}" for value in values.mean(axis=0)))
    console = Console()
    console.width = max(console.width, 120)
    console.print(table)


if __name__ == "__main__":
    main()
