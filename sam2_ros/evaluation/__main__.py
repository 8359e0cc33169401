"""python -m sam2_ros.evaluation: scores a model on clips with known masks."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before PyTorch starts its threads; the sam2 node says why

import argparse
import shlex
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from sam2_ros.data import davis
from sam2_ros.data.clip import Clip
from sam2_ros.data.synthetic import suite
from sam2_ros.evaluation.contact_sheet import contact_sheet, thumbnail
from sam2_ros.evaluation.prompts import KINDS
from sam2_ros.evaluation.report import Report
from sam2_ros.evaluation.scores import ObjectScore, score, summary
from sam2_ros.evaluation.vos import follow
from sam2_ros.model.checkpoint import CheckpointError, load_model
from sam2_ros.model.config import CONFIGS
from sam2_ros.tracking.masklet import Frame
from sam2_ros.tracking.overlay import draw_overlay
from sam2_ros.tracking.tracker import Tracker

SHOWN = 8  # frames on a contact sheet
MAX_OBJECTS = 64  # in one clip


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sam2_ros.evaluation",
        description="Scores a model on clips with known masks: every object is pointed out once, on the first frame"
        " where it is visible, and followed from there.",
    )
    clips = parser.add_mutually_exclusive_group(required=True)
    clips.add_argument("--suite", action="store_true", help="the synthetic scenes held out from training")
    clips.add_argument("--davis", type=Path, metavar="FOLDER", help="a folder with JPEGImages/ and Annotations/")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only the clips whose names begin so")
    parser.add_argument("--prompt", choices=KINDS, default="click", help="what points an object out (default: click)")
    parser.add_argument("--model", choices=CONFIGS, help="default: the one that the checkpoint is for, or `default`")
    parser.add_argument("--checkpoint", type=Path, help="weights: Meta's .pt, Hugging Face's or our .safetensors")
    parser.add_argument("--device", help="cpu, cuda, ... (default: the GPU if there is one)")
    parser.add_argument("--out", type=Path, default=Path("evaluation"), help="folder for results (default: evaluation)")
    parser.add_argument("--overlays", action="store_true", help="also write every frame with its masks as PNG")
    return parser


class Watched:
    """Passes a clip's answers on; keeps the time they took and pictures of some."""

    def __init__(self, clip: Clip, frames: Iterator[Frame], folder: Path | None, bar: Progress) -> None:
        self.clip, self.frames, self.folder, self.bar = clip, frames, folder, bar
        self.seconds = 0.0
        self.shown = sorted({round(index) for index in np.linspace(0, len(clip) - 1, SHOWN)})
        self.pictures: list[np.ndarray] = []

    def __iter__(self) -> Iterator[Frame]:
        task = self.bar.add_task(self.clip.name, total=len(self.clip))
        for index in range(len(self.clip)):
            start = time.perf_counter()
            frame = next(self.frames)
            self.seconds += time.perf_counter() - start
            if index in self.shown or self.folder:
                image = self.clip.frames[index]
                if index in self.shown:
                    self.pictures.append(_with_truth(thumbnail(image, frame.masklets), self.clip.masks[index]))
                if self.folder:
                    picture = draw_overlay(image, frame.masklets)
                    write_png(self.folder / self.clip.name / f"{index:05d}.png", picture)
            self.bar.advance(task)
            yield frame
        self.bar.remove_task(task)

    def sheet(self, scores: list[ObjectScore], subtitle: str) -> np.ndarray:
        """The contact sheet of the clip, uint8 [height, width, 3] RGB."""
        total = summary(scores)
        title = f"{self.clip.name}    J&F {100 * total.j_and_f:.1f}"
        captions = []
        for index in self.shown:
            here = [frame for one in scores for frame in one.frames if frame.frame == index]
            quality = f"    J&F {100 * np.mean([(frame.j + frame.f) / 2 for frame in here]):.0f}" if here else ""
            captions.append(f"frame {index}{quality}")
        return contact_sheet(self.pictures, captions, title, subtitle)


def _with_truth(picture: np.ndarray, truth: np.ndarray | None) -> np.ndarray:
    """The picture with thin white outlines around the true masks."""
    for mask in truth if truth is not None else ():
        small = cv2.resize(mask.view(np.uint8), picture.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        contours, _ = cv2.findContours(small, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(picture, contours, -1, (255, 255, 255), 1, cv2.LINE_AA)
    return picture


def write_png(path: Path, picture: np.ndarray) -> None:
    """Writes a picture, uint8 [H, W, 3] RGB. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ok, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    assert ok
    path.write_bytes(data.tobytes())


def evaluate(tracker: Tracker, clips: Iterable[Clip], kind: str, out: Path, settings: dict[str, str], *,
             overlays: bool, challenges: bool, console: Console) -> Report:  # fmt: skip
    """Follows and scores every clip; writes a contact sheet of each, and the tables, into the folder `out`."""
    scores: list[ObjectScore] = []
    frames, seconds = 0, 0.0
    groups: dict[str, str] = {}
    columns = (TextColumn("{task.description:<16}"), BarColumn(40), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        for clip in clips:
            watched = Watched(clip, follow(tracker, clip, kind), out / "overlays" if overlays else None, bar)
            of_clip = score(clip, watched)
            sheet = watched.sheet(of_clip, f"prompt: {kind}. The truth is outlined in white.")
            write_png(out / f"{clip.name}.png", sheet)
            quality, rate = summary(of_clip).j_and_f, len(clip) / watched.seconds
            console.print(f"{clip.name:<20} J&F {100 * quality:5.1f} {rate:8.1f} frames/s")
            scores += of_clip
            frames += len(clip)
            seconds += watched.seconds
            if challenges:
                groups[clip.name] = clip.name.rsplit("-", 1)[0]
    if not scores:
        raise ValueError("there is no clip to score; see --only")
    report = Report(settings, scores, groups, frames / seconds)
    report.save(out)
    return report


def main() -> int:
    options = arguments().parse_args()
    console = Console()
    console.width = max(console.width, 100)  # or tables in a file would be cut to 80 columns
    try:
        model = load_model(options.model, options.checkpoint, options.device)
        only = tuple(options.only or [""])
        clips: Iterable[Clip]
        if options.suite:
            clips = (clip for clip in suite() if clip.name.startswith(only))
        else:
            clips = (clip for clip in davis.clips(options.davis) if clip.name.startswith(only))
        settings = {
            "model": model.config.name,
            "checkpoint": str(options.checkpoint or "shipped"),
            "clips": "synthetic suite" if options.suite else f"DAVIS layout, {options.davis}",
            "prompt": options.prompt,
            "command": shlex.join(["python", "-m", "sam2_ros.evaluation", *sys.argv[1:]]),
        }
        tracker = Tracker(model, max_objects=MAX_OBJECTS)
        report = evaluate(
            tracker, clips, options.prompt, options.out, settings,
            overlays=options.overlays, challenges=options.suite, console=console,
        )  # fmt: skip
    except (CheckpointError, OSError, ValueError) as error:
        console.print(f"[bold red]error:[/] {error}", highlight=False, soft_wrap=True)
        return 2
    console.print()
    report.print(console)
    console.print(f"pictures, scores.md and scores.json: {options.out}/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
