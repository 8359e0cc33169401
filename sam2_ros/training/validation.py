"""How good the network is on clips it never saw: one click on the first frame, tracking from there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from sam2_ros.model.sam2 import SAM2
from sam2_ros.training.losses import coverage, iou
from sam2_ros.training.rollout import Outcome, Recipe, Rollout
from sam2_ros.training.samples import Batch

ONE_CLICK = Recipe(mask=0.0, box=0.0, corrected=0.0, long_ago=0.0)


@dataclass(frozen=True)
class Scores:
    """Means over objects and frames, 0 .. 1; NaN where there was nothing to average."""

    first_iou: float
    """IoU on the prompted frame."""
    later_iou: float
    """IoU on later frames where the object can be seen, zero where it was called absent."""
    seen: float
    """Share of later frames with the object visible on which it was called present."""
    missed: float
    """Share of later frames with the object absent on which it was called absent."""

    def __str__(self) -> str:
        return (
            f"IoU {self.first_iou:.3f} on the first frame, {self.later_iou:.3f} later; "
            f"present {self.seen:.3f} when visible, absent {self.missed:.3f} when not"
        )


@torch.no_grad()
def validate(model: SAM2, batches: Sequence[Batch]) -> tuple[Scores, list[np.ndarray]]:
    """Scores, and a picture of each batch's first clip: uint8 [H, W, 3] RGB, one row of frames for each object.

    The model's image size must be that of the batches.
    """
    training = model.training
    model.eval()
    rollout = Rollout(model, ONE_CLICK)
    generator = torch.Generator().manual_seed(0)
    first, later, seen, missed, pictures = [], [], [], [], []
    for batch in batches:
        outcome = rollout(batch, generator)
        present = batch.masks.flatten(2).any(dim=2)
        found = outcome.presence_logit > 0
        overlap = iou(outcome.logits, coverage(batch.masks)) * found
        first.append(overlap[:, 0])
        later.append(overlap[:, 1:][present[:, 1:]])
        seen.append(found[:, 1:][present[:, 1:]].float())
        missed.append(~found[:, 1:][~present[:, 1:]])
        pictures.append(picture(batch, outcome))
    model.train(training)
    return Scores(*(float(torch.cat(values).float().mean()) for values in (first, later, seen, missed))), pictures


def picture(batch: Batch, outcome: Outcome, frames: int = 6) -> np.ndarray:
    """The first clip's objects, one row each: prediction filled red, truth outlined green; uint8 [H, W, 3] RGB."""
    rows = []
    for i in torch.nonzero(batch.clip == 0).flatten().tolist():
        chosen = np.linspace(0, batch.masks.shape[1] - 1, min(frames, batch.masks.shape[1])).round().astype(int)
        seen = zip(batch.images[0, chosen], batch.masks[i, chosen], outcome.logits[i, chosen], strict=True)
        present = outcome.presence_logit[i, chosen] > 0
        rows.append(np.hstack([_tile(*parts, bool(there)) for parts, there in zip(seen, present, strict=True)]))
    return np.vstack(rows)


def _tile(image: Tensor, mask: Tensor, logits: Tensor, present: bool) -> np.ndarray:
    tile = image.permute(1, 2, 0).numpy().copy()
    if present:
        inside = cv2.resize(logits.numpy(), tile.shape[1::-1], interpolation=cv2.INTER_LINEAR) > 0
        tile[inside] = tile[inside] // 2 + np.array([127, 0, 0], np.uint8)
    outline, _ = cv2.findContours(mask.numpy().astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(tile, outline, -1, (0, 255, 0), 1)
    return tile
