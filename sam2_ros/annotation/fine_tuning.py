"""From annotation projects to new weights: training on their verified masklets, and what it was worth."""

from __future__ import annotations

import copy
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import torch

from sam2_ros.acceleration import accelerate
from sam2_ros.annotation.before_and_after import BeforeAndAfter, before_and_after
from sam2_ros.annotation.held_out import NOTHING, SHARE, Split, split
from sam2_ros.annotation.project import Project, ProjectError
from sam2_ros.annotation.project_recording import recording_of
from sam2_ros.annotation.verified_clip import Opened
from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.checkpoints.identity import describe_origin, identify
from sam2_ros.checkpoints.load import load_sam2
from sam2_ros.checkpoints.save import save_weights
from sam2_ros.checkpoints.weights import read_weights
from sam2_ros.data.clip import Clip
from sam2_ros.data.replaced import replacing
from sam2_ros.model.sam2 import SAM2
from sam2_ros.recordings.recording import Recording
from sam2_ros.system.device import device_of
from sam2_ros.tracking.tracker import Tracker
from sam2_ros.training.initial import initial_model
from sam2_ros.training.iou_head import HELD_OUT, MAX_FRAMES, Judged, choice, fit, judge
from sam2_ros.training.recipe import Recipe, load
from sam2_ros.training.recordings import ClipSamples, size_of
from sam2_ros.training.trainer import Trainer

WEIGHTS, REPORT, SCORES, PICTURE, RUN, SPLIT = (
    "weights.safetensors", "report.md", "report.json", "report.png", "run", "split.json"
)  # fmt: skip
"""In the output folder: the new weights; what they are worth, in words, numbers and pictures; checkpoints and logs of
the training; and what was held out."""

MAX_JUDGED = 2000
"""Frames of which the IoU head learns."""

Progress = Callable[[str, float], None]
"""Called with what is being done, in words, and the share of it that is done, 0 .. 1."""


@dataclass(frozen=True)
class FineTuned:
    """New weights, and what they are worth."""

    weights: Path
    """For the node's parameter `checkpoint`."""
    report: Path
    compared: BeforeAndAfter
    by: str
    """What was held out: `held_out.BY_RECORDING`, `BY_STRETCH` or `NOTHING`."""
    verdict: str
    """In a sentence."""
    notes: Sequence[str]
    """What the user should know: a sentence each."""


