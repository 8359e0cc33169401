"""`python -m sam2_ros.training.iou_head OUT ...`: fits the head that predicts the IoU of masks to a trained model.

This head chooses among the three candidates of a click and of every later frame (SAM 2 paper, appendix C.2). During
training it chases masks that change from step to step, and sees each of them once; after a short training its choice is
hardly better than chance. Here the rest of the model is frozen, inputs of the head are recorded on many frames, and the
head alone is fitted to these, which takes seconds.
"""

from __future__ import annotations

from sam2_ros.requirements import require

if __name__ == "__main__":
    require("iou-head")  # before the imports that would fail

import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import count, islice
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from sam2_ros.acceleration import accelerate
from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.checkpoints.load import load_sam2
from sam2_ros.checkpoints.save import save_weights
from sam2_ros.command_line import CommandParser
from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError
from sam2_ros.data.formats import open_all
from sam2_ros.data.label_values import MEANINGS
from sam2_ros.model.layers import MLP
from sam2_ros.model.mask_decoder import SINGLE, MaskDecoder, RawMasks
from sam2_ros.scenes.photographs import Photographs
from sam2_ros.scenes.pictures import Pictures
from sam2_ros.tracking.pixels import mask_to_network
from sam2_ros.tracking.prompt import Click, Prompt
from sam2_ros.tracking.tracker import Tracker
from sam2_ros.training.augmentation import NONE
from sam2_ros.training.losses import coverage, iou
from sam2_ros.training.recipe import Stage
from sam2_ros.training.scenes import SceneSamples
from sam2_ros.training.uncorrected import warn_of_uncorrected

DESCRIPTION = "Fits the head that predicts the IoU of masks to a trained model."
EXAMPLES = """
%(prog)s fitted.safetensors --init run/average.safetensors
%(prog)s fitted.safetensors --init run/average.safetensors --data run1 run2 --minutes 30
"""
HELD_OUT = 5
"""One in `HELD_OUT` clips is held out, to judge the fit."""
DIFFERENCE_WEIGHT = 4.0
"""Weight of errors in the differences between candidates, relative to errors in their IoU."""
BATCH = 512
MAX_FRAMES = 100
"""Maximum number of frames of a clip that are used; recordings may have thousands of similar ones."""

Decoding = tuple[Tensor, RawMasks]
"""The input of the head [N, dim] and the output of the decoder, for N objects."""


@dataclass(frozen=True)
class Judged:
    """N outputs of the decoder for visible objects, with the true IoU of their masks."""

    tokens: Tensor
    """Input of the head: float32 [N, dim]."""
    predicted: Tensor
    """Output of the head, the predicted IoU, 0 .. 1: [N, 4]; of the single mask, then of the candidates."""
    iou: Tensor
    """True IoU, 0 .. 1: [N, 4]."""
    prompted: Tensor
    """Whether each output follows a click, not memory: bool [N]."""
    clip: Tensor
    """Number of the clip: int64 [N]."""

    @staticmethod
    def join(parts: Sequence[Judged]) -> Judged:
        return Judged(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(Judged)))

    def select(self, rows: Tensor) -> Judged:
        """The outputs selected by a mask: bool [N]."""
        return Judged(*(getattr(self, field.name)[rows] for field in fields(Judged)))


def judge(tracker: Tracker, clip: Clip, number: int = 0) -> Judged | None:
    """Track every object of a clip, on its first `MAX_FRAMES` frames, from one click.

    A click is drawn from the object's pixels on the first frame that shows it, with a probability that grows with the
    distance from its outline, as users click. None: no object is ever visible.

    Args:
        tracker: is reset first. Objects beyond its maximum number are left out.
        number: of the clip; seeds the clicks.

    Raises:
        ClipError: the clip is damaged.
    """
    rng = np.random.default_rng(number)
    decoder = tracker.network.model.sam_mask_decoder
    judged: list[Judged] = []
    tracked: list[int] = []
    tracker.reset()
    for index, (image, masks) in enumerate(islice(zip(clip.frames, clip.masks, strict=True), MAX_FRAMES)):
        with record(decoder) as decodings:
            tracker.step(image, index)
        if masks is None:
            continue
        if tracked:
            judged.append(_judged(tracker, decodings[-1], masks[tracked], number, prompted=False))
        for row, mask in enumerate(masks):
            if row not in tracked and mask.any() and len(tracked) < tracker.max_objects:
                with record(decoder) as decodings:
                    tracker.prompt(Prompt(row + 1, clicks=(_click(mask, rng),)))
                # The first one is of the whole image; a closer look at a small thing decodes its window afterwards.
                judged.append(_judged(tracker, decodings[0], mask[None], number, prompted=True))
                tracked.append(row)
    return Judged.join(judged) if judged else None


