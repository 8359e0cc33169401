"""Validation on clips that are not trained on: one click on the first frame, tracking from there."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from sam2_ros.acceleration import accelerate
from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError
from sam2_ros.model.sam2 import SAM2
from sam2_ros.scenes.pictures import Pictures
from sam2_ros.scenes.synthetic import SceneSettings, SyntheticScenes
from sam2_ros.training.augmentation import NONE
from sam2_ros.training.losses import coverage, iou
from sam2_ros.training.plan import Prompting
from sam2_ros.training.recipe import Stage
from sam2_ros.training.recordings import Annotated
from sam2_ros.training.rollout import Outcome, Rollout
from sam2_ros.training.samples import Batch, sample

ONE_CLICK = Prompting(mask=0.0, box=0.0, corrected=0.0, distant_prompts=0.0, forget_absent=0.0)
SEED = 2**40
"""First seed of validation scenes; training counts up from 0 and never reaches it."""
CLIPS = 12
TILE = 256
"""Longest side of one frame in a picture, pixels."""


@dataclass(frozen=True)
class Scores:
    """Means over objects and frames, 0 .. 1; NaN without values."""

    first_iou: float
    """IoU on the prompted frame."""
    later_iou: float
    """IoU on later frames with the object visible, zero if it is predicted to be absent."""
    seen: float
    """Share of later frames with the object visible on which it is predicted to be present."""
    missed: float
    """Share of later frames with the object absent on which it is predicted to be absent."""

    def __str__(self) -> str:
        words = {
            "IoU {:.3f} on the first frame": self.first_iou,
            "{:.3f} later": self.later_iou,
            "present {:.3f} when visible": self.seen,
            "absent {:.3f} when not": self.missed,
        }
        return ", ".join(shown.format(value) for shown, value in words.items() if not math.isnan(value))


def scene_batches(shape: tuple[int, int], pictures: Pictures | None, clips: int = CLIPS) -> list[Batch]:
    """Synthetic scenes of 8 frames, whose seeds are never trained on."""
    scenes = SyntheticScenes(SceneSettings(*shape, frames=8), pictures)
    batches = []
    for seed in range(SEED, SEED + clips):
        clip = scenes.scene(seed)
        frames, masks = np.stack(clip.frames), np.stack(clip.masks)
        batches.append(sample(frames, masks, 3, NONE, np.random.default_rng(seed), min_area=Stage().min_area))
    return batches


def clip_batches(clips: Sequence[Clip], stage: Stage, shape: tuple[int, int], most: int = CLIPS) -> list[Batch]:
    """The beginnings of up to `most` clips, evenly spaced, from the first frame on that shows an object.

    Clips that are damaged or too short are skipped with a warning.

    Raises:
        ValueError: none is left.
    """
    batches = []
    for number in np.linspace(0, len(clips) - 1, min(most, len(clips))).round().astype(int).tolist():
        try:
            clip = clips[number]
            annotated = Annotated.of(clip, stage.min_area, stage.max_area)
            frames, masks, squeezed = annotated.resized(clip, _beginning(clip.name, annotated, stage), shape)
            rng = np.random.default_rng(number)
            limits = {"min_area": stage.min_area, "max_area": stage.max_area}
            batches.append(sample(frames, masks, 3, NONE, rng, squeezed, **limits))
        except ValueError as error:
            warnings.warn(f"skipped in validation: {error}", stacklevel=2)
    if not batches:
        raise ValueError(f"none of {len(clips)} clips can be used for validation")
    return batches


def _beginning(name: str, annotated: Annotated, stage: Stage) -> list[int]:
    """The first frames on which an object can be tracked. Raises ClipError if there are none."""
    for first in range(len(annotated.frames) - stage.frames + 1):
        longest = (len(annotated.frames) - 1 - first) // (stage.frames - 1) if stage.frames > 1 else 1
        chosen = first + min(stage.gap, longest) * np.arange(stage.frames)
        if (annotated.visible[first] & annotated.known[chosen].all(axis=0)).any():
            return chosen.tolist()
    raise ClipError(name, f"no object can be tracked from where it is visible over {stage.frames} annotated frames")


@torch.no_grad()
def validate(model: SAM2, batches: Sequence[Batch]) -> tuple[Scores, list[np.ndarray]]:
    """Scores, and a picture of each batch's first clip: uint8 [H, W, 3] RGB, one row of frames for each object."""
    rollout = Rollout(accelerate(model, torch.float32), ONE_CLICK)
    first, later, seen, missed, pictures = [], [], [], [], []
    for seed, batch in enumerate(batches):
        outcome = rollout(batch.to(model.device), seed)
        present = batch.masks.flatten(2).any(dim=2)
        predicted = outcome.presence_logit.cpu() > 0
        overlap = iou(outcome.logits.cpu(), coverage(batch.masks)) * predicted
        first.append(overlap[:, 0])
        later.append(overlap[:, 1:][present[:, 1:]])
        seen.append(predicted[:, 1:][present[:, 1:]].float())
        missed.append(~predicted[:, 1:][~present[:, 1:]])
        pictures.append(picture(batch, outcome))
    return Scores(*(float(torch.cat(values).float().mean()) for values in (first, later, seen, missed))), pictures


def picture(batch: Batch, outcome: Outcome, frames: int = 6, objects: int = 4) -> np.ndarray:
    """The first clip's objects, one row each: prediction filled red, truth outlined green; uint8 [H, W, 3] RGB."""
    rows = []
    chosen = np.linspace(0, batch.masks.shape[1] - 1, min(frames, batch.masks.shape[1])).round().astype(int).tolist()
    for i in torch.nonzero(batch.clip == 0).flatten().tolist()[:objects]:
        rows.append(
            np.hstack(
                [
                    _tile(
                        batch.images[0, t].cpu(),
                        batch.masks[i, t].cpu(),
                        outcome.logits[i, t].cpu(),
                        bool(outcome.presence_logit[i, t] > 0),
                    )
                    for t in chosen
                ]
            )
        )
    return np.vstack(rows)


def _tile(image: Tensor, mask: Tensor, logits: Tensor, present: bool) -> np.ndarray:
    height, width = image.shape[1:]
    scale = min(1.0, TILE / max(height, width))
    size = round(scale * width), round(scale * height)
    tile = cv2.resize(image.permute(1, 2, 0).numpy(), size, interpolation=cv2.INTER_AREA)
    if present:
        inside = cv2.resize(logits.numpy(), size, interpolation=cv2.INTER_LINEAR) > 0
        tile[inside] = tile[inside] // 2 + np.array([127, 0, 0], np.uint8)
    truth = cv2.resize(mask.numpy().view(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    outline, _ = cv2.findContours(truth, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(tile, outline, -1, (0, 255, 0), 1)
    return tile
