"""`python -m sam2_ros.training.iou_head OUT ...`: fits the head that says what masks are worth to a trained network.

That head chooses among the three candidates of a click and of every later frame (SAM 2 paper, appendix C.2). While a
network learns, its head runs after masks that change from step to step, and sees each of them once; a short training
leaves it choosing hardly better than chance. Here the network stays as it is, what goes into the head is kept from many
frames, and the head alone is fitted to that, which takes seconds.
"""

from __future__ import annotations

import argparse
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
from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError
from sam2_ros.data.formats import open_all
from sam2_ros.data.label_values import MEANINGS
from sam2_ros.model.layers import MLP
from sam2_ros.model.mask_decoder import SINGLE, MaskDecoder, RawMasks
from sam2_ros.scenes.pictures import Pictures
from sam2_ros.tracking.pixels import mask_to_network
from sam2_ros.tracking.prompt import Click, Prompt
from sam2_ros.tracking.tracker import Tracker
from sam2_ros.training.augmentation import NONE
from sam2_ros.training.losses import coverage, iou
from sam2_ros.training.own_answers import remark_on_own_answers
from sam2_ros.training.recipe import Stage
from sam2_ros.training.scenes import SceneSamples

PUT_ASIDE = 5
"""One clip in so many is not learnt from; with these is judged whether it helped."""
AMONG_CANDIDATES = 4.0
"""What errors in the differences between candidates count, beside errors in the values themselves."""
BATCH = 512
FRAMES = 100
"""So many of a clip are looked at; recordings may have thousands, which are much alike."""

Heard = tuple[Tensor, RawMasks]
"""What the head was given [N, dim], and all that the decoder said, of N objects."""


@dataclass(frozen=True)
class Judged:
    """Masks that the decoder gave for objects that can be seen, and what they are worth; N answers."""

    tokens: Tensor
    """What the head is given: float32 [N, dim]."""
    predicted: Tensor
    """What it says, 0 .. 1: [N, 4]; the single mask comes first, then the candidates."""
    iou: Tensor
    """With the truth, 0 .. 1: [N, 4]."""
    prompted: Tensor
    """Whether it is the answer to a click, not of a later frame: bool [N]."""
    clip: Tensor
    """Number of the clip: int64 [N]."""

    @staticmethod
    def join(parts: Sequence[Judged]) -> Judged:
        return Judged(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(Judged)))

    def of(self, rows: Tensor) -> Judged:
        """Some of them: bool [N]."""
        return Judged(*(getattr(self, field.name)[rows] for field in fields(Judged)))


def judge(tracker: Tracker, clip: Clip, number: int = 0) -> Judged | None:
    """Follows every object of a clip, of its first `FRAMES` frames, from one click.

    A click is drawn from the object's pixels on the first frame that shows it, more often the deeper they lie in it, as
    users click. None: no object was ever seen.

    Args:
        tracker: it is reset first. Objects for which it has no room are left out.
        number: of the clip; clicks hang on it.

    Raises:
        ClipError: the clip is damaged.
    """
    rng = np.random.default_rng(number)
    decoder = tracker.network.model.sam_mask_decoder
    found: list[Judged] = []
    followed: list[int] = []
    tracker.reset()
    for index, (image, masks) in enumerate(islice(zip(clip.frames, clip.masks, strict=True), FRAMES)):
        with listen(decoder) as heard:
            tracker.step(image, index)
        if masks is None:
            continue
        if followed:
            found.append(_worth(tracker, heard[-1], masks[followed], number, prompted=False))
        for row, mask in enumerate(masks):
            if row not in followed and mask.any() and len(followed) < tracker.max_objects:
                with listen(decoder) as heard:
                    tracker.prompt(Prompt(row + 1, clicks=(_click(mask, rng),)))
                found.append(_worth(tracker, heard[-1], mask[None], number, prompted=True))
                followed.append(row)
    return Judged.join(found) if found else None


