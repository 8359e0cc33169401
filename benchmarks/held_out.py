"""The rule by which weights of the default model are chosen, on scenes and photographs that nothing has learnt from.

    python benchmarks/held_out.py [WEIGHTS ...] --photographs ../shared/real-clips [--size 320 384]

Each object is clicked once in its centre where it first appears. Mean J (0 .. 100) over frames on which it is visible,
0 where it is predicted to be absent: of the answer to the click, on later frames until it is absent for the first time,
and after that; and the share of frames without it on which it is predicted to be absent. Objects that cover less than
1 % of the image when they are clicked are judged once more, apart. Scenes and tables are drawn, with seeds that
training doesn't reach; clips and stills are the photographs held out (`sam2_ros.scenes.photographs`), moving and as
they are. Clips are judged from a mask instead of a click, too: how well what is known is followed.

**The rule**: weights replace those that ship if the mean over all rows is higher, and no row is lower by more than two
points. Nothing else chooses: not the suite, not DAVIS.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from sam2_ros.checkpoints.load import load_model
from sam2_ros.data.clip import Clip
from sam2_ros.evaluation.prompts import KINDS
from sam2_ros.evaluation.region_boundary import region_similarity
from sam2_ros.evaluation.vos import follow
from sam2_ros.scenes.photo_scenes import PhotoScenes
from sam2_ros.scenes.photographs import Photographs
from sam2_ros.scenes.pictures import Pictures
from sam2_ros.scenes.synthetic import Scenes, SceneSettings, SyntheticScenes
from sam2_ros.scenes.table_scenes import TableScenes
from sam2_ros.tracking.tracker import Tracker

FIRST_SEED = 900_000_000_000
"""First seed of the scenes; training uses lower ones."""
SMALL = 0.01
"""Share of the image below which an object is small."""
FIRST, UNTIL, AFTER, ABSENT = "first answer", "until absent", "after", "absent called absent"
SMALL_FIRST, SMALL_LATER = "small: first answer", "small: later"
MEASURES = (FIRST, UNTIL, AFTER, ABSENT, SMALL_FIRST, SMALL_LATER)
SHIPPED = "shipped"
FEWEST = 20
"""Values that a row needs."""
GIVEN = {"mask": (FIRST, SMALL_FIRST)}
"""What a kind of prompt says itself, so that it isn't judged."""

Values = dict[str, list[float]]
"""By measure."""


def judge(tracker: Tracker, clips: Iterable[Clip], prompt: str = "click") -> Values:
    """The values of each measure, 0 .. 1: one for each object and frame.

    Args:
        prompt: kind of the first prompt (`sam2_ros.evaluation.prompts.KINDS`).
    """
    values: Values = defaultdict(list)
    for clip in clips:
        small: dict[int, bool] = {}  # of those that were prompted
        absent_before = set()
        for masks, answers in zip(clip.masks, follow(tracker, clip, [prompt]), strict=True):
            assert masks is not None
            for object_id, truth in zip(clip.object_ids, masks, strict=True):
                answer = answers[prompt].masklet(object_id)
                if answer is None:
                    continue
                if not truth.any():
                    absent_before.add(object_id)
                    values[ABSENT].append(not answer.present)
                    continue
                first = object_id not in small
                small.setdefault(object_id, bool(truth.mean() < SMALL))
                overlap = region_similarity(answer.mask, truth)
                values[FIRST if first else AFTER if object_id in absent_before else UNTIL].append(overlap)
                if small[object_id]:
                    values[SMALL_FIRST if first else SMALL_LATER].append(overlap)
    return values


def drawn(scenes: Scenes, clips: int, name: str) -> Iterator[Clip]:
    """Clips of scenes."""
    for seed in track(range(FIRST_SEED, FIRST_SEED + clips), name, transient=True):
        yield scenes.scene(seed)


