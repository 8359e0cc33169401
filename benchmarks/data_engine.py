"""The data engine, once round, with the truth as annotator: python benchmarks/data_engine.py OUT [--minutes 4]

Bags of a scene type that the default model is bad at -> phase 3 of annotation in projects (a simulated annotator clicks
where the model errs, until a mask is fine) -> verification by another one (masklets that are wrong go back once) ->
fine-tuning on what is verified. Prints the work, and J&F with one click before and after against the exact truth: on
bags that nobody annotated and nothing was learnt from. Everything depends on seeds alone, but for the length of the
training in minutes (--steps). The same command goes on where it was stopped.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the node does

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from sam2_ros.acceleration import Network, accelerated
from sam2_ros.annotation.annotated_object import OPEN, VERIFIED
from sam2_ros.annotation.assistant import Assistant
from sam2_ros.annotation.before_and_after import AFTER, BEFORE, before_and_after
from sam2_ros.annotation.fine_tuning import fine_tune
from sam2_ros.annotation.project import SATISFACTORY, UNSATISFACTORY, Project
from sam2_ros.annotation.simulated_phases import ANNOTATOR, Player
from sam2_ros.annotation.timings import timings
from sam2_ros.checkpoints.load import load_sam2
from sam2_ros.data import bag
from sam2_ros.data.clip import Clip
from sam2_ros.evaluation.region_boundary import region_similarity
from sam2_ros.evaluation.report import percent
from sam2_ros.evaluation.simulated_annotator import SimulatedAnnotator
from sam2_ros.recordings.open_recording import open_recording
from sam2_ros.scenes.rendering import Film
from sam2_ros.scenes.synthetic import CALM, Scenes, SceneSettings, SyntheticScenes
from sam2_ros.scenes.table_scenes import TableScenes

FIRST_SEED, FIRST_UNSEEN = 7_000_000, 8_000_000
"""Seeds of the scenes that are annotated, and of those that are not; the suite and the default model's training have
others."""

CLICKS = 3
"""On a frame, before the annotator draws the mask: sooner than people would, for the time that it takes here."""
VERIFIER = "verifier"
MIN_IOU = 0.75
"""Of a masklet that is satisfactory, mean over its frames."""


class ThermalScenes(Scenes):
    """Scenes as a cheap thermal camera would show them: in false colours, things warm and the room cool, with noise."""

    def scene(self, seed: int) -> Clip:
        clip = SyntheticScenes(self.settings).scene(seed)
        rng = np.random.default_rng(seed)
        warmth = rng.uniform(35, 60, len(clip.object_ids))
        columns = rng.normal(0, 8, clip.frames[0].shape[1])
        frames = []
        for image, masks in zip(clip.frames, clip.masks, strict=True):
            assert masks is not None
            cold = 60 + 0.25 * image.mean(axis=2)
            warm = cold + (masks * warmth[:, None, None]).sum(axis=0)
            noisy = cv2.GaussianBlur(warm, (0, 0), 1.5) + columns + rng.normal(0, 25, warm.shape)
            false = cv2.applyColorMap(noisy.clip(0, 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
            frames.append(np.ascontiguousarray(false[..., ::-1]))
        return replace(clip, name=f"thermal-{seed}", frames=frames)

    def film(self, seed: int) -> Film:
        raise NotImplementedError("whole clips only")


KINDS: dict[str, Callable[[SceneSettings], Scenes]] = {
    "thermal": ThermalScenes,
    "tiny": lambda settings: SyntheticScenes(replace(settings, size=(0.04, 0.08), objects=(3, 6))),
    "table": TableScenes,
}


def record(scenes: Scenes, seeds: range, folder: Path) -> list[tuple[Path, Clip]]:
    """Bags with the images of scenes, and the scenes, which know the truth."""
    recorded = []
    for seed in track(seeds, f"bags in {folder}"):
        clip = scenes.scene(seed)
        path = folder / str(seed)
        if not (path / "metadata.yaml").exists():
            bag.write(replace(clip, object_ids=(), masks=[None] * len(clip)), path)
        recorded.append((path, clip))
    return recorded


def annotate(folder: Path, path: Path, clip: Clip, network: Network, objects: int) -> None:
    """Phase 3 by the simulated annotator, and verification; once more on every frame where that was unsatisfactory."""
    recording = open_recording(path)
    with Project.create(folder, recording) as project:
        if project.objects():
            return
        assistant = Assistant(project, recording, network, ANNOTATOR)
        for row in range(min(objects, len(clip.object_ids))):
            truths = {frame: masks[row] for frame, masks in enumerate(clip.masks) if masks is not None}
            first = next(frame for frame, truth in truths.items() if truth.any())
            truths = {frame: truth for frame, truth in truths.items() if frame >= first}
            object_id = project.add_object(ANNOTATOR, f"thing {clip.object_ids[row]}")
            for frames in ({first, *project.annotated_frames}, set(truths)):
                player = Player(project, assistant, SimulatedAnnotator(max_clicks=CLICKS), object_id, 3, len(clip))
                for _ in player.play({frame: truth for frame, truth in truths.items() if frame in frames}):
                    pass
                if verify(project, object_id, truths):
                    break


def verify(project: Project, object_id: int, truths: dict[int, np.ndarray]) -> bool:
    """Judge a masklet by the truth."""
    masks = {mask.frame: mask.mask for mask in project.masks_of(object_id)}
    nothing = np.zeros_like(next(iter(truths.values())))
    iou = np.mean([region_similarity(masks.get(frame, nothing), truth) for frame, truth in truths.items()])
    project.judge(VERIFIER, object_id, SATISFACTORY if iou >= MIN_IOU else UNSATISFACTORY, f"mean IoU {iou:.2f}")
    return bool(iou >= MIN_IOU)


def work(folders: Sequence[Path]) -> Table:
    """What was annotated, and how much work it was."""
    verified = unverified = 0
    seconds, frames, edited, clicks = 0.0, 0, 0, 0
    for folder in folders:
        with Project(folder) as project:
            verified += len(project.objects(VERIFIED))
            unverified += len(project.objects(OPEN))
            spent = timings(project)[3]
            seconds += spent.seconds
            frames += spent.frames
            edited += spent.edited
            clicks += spent.clicks
    table = Table(title="annotation", title_justify="left")
    for heading in ("recordings", "masklets verified", "not", "frames looked at", "edited", "clicks", "minutes"):
        table.add_column(heading, justify="right")
    numbers = len(folders), verified, unverified, frames, edited, clicks, f"{seconds / 60:.0f}"
    table.add_row(*map(str, numbers))
    return table


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for bags, projects and weights")
    parser.add_argument("--scenes", choices=KINDS, default="thermal", help="type of scenes (%(default)s)")
    parser.add_argument("--bags", type=int, default=10, help="that are annotated (%(default)s)")
    parser.add_argument("--unseen", type=int, default=6, help="bags for the scores (%(default)s)")
    parser.add_argument("--frames", type=int, default=8, help="of a bag (%(default)s)")
    parser.add_argument("--objects", type=int, default=2, help="that are annotated in a bag, at most (%(default)s)")
    parser.add_argument("--minutes", type=float, default=4, help="of training (%(default)s)")
    parser.add_argument("--steps", type=int, help="of training, instead of minutes: the same result every time")
    parser.add_argument("--lr", type=float, help="learning rate of the training; default: the recipe's")
    parser.add_argument("--size", type=int, help="of training's images; default: the model's own")
    return parser


def main() -> None:
    options = arguments().parse_args()
    console, started = Console(), time.monotonic()
    scenes = KINDS[options.scenes](replace(CALM, height=192, width=256, frames=options.frames))
    annotated = record(scenes, range(FIRST_SEED, FIRST_SEED + options.bags), options.out / "bags")
    unseen = record(scenes, range(FIRST_UNSEEN, FIRST_UNSEEN + options.unseen), options.out / "unseen")

    network = accelerated(load_sam2())
    folders = [options.out / "projects" / path.name for path, _ in annotated]
    for folder, (path, clip) in zip(track(folders, "annotation"), annotated, strict=True):
        annotate(folder, path, clip, network, options.objects)
    console.print(work(folders))

    stage = {"frames": 4, "clips": 2, **({"size": options.size} if options.size else {})}
    stage |= {"steps": options.steps} if options.steps else {"minutes": options.minutes}
    changes = {"stage": stage, "learning": {"lr": options.lr} if options.lr else {}}
    heard = [0.0]

    def tell(what: str, share: float) -> None:
        if share == 1.0 or time.monotonic() - heard[0] > 20:
            heard[0] = time.monotonic()
            console.print(f"{what}: {share:.0%}")

    tuned = fine_tune(folders, options.out / "tuned", changes=changes, on_progress=tell)
    assert tuned is not None
    console.print(tuned.verdict, *tuned.notes, sep="\n")

    compared = before_and_after(load_sam2(), load_sam2(None, tuned.weights), [clip for _, clip in unseen])
    assert compared is not None
    cv2.imwrite(str(options.out / "unseen.png"), compared.picture[..., ::-1])
    compared.report({"scenes": options.scenes}, []).save(options.out / "unseen-scores")
    table = Table(title=f"{options.unseen} unseen recordings, exact truth, one click", title_justify="left")
    for heading in ("weights", "J&F", "J", "F", "presence F1", "switches"):
        table.add_column(heading, justify="right")
    for when in (BEFORE, AFTER):
        one = compared.summary(when)
        table.add_row(when, *map(percent, (one.j_and_f, one.j, one.f, one.presence_f1)), str(one.switches))
    console.print(table)
    console.print(f"{(time.monotonic() - started) / 60:.1f} minutes; {options.out / 'unseen.png'}, {tuned.report}")


if __name__ == "__main__":
    main()