def fine_tune(
    projects: Sequence[Path | str],
    out: Path | str,
    *,
    model: str | None = None,
    init: Path | None = None,
    recipe: str | Path | None = None,
    changes: Mapping[str, Mapping[str, Any]] | None = None,
    share: float = SHARE,
    iou_head: bool = True,
    prompt: str = "click",
    recordings: Sequence[Path] = (),
    images: str | None = None,
    device: str | None = None,
    on_progress: Progress = lambda what, share: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> FineTuned | None:
    """Train a model on the verified masklets of annotation projects, and compare it with what it was before.

    Some recordings are held out, to compare on. Everything is written into `out`; the same call resumes what was
    cancelled or killed.

    Args:
        model: a key of `CONFIGS`; None: the one that `init` fits, or the default model.
        init: weights to start from; None: the model's released ones.
        recipe: name or file; None: `fine-tuning-default` for the default model, `fine-tuning` for Meta's.
        changes: settings that replace those of the recipe: table -> name -> value.
        share: of the recordings that is held out.
        iou_head: fit the head that rates masks afterwards, and keep that if it chooses better.
        prompt: kind of prompt for the comparison (`evaluation.prompts.KINDS`).
        recordings: folders to look for recordings in that are no longer where they were.
        images: topic of bags with several.
        device: as `load_model`.

    Returns:
        None: it was cancelled.

    Raises:
        ProjectError: there is nothing to learn from, a recording is gone or has changed, or `out` has another training.
        CheckpointError: the weights fit no model, or another one than `model`.
        ClipError: all held-out recordings are damaged.
        ValueError: a recipe or setting cannot be used.
        OSError: the disk is full, or a folder cannot be written.
    """
    out = Path(out)
    chosen = device_of(device)
    name = _model_name(model, init)
    with ExitStack() as stack:
        opened = _opened(stack, projects, recordings, images)
        parts = split(opened, share)
    tuning = load(recipe or ("fine-tuning-default" if name == "default" else "fine-tuning")).changed(changes or {})
    tuning, notes = _fitting(tuning, parts.training)
    notes = [*parts.notes, *notes]
    out.mkdir(parents=True, exist_ok=True)
    _record_split(out, parts, opened, init)

    learner = initial_model(name, init, tuning)
    clips = Opened(parts.training)
    samples = ClipSamples(clips, tuning.stage, learner.config.shape(*size_of(clips)), tuning.augmentation)
    samples[0, 0]  # fails now rather than in a worker if no clip can be used
    trainer = Trainer(learner.to(chosen), tuning, samples, out / RUN)
    if trainer.progress < 1:

        def step(progress: float) -> None:
            on_progress("training", min(progress, 1.0))
            if cancelled():
                trainer.stop()

        on_progress("training", trainer.progress)
        trainer.run(step)
        if trainer.progress < 1:
            return None

    after = load_sam2(name, trainer.weights, chosen)
    if iou_head:
        fitted = _fit_iou_head(after, clips, lambda done: on_progress("rating of masks", done), cancelled)
        if fitted is None:
            return None
        notes.append(fitted)
    weights = out / WEIGHTS
    unfinished = out / f"unfinished.{WEIGHTS}"
    save_weights(after, unfinished)
    os.replace(unfinished, weights)

    compared = before_and_after(
        load_sam2(name, init, chosen),
        load_sam2(name, weights, chosen),
        Opened(parts.held_out),
        prompt,
        lambda done: on_progress("before and after", done),
        cancelled,
    )
    if compared is None:
        return None
    notes += [f"Damaged, and not in the scores: {error}." for error in compared.skipped]
    verdict = _verdict(compared, parts)
    settings = {
        "model": name,
        "started from": str(init or "the released weights"),
        "projects": ", ".join(str(project) for project in projects),
        "learnt from": ", ".join(clip.name for clip in parts.training),
        "held out": ", ".join(clip.name for clip in parts.held_out) if parts.by != NOTHING else "nothing",
        "training": f"{trainer.step} steps, {trainer.elapsed / 60:.1f} minutes",
        "prompt": f"{prompt}, on the first frame that shows an object",
        "new weights": str(weights),
    }
    _write_report(out, compared, settings, verdict, parts.by, notes)
    return FineTuned(weights, out / REPORT, compared, parts.by, verdict, notes)


def _model_name(model: str | None, init: Path | None) -> str:
    """Raises CheckpointError if weights fit no model, or cannot be trained."""
    if init is None:
        return model or "default"
    weights = read_weights(init)
    name = model or identify(weights)
    if name is None:
        raise CheckpointError(f"{init}: fits none of the known models exactly. {describe_origin(weights)}")
    return name


def _opened(
    stack: ExitStack, projects: Sequence[Path | str], recordings: Sequence[Path], images: str | None
) -> list[tuple[Project, Recording]]:
    """The projects, and their recordings."""
    opened = []
    for folder in dict.fromkeys(Path(project).resolve() for project in projects):
        project = stack.enter_context(Project(folder))
        opened.append((project, recording_of(project, recordings, images)))
    return opened


def _fitting(recipe: Recipe, clips: Sequence[Clip]) -> tuple[Recipe, list[str]]:
    """A recipe whose clips are no longer than the longest there is."""
    assert all(clip.known is not None for clip in clips)
    longest = max(int(clip.known.sum(axis=0).max()) for clip in clips if clip.known is not None)
    if longest >= recipe.stage.frames:
        return recipe, []
    note = (
        f"No object is known on {recipe.stage.frames} frames, as the recipe takes; clips of {longest} were learnt from."
    )
    return replace(recipe, stage=replace(recipe.stage, frames=longest)), [note]


def _record_split(out: Path, parts: Split, opened: Sequence[tuple[Project, Recording]], init: Path | None) -> None:
    """Note what is learnt from and held out; a training that is resumed must agree with it."""
    content = {
        "projects": {str(project.folder): project.fingerprint for project, _ in opened},
        "training": [clip.name for clip in parts.training],
        "held out": [clip.name for clip in parts.held_out],
        "by": parts.by,
        "started from": str(init) if init else None,
    }
    file = out / SPLIT
    if file.exists():
        before = json.loads(file.read_text())
        if before != content:
            different = ", ".join(key for key in content if before.get(key) != content[key])
            raise ProjectError(
                f"{out} has another fine-tuning, with other {different}; give another folder, or delete this one"
            )
        return
    with replacing(file) as part:
        part.write_text(json.dumps(content, indent=1))


def _fit_iou_head(
    model: SAM2, clips: Sequence[Clip], on_progress: Callable[[float], None], cancelled: Callable[[], bool]
) -> str | None:
    """Fit the IoU head on clips, in place; left as it is if that chooses no better. None: it was cancelled.

    Every fifth clip is held out from the fit, to judge it.

    Returns:
        What was done, in a sentence.
    """
    if len(clips) < HELD_OUT:
        return f"The IoU head was not fitted: that takes {HELD_OUT} recordings to learn from, there are {len(clips)}."
    tracker = Tracker(accelerate(model), history=1, max_objects=max(len(clip.object_ids) for clip in clips))
    parts: list[Judged] = []
    frames = 0
    for number, clip in enumerate(clips):
        if cancelled():
            return None
        if frames > MAX_JUDGED and len(parts) >= HELD_OUT:
            break
        part = judge(tracker, clip, number)
        if part is not None:
            parts.append(replace(part, clip=torch.full_like(part.clip, len(parts))))
        frames += min(len(clip), MAX_FRAMES)
        on_progress(max((number + 1) / len(clips), min(frames / MAX_JUDGED, 1.0)))
    if len(parts) < HELD_OUT:
        return f"The IoU head was not fitted: only {len(parts)} recordings show an object."
    judged = Judged.join(parts)
    head = model.sam_mask_decoder.iou_prediction_head
    device = next(head.parameters()).device
    earlier = copy.deepcopy(head.state_dict())
    head.to("cpu")
    held_out = judged.clip % HELD_OUT == 0
    fit(head, judged.select(~held_out))
    test = judged.select(held_out)
    before, after = choice(test, test.predicted)[0], choice(test, head(test.tokens).sigmoid())[0]
    head.to(device)
    numbers = f"chose masks of IoU {before:.3f} before, {after:.3f} after, on clips it was not fitted to"
    if after <= before:
        head.load_state_dict(earlier)
        return f"The IoU head was fitted, but not changed: it {numbers}."
    return f"The IoU head was fitted: it {numbers}."


def _verdict(compared: BeforeAndAfter, parts: Split) -> str:
    before, after = (100 * compared.summary(when).j_and_f for when in compared.scores)
    where = "what was learnt from" if parts.by == NOTHING else f"{len(parts.held_out)} held-out recording"
    where += "s" if parts.by != NOTHING and len(parts.held_out) != 1 else ""
    if math.isnan(after):
        return "It is not known whether they are better: no object is known on three frames or more."
    numbers = f"J&F {before:.1f} before, {after:.1f} after, on {where}"
    if after <= before:
        return f"Not better: {numbers}; keep the weights that you have."
    if not compared.gain > 2 * compared.uncertainty:
        return f"Not clearly better: {numbers}; with so few objects, that may be chance."
    return f"Better: {numbers}."


def _write_report(
    out: Path, compared: BeforeAndAfter, settings: Mapping[str, str], verdict: str, by: str, notes: Sequence[str]
) -> None:
    report = compared.report(settings, notes)
    report = replace(report, data={**report.data, "verdict": verdict, "held out by": by, "notes": list(notes)})
    node = f"ros2 launch sam2_ros sam2.launch.py checkpoint:={settings['new weights']} image:=..."
    text = f"# Fine-tuning\n\n{verdict}\n\n![before and after]({PICTURE})\n\n#{report.markdown()}\n    {node}\n"
    _, picture = cv2.imencode(".png", compared.picture[..., ::-1])
    contents = {PICTURE: picture.tobytes(), SCORES: report.json().encode(), REPORT: text.encode()}
    for name, content in contents.items():
        with replacing(out / name) as part:
            part.write_bytes(content)