@contextmanager
def record(decoder: MaskDecoder) -> Iterator[list[Decoding]]:
    """A list that gains an entry for each call of the decoder while the context is open."""
    tokens: list[Tensor] = []
    decodings: list[Decoding] = []
    hooks = [
        decoder.transformer.register_forward_hook(lambda _, __, out: tokens.append(out[0][:, 1])),  # the IoU token
        decoder.register_forward_hook(lambda _, __, raw: decodings.append((tokens[-1], raw))),
    ]
    try:
        yield decodings
    finally:
        for hook in hooks:
            hook.remove()


def _judged(tracker: Tracker, decoding: Decoding, masks: np.ndarray, clip: int, *, prompted: bool) -> Judged:
    """Compare masks with true ones, bool [N, H, W], on the decoder's own grid, as the losses do."""
    tokens, raw = decoding
    shape = tracker.network.config.shape(*masks.shape[1:])
    true = [mask_to_network(mask, shape, raw.logits.device) for mask in masks]
    target = coverage(torch.cat(true).bool())[:, 0]
    true_iou = iou(raw.logits, target[:, None].expand_as(raw.logits))
    clicked, clips = (torch.full((len(masks),), value) for value in (prompted, clip))
    judged = Judged(tokens.cpu(), raw.iou.cpu(), true_iou.cpu(), clicked, clips)
    return judged.select((target > 0.5).flatten(1).any(dim=1).cpu())