@contextmanager
def listen(decoder: MaskDecoder) -> Iterator[list[Heard]]:
    """Fills with what the decoder says meanwhile, one entry for each call."""
    tokens: list[Tensor] = []
    heard: list[Heard] = []
    hooks = [
        decoder.transformer.register_forward_hook(lambda _, __, found: tokens.append(found[0][:, 1])),  # the IoU's
        decoder.register_forward_hook(lambda _, __, raw: heard.append((tokens[-1], raw))),
    ]
    try:
        yield heard
    finally:
        for hook in hooks:
            hook.remove()


def _worth(tracker: Tracker, heard: Heard, masks: np.ndarray, clip: int, *, prompted: bool) -> Judged:
    """Compares with true masks, bool [N, H, W], on the decoder's own grid, where the losses are taken too."""
    tokens, raw = heard
    shape = tracker.network.config.shape(*masks.shape[1:])
    true = [mask_to_network(mask, shape, raw.logits.device) for mask in masks]
    target = coverage(torch.cat(true).bool())[:, 0]
    worth = iou(raw.logits, target[:, None].expand_as(raw.logits))
    asked, number = (torch.full((len(masks),), value) for value in (prompted, clip))
    judged = Judged(tokens.cpu(), raw.iou.cpu(), worth.cpu(), asked, number)
    return judged.of((target > 0.5).flatten(1).any(dim=1).cpu())