def stills(photographs: Photographs, name: str) -> Iterator[Clip]:
    """Photographs as they are."""
    for photograph in track(photographs, name, transient=True):
        numbers = tuple(photograph.boxes)
        masks = photograph.label == np.array(numbers, np.uint8)[:, None, None]
        yield Clip(photograph.name, [photograph.image], numbers, [masks])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="*", type=Path, metavar="WEIGHTS", help="beside the shipped ones")
    photographs = "still images with masks, of which the held-out ones are used; without them, scenes alone"
    parser.add_argument("--photographs", type=Path, metavar="PATH", help=photographs)
    parser.add_argument("--pictures", help="a store of sam2_ros.scenes.pictures; without it scenes are procedural")
    parser.add_argument("--clips", type=int, default=20, help="of scenes and of tables each (%(default)s)")
    parser.add_argument("--frames", type=int, default=48, help="of a clip; of photographs, half as many (%(default)s)")
    parser.add_argument("--scene", default="640x480", metavar="WxH", help="size of the scenes, pixels (%(default)s)")
    size = "input sizes, about N x N pixels, at which each is judged; default: the model's"
    parser.add_argument("--size", type=int, nargs="+", default=[None], metavar="N", help=size)
    parser.add_argument("--prompt", choices=KINDS, default="click", help="the rule says: click")
    parser.add_argument("--no-closer-look", action="store_true", help="segment small things like all others")
    options = parser.parse_args()
    width, height = map(int, options.scene.split("x"))
    closer_look = False if options.no_closer_look else None
    settings = SceneSettings(height, width, frames=options.frames, objects=(2, 4), vanishing=0.5)
    pictures = Pictures.open(options.pictures) if options.pictures else None
    columns: dict[str, dict[tuple[str, str], float]] = {}
    counts: dict[tuple[str, str], int] = {}
    for weights, size in dict.fromkeys([(None, None), *product(options.weights or [None], options.size)]):
        name = SHIPPED if weights is None else str(weights)
        name = name if size is None else f"{name}, {size}"
        tracker = Tracker(load_model(checkpoint=weights, image_size=size), closer_look=closer_look)
        kinds = {
            ("tables", options.prompt): drawn(TableScenes(settings, pictures), options.clips, f"{name}, tables"),
            ("scenes", options.prompt): drawn(SyntheticScenes(settings, pictures), options.clips, f"{name}, scenes"),
        }
        if options.photographs:
            held_out = Photographs.open(options.photographs, held_out=True)
            shots = SceneSettings(360, 480, frames=options.frames // 2, vanishing=0.5)
            for prompt in dict.fromkeys((options.prompt, "mask")):
                clips = drawn(PhotoScenes(shots, held_out), len(held_out), f"{name}, clips from a {prompt}")
                kinds["clips", prompt] = clips
            kinds["stills", options.prompt] = stills(held_out, f"{name}, stills")
        columns[name] = {}
        for (kind, prompt), clips in kinds.items():
            values = judge(tracker, clips, prompt)
            for measure in MEASURES:
                if len(values[measure]) >= FEWEST and measure not in GIVEN.get(prompt, ()):
                    row = (f"{kind}, {prompt}", measure)
                    columns[name][row] = 100 * float(np.mean(values[measure]))
                    counts[row] = len(values[measure])
    table = Table("", "", "values", *columns)
    shipped = columns[SHIPPED]
    for row in shipped:
        differences = [column[row] - shipped[row] for column in columns.values()]
        cells = [f"{column[row]:.1f} ({d:+.1f})" for column, d in zip(columns.values(), differences, strict=True)]
        table.add_row(*row, str(counts[row]), f"{shipped[row]:.1f}", *cells[1:])
    means = [float(np.mean(list(column.values()))) for column in columns.values()]
    worst = [min(column[row] - shipped[row] for row in shipped) for column in columns.values()]
    cells = [
        f"{mean:.1f} ({mean - means[0]:+.1f}), worst {least:+.1f}: {'yes' if mean > means[0] and least >= -2 else 'no'}"
        for mean, least in zip(means, worst, strict=True)
    ]
    table.add_row("all", "mean; replaces what ships?", "", f"{means[0]:.1f}", *cells[1:])
    console = Console()
    console.width = max(console.width, 80 + 30 * len(columns))  # names in a file would be cut
    console.print(table)


if __name__ == "__main__":
    main()