def _click(mask: np.ndarray, rng: np.random.Generator) -> Click:
    depth = cv2.distanceTransform(np.pad(mask, 1).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    weight = depth.ravel().astype(np.float64) ** 2
    y, x = divmod(int(rng.choice(weight.size, p=weight / weight.sum())), mask.shape[1])
    return Click(x, y)


def fit(head: MLP, judged: Judged, epochs: int = 15, lr: float = 1e-3) -> None:
    """Fit the head in place, starting from its current weights.

    The loss is the squared error, not the paper's absolute one, so that predictions are means of the possible IoU.
    Differences between candidates weigh more, since they decide the choice and are comparatively small.
    """
    generator = torch.Generator().manual_seed(0)
    batch = min(BATCH, len(judged.tokens))
    steps = epochs * len(judged.tokens) // batch
    head.requires_grad_(True).train()
    optimizer = torch.optim.AdamW(head.parameters(), lr=lr, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps)
    for _ in range(steps):
        rows = torch.randint(len(judged.tokens), (batch,), generator=generator)
        error = head(judged.tokens[rows]).sigmoid() - judged.iou[rows]
        candidates = error[:, SINGLE + 1 :]
        between = candidates - candidates.mean(dim=1, keepdim=True)
        loss = error.square().mean() + DIFFERENCE_WEIGHT * between.square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    head.requires_grad_(False).eval()


def choice(judged: Judged, predicted: Tensor) -> list[float]:
    """Mean IoU of the candidates that predictions [N, 4] choose, of the best, and of all; mean error of predictions."""
    true, candidates = judged.iou[:, SINGLE + 1 :], predicted[:, SINGLE + 1 :]
    chosen = true.gather(1, candidates.argmax(dim=1, keepdim=True))
    return [float(v.mean()) for v in (chosen, true.amax(dim=1), true, F.l1_loss(predicted, judged.iou))]


class _JudgedClips(Dataset[Judged | None]):
    """Judged clips by number, or scenes by seed; computed on access, in a data worker.

    None for clips without visible objects, and for damaged ones, which are printed.
    """

    def __init__(self, tracker: Tracker, clip: Callable[[int], Clip]) -> None:
        self.tracker, self.clip = tracker, clip

    def __getitem__(self, number: int) -> Judged | None:
        try:
            return judge(self.tracker, self.clip(number), number)
        except ClipError as error:
            print(f"skipped: {error}", file=sys.stderr)
            return None


def gather(
    tracker: Tracker, clip: Callable[[int], Clip], numbers: Iterable[int], minutes: float, workers: int
) -> Judged:
    """Judge clips until there are no more, or `minutes` have passed. Raises ValueError if there are too few.

    Args:
        clip: makes or opens a clip by number.
        numbers: numbers of the clips.
        workers: number of processes, each with its own thread and tracker; 0: this process.
    """
    cv2.setNumThreads(1)  # its thread pool does not survive a fork
    judged = DataLoader(_JudgedClips(tracker, clip), batch_size=None, sampler=numbers, num_workers=workers)  # type: ignore[arg-type]
    parts: list[Judged] = []
    answers, start, length = 0, time.monotonic(), 60 * minutes
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("tracking", total=length)
        for part in judged:
            if part is not None:
                parts.append(part)
                answers += len(part.tokens)
            spent = time.monotonic() - start
            progress.update(task, completed=spent, description=f"{len(parts)} clips, {answers} masks judged")
            if spent > length:
                break
    if len(parts) < HELD_OUT:
        raise ValueError(f"{len(parts)} clips are too few: give at least {HELD_OUT} (--minutes, --data)")
    return Judged.join(parts)


def main() -> int:
    usage = "%(prog)s OUT [--init FILE] [--data PATH ...] [options]"
    parser = CommandParser("sam2_ros.training.iou_head", DESCRIPTION, EXAMPLES, usage)
    parser.add_argument("out", type=Path, help="file for the weights with the fitted head (.safetensors)")
    parser.add_argument("--init", type=Path, metavar="FILE", help="initial weights; default: those of the package")
    parser.add_argument("--model", help="model of the weights; default: the one they fit")
    size = "images have about N x N pixels; default: the model's"
    parser.add_argument("--size", type=int, metavar="N", help=size)
    parser.add_argument("--aspect", metavar="W:H", help="aspect of images and scenes; default: the model's")
    data = "folders or bags, in any layout that sam2_ros.data reads; default: synthetic scenes"
    parser.add_argument("--data", type=Path, nargs="+", metavar="PATH", help=data)
    parser.add_argument("--list", type=Path, metavar="FILE", help="only the clips of --data named there, one a line")
    images = "image topic of bags with several (default: the one that masklets fit); folder of the images a JSON lists"
    parser.add_argument("--images", metavar="TOPIC|FOLDER", help=images)
    parser.add_argument("--masklets", metavar="TOPIC", help="masklet topic of bags with several")
    values = "of mask files: one object from half of the highest value on, or an object's ID each; default: inferred"
    parser.add_argument("--mask-values", choices=MEANINGS, help=values)
    pictures = "image store made by sam2_ros.scenes.pictures; without it scenes are procedural"
    parser.add_argument("--pictures", metavar="STORE", help=pictures)
    stills = "still images with masks, which half of the scenes are made of then; held-out ones are never used"
    parser.add_argument("--photographs", type=Path, metavar="PATH", help=stills)
    parser.add_argument(
        "--tables", type=float, default=0.5, metavar="X", help="share of tables of drawn scenes (%(default)s)"
    )
    seed = "seed of the first scene; beyond those of training (%(default)s)"
    parser.add_argument("--first-seed", type=int, default=10**9, metavar="N", help=seed)
    workers = "processes that track (default: one for each core; on a GPU 0, this one)"
    parser.add_argument("--workers", type=int, metavar="N", help=workers)
    parser.add_argument("--minutes", type=float, default=10, metavar="X", help="time for tracking (%(default)s)")
    options = parser.parse_args()
    warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
    try:
        model = load_sam2(options.model, options.init, image_size=options.size, aspect=options.aspect)
        workers = options.workers
        if workers is None:
            workers = 0 if model.device.type == "cuda" else os.cpu_count() or 1
        if options.data:
            clips = open_all(options.data, options.list, options.images, options.masklets, options.mask_values)
            warn_of_uncorrected(options.data)
            clip, numbers = clips.__getitem__, range(len(clips))
        else:
            # Short clips: the frames of a clip are much alike, and each clip yields masks after a click.
            photographs = Photographs.open(options.photographs) if options.photographs else ()
            share = 0.5 if photographs else 0.0
            tables = options.tables * (1 - share)
            stage = Stage(frames=8, tables=tables, photographs=share, materials=0.7, vanishing=0.2)
            pictures = Pictures.open(options.pictures) if options.pictures else None
            samples = SceneSamples(stage, model.config.shape(1, 1), NONE, pictures, photographs)

            def clip(seed: int) -> Clip:
                return samples.maker(seed).scene(seed)

            numbers = count(options.first_seed)
        judged = gather(Tracker(accelerate(model)), clip, numbers, options.minutes, workers)
    except (ClipError, CheckpointError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    head = model.sam_mask_decoder.iou_prediction_head.to("cpu")
    held_out = judged.clip % HELD_OUT == 0
    fit(head, judged.select(~held_out))
    table = Table("on held-out clips", "masks", "chosen", "best", "mean", "error", title="IoU of candidates")
    predictions = {"before": judged.predicted, "after": head(judged.tokens).sigmoid()}
    for name, rows in (("after a click", held_out & judged.prompted), ("later frames", held_out & ~judged.prompted)):
        for when, predicted in predictions.items():
            numbers = choice(judged.select(rows), predicted[rows])
            table.add_row(f"{name}, {when}", str(int(rows.sum())), *(f"{v:.3f}" for v in numbers))
    Console().print(table)
    before, after = (choice(judged.select(held_out), predicted[held_out])[0] for predicted in predictions.values())
    if after < before:
        print("The fitted head chooses no better: give more --minutes or --data.")
    save_weights(model, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