def _click(mask: np.ndarray, rng: np.random.Generator) -> Click:
    depth = cv2.distanceTransform(np.pad(mask, 1).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    weight = depth.ravel().astype(np.float64) ** 2
    y, x = divmod(int(rng.choice(weight.size, p=weight / weight.sum())), mask.shape[1])
    return Click(x, y)


def fit(head: MLP, judged: Judged, epochs: int = 15, lr: float = 1e-3) -> None:
    """Teaches the head, in place, from what it says so far.

    Squared errors, where the paper has absolute ones: what is looked for is the mean of what a mask may be worth. The
    differences between candidates count more, since the choice hangs on them, and they are small beside the rest.
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
        loss = error.square().mean() + AMONG_CANDIDATES * between.square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    head.requires_grad_(False).eval()


def choice(judged: Judged, predicted: Tensor) -> list[float]:
    """Mean IoU of the candidates that predictions [N, 4] choose, of the best, and of all; mean error of predictions."""
    worth, said = judged.iou[:, SINGLE + 1 :], predicted[:, SINGLE + 1 :]
    chosen = worth.gather(1, said.argmax(dim=1, keepdim=True))
    return [float(v.mean()) for v in (chosen, worth.amax(dim=1), worth, F.l1_loss(predicted, judged.iou))]


class _JudgedClips(Dataset[Judged | None]):
    """By number, or by seed for scenes; worked out where it is asked for, in a process that makes samples.

    None where there is nothing to judge, or where a clip is damaged, which is printed.
    """

    def __init__(self, tracker: Tracker, clip: Callable[[int], Clip]) -> None:
        self.tracker, self.clip = tracker, clip

    def __getitem__(self, number: int) -> Judged | None:
        try:
            return judge(self.tracker, self.clip(number), number)
        except ClipError as error:
            print(f"passed over: {error}", file=sys.stderr)
            return None


def gather(
    tracker: Tracker, clip: Callable[[int], Clip], numbers: Iterable[int], minutes: float, workers: int
) -> Judged:
    """Judges clips until there are no more, or for so long. Raises ValueError if there are too few.

    Args:
        clip: makes or opens one.
        numbers: of the clips.
        workers: processes, each with a thread and a tracker of its own; 0: this one.
    """
    cv2.setNumThreads(1)  # a forked worker must not find a pool of threads that are gone
    judged = DataLoader(_JudgedClips(tracker, clip), batch_size=None, sampler=numbers, num_workers=workers)  # type: ignore[arg-type]
    parts: list[Judged] = []
    answers, start, length = 0, time.monotonic(), 60 * minutes
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("following", total=length)
        for part in judged:
            if part is not None:
                parts.append(part)
                answers += len(part.tokens)
            spent = time.monotonic() - start
            progress.update(task, completed=spent, description=f"{len(parts)} clips, {answers} answers judged")
            if spent > length:
                break
    if len(parts) < PUT_ASIDE:
        raise ValueError(f"{len(parts)} clips are too few: at least {PUT_ASIDE} are needed, from --minutes or --data")
    return Judged.join(parts)


def main() -> int:
    parser = argparse.ArgumentParser("python -m sam2_ros.training.iou_head", description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="the weights, with the new head (.safetensors)")
    parser.add_argument("--init", type=Path, metavar="FILE", help="weights to start from; default: those that ship")
    parser.add_argument("--model", help="whose weights they are; default: what they fit")
    size = "it sees about N x N pixels; default: the model's"
    parser.add_argument("--size", type=int, metavar="N", help=size)
    parser.add_argument("--aspect", metavar="W:H", help="of what it sees; default: the model's. Scenes have it too")
    data = "folders or bags, in any layout that sam2_ros.data reads; default: synthetic scenes"
    parser.add_argument("--data", type=Path, nargs="+", metavar="PATH", help=data)
    parser.add_argument("--list", type=Path, metavar="FILE", help="of --data, only the clips named there, one a line")
    images = "of bags with several (default: the one that masklets fit); where the images are that a JSON lists"
    parser.add_argument("--images", metavar="TOPIC|FOLDER", help=images)
    parser.add_argument("--masklets", metavar="TOPIC", help="of bags with several")
    values = "of mask files: of one object, from half of the highest on, or each an object's ID; default: as it looks"
    parser.add_argument("--mask-values", choices=MEANINGS, help=values)
    pictures = "made by sam2_ros.scenes.pictures; without it scenes are procedural"
    parser.add_argument("--pictures", metavar="STORE", help=pictures)
    parser.add_argument("--tables", type=float, default=0.5, metavar="X", help="scenes on tables, 0 .. 1 (%(default)s)")
    seed = "of the scenes; other ones than the network has learnt from (%(default)s)"
    parser.add_argument("--first-seed", type=int, default=10**9, metavar="N", help=seed)
    workers = "processes that follow things (default: one for each core; on a GPU 0, this one)"
    parser.add_argument("--workers", type=int, metavar="N", help=workers)
    parser.add_argument("--minutes", type=float, default=10, metavar="X", help="to follow things for (%(default)s)")
    options = parser.parse_args()
    warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
    try:
        model = load_sam2(options.model, options.init, image_size=options.size, aspect=options.aspect)
        workers = options.workers
        if workers is None:
            workers = 0 if model.device.type == "cuda" else os.cpu_count() or 1
        if options.data:
            clips = open_all(options.data, options.list, options.images, options.masklets, options.mask_values)
            remark_on_own_answers(options.data)
            clip, numbers = clips.__getitem__, range(len(clips))
        else:
            # Not many frames: what one clip shows is much the same all the time, and every clip has first answers.
            stage = Stage(frames=8, tables=options.tables, materials=0.7, vanishing=0.2)
            pictures = Pictures.open(options.pictures) if options.pictures else None
            samples = SceneSamples(stage, model.config.shape(1, 1), NONE, pictures)

            def clip(seed: int) -> Clip:
                return samples.maker(seed).scene(seed)

            numbers = count(options.first_seed)
        judged = gather(Tracker(accelerate(model)), clip, numbers, options.minutes, workers)
    except (ClipError, CheckpointError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    head = model.sam_mask_decoder.iou_prediction_head.to("cpu")
    aside = judged.clip % PUT_ASIDE == 0
    fit(head, judged.of(~aside))
    table = Table("on clips put aside", "answers", "chosen", "best", "mean", "error", title="IoU of candidates")
    said = {"before": judged.predicted, "after": head(judged.tokens).sigmoid()}
    for name, rows in (("to a click", aside & judged.prompted), ("later frames", aside & ~judged.prompted)):
        for when, predicted in said.items():
            numbers = choice(judged.of(rows), predicted[rows])
            table.add_row(f"{name}, {when}", str(int(rows.sum())), *(f"{v:.3f}" for v in numbers))
    Console().print(table)
    before, after = (choice(judged.of(aside), predicted[aside])[0] for predicted in said.values())
    if after < before:
        print("The new head chooses no better. Give it more to see: --minutes, or more --data.")
    save_weights(model, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
