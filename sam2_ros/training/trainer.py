"""The training loop: one process, or several under torchrun, each with its own part of every batch."""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from sam2_ros.data.pictures import Pictures
from sam2_ros.data.synthetic import SceneSettings, SyntheticScenes
from sam2_ros.model.checkpoint import save_weights
from sam2_ros.model.sam2 import SAM2
from sam2_ros.training.affinity import Affinity
from sam2_ros.training.losses import Weights
from sam2_ros.training.optimizer import optimizers
from sam2_ros.training.rollout import Recipe, Rollout
from sam2_ros.training.samples import Batch, Order, SceneSamples, sample
from sam2_ros.training.validation import validate

LOG_EVERY = 20
"""Steps whose means are logged together."""
VALIDATION_SEED = 2**40
"""Scenes from this seed on are for validation; training counts up from 0 and never gets there."""


@dataclass(frozen=True)
class Stage:
    """One stage of training. Learning rate and length make the schedule; the rest is what is learnt from."""

    size: int = 128
    """Side of the pictures, pixels: a multiple of 32."""
    frames: int = 1
    """1: still images."""
    gap: int = 1
    """Frames of a clip are taken from a scene that is so many times as long, at any even pace."""
    uses: int = 3
    """How often each scene is used, with other objects and frames, mirrored and in other colours."""
    clips: int = 16
    """In one batch of one process."""
    objects: int = 4
    """At most so many of each clip."""
    lr: float = 8e-4
    weight_decay: float = 0.1
    muon: bool = False
    """Muon for the matrices, which is better from scratch, instead of AdamW for all."""
    warm_up: int = 100
    """Steps."""
    minutes: float | None = None
    steps: int | None = None
    """The stage ends after so many minutes or steps."""
    last_lr: float = 0.0
    """Learning rate at the end, relative to `lr`; a cosine leads there."""
    calm: bool = False
    """Fewer, larger and slower things in better pictures, to begin with."""
    first_seed: int = 0
    """Of the scenes, so that a later stage sees other ones than an earlier."""


class Trainer:
    """Trains a model, keeps its moving average, and writes checkpoints from which it goes on as if never stopped.

    Args:
        model: at the stage's image size.
        stage: what to do.
        recipe: how objects are prompted.
        weights: of the losses.
        out: folder for checkpoints and logs. A checkpoint found there is gone on from.
        pictures: for the scenes; None: procedural ones only.
        bf16: compute in bfloat16 where PyTorch thinks it safe.
        ema: decay of the moving average of the weights, per step.
        save_every, validate_every: seconds.
    """

    def __init__(
        self,
        model: SAM2,
        stage: Stage,
        recipe: Recipe,
        weights: Weights,
        out: str | Path,
        pictures: Pictures | None = None,
        bf16: bool = True,
        ema: float = 0.995,
        save_every: float = 180,
        validate_every: float = 480,
    ) -> None:
        if (stage.minutes is None) == (stage.steps is None):
            raise ValueError("a stage needs either minutes or steps")
        self.model = model.train().to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(model).requires_grad_(False)
        self.stage, self.recipe, self.weights, self.bf16, self.ema = stage, recipe, weights, bf16, ema
        self.pictures = pictures
        self.out = Path(out)
        self.save_every, self.validate_every = save_every, validate_every
        self.rank, self.world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        self.step, self.elapsed = 0, 0.0
        self.affinity = Affinity(model.config) if weights.affinity else None
        self.learner = nn.ModuleList([model, self.affinity] if self.affinity else [model])
        """All that is learnt, also what is thrown away afterwards."""
        self.optimizers = optimizers(self.learner, stage.lr, stage.weight_decay, stage.muon)
        self.checkpoint = self.out / "checkpoint.pt"
        if self.checkpoint.exists():
            self._load()

    @property
    def progress(self) -> float:
        """0 at the start of the stage, 1 at its end."""
        if self.stage.steps is not None:
            return self.step / self.stage.steps
        assert self.stage.minutes is not None
        return self.elapsed / (60 * self.stage.minutes)

    def run(self) -> None:
        """Trains until the stage is over."""
        loader = self._loader()
        log = SummaryWriter(str(self.out)) if self.rank == 0 else None
        bar = tqdm(initial=self.step, total=self.stage.steps, unit="step", disable=self.rank > 0, mininterval=20)
        self.validation = self._validation() if self.rank == 0 else []
        saved = validated = time.monotonic()
        means: dict[str, float] = {}
        try:
            while (progress := self._agreed_progress()) < 1:
                began = time.monotonic()
                numbers = self._step(next(loader), progress)
                now = time.monotonic()
                self.elapsed += now - began
                bar.update()
                if log is None:
                    continue
                numbers["seconds"] = now - began
                means = {name: means.get(name, 0.0) + value / LOG_EVERY for name, value in numbers.items()}
                if self.step % LOG_EVERY == 0:
                    for name, value in means.items():
                        log.add_scalar(name, value, self.step)
                    tqdm.write(f"{self.step} {progress:.1%} " + " ".join(f"{k} {v:.4f}" for k, v in means.items()))
                    means = {}
                if now - saved > self.save_every:
                    self.save()
                    saved = time.monotonic()
                if now - validated > self.validate_every:
                    self._validate(log)
                    validated = time.monotonic()
                    self.elapsed += validated - now
            if log is not None:
                self._validate(log)
        finally:  # also when interrupted
            bar.close()
            if log is not None:
                self.save()
                log.close()

    def _agreed_progress(self) -> float:
        """Rank 0's clock counts for all: with another learning rate, the processes' weights would drift apart."""
        progress = torch.tensor(self.progress, dtype=torch.float64)
        if self.world > 1:
            dist.broadcast(progress, 0)
        return float(progress)

    def _loader(self) -> Iterator[Batch]:
        stage = self.stage
        cv2.setNumThreads(1)  # pictures are small, and a forked worker must not find a pool of threads that are gone
        order = Order(self.step * stage.clips, self.rank, self.world, uses=stage.uses, first_seed=stage.first_seed)
        settings = scene_settings(stage)
        kinds = [SyntheticScenes(settings)]  # two in three are painted with pictures, where there are any
        if self.pictures is not None:
            kinds += 2 * [SyntheticScenes(settings, self.pictures)]
        samples = SceneSamples(kinds, stage.frames, stage.objects, order.block)
        return iter(
            DataLoader(
                samples,
                batch_size=stage.clips,
                sampler=order,
                num_workers=1,
                collate_fn=Batch.join,
                worker_init_fn=_yield,
                prefetch_factor=4,
            )
        )

    def _step(self, batch: Batch, progress: float) -> dict[str, float]:
        """One step of the optimizer; the losses, as numbers."""
        stage = self.stage
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        schedule = min(1, (self.step + 1) / stage.warm_up) * (stage.last_lr + (1 - stage.last_lr) * cosine)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = optimizer.defaults["lr"] * schedule
        seed = self.step * self.world + self.rank  # what is drawn depends on the step alone, so it can be gone on from
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        # On a CPU, attention in so small windows is faster without the fused kernel.
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16), sdpa_kernel(SDPBackend.MATH):
            outcome = Rollout(self.model, self.recipe, self.weights, self.affinity)(batch, generator)
        total = outcome.total
        self.learner.zero_grad()
        total.backward()
        parameters = list(self.learner.parameters())
        if self.world > 1:
            _average([_gradient(p) for p in parameters])
        norm = torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        if torch.isfinite(norm):
            for optimizer in self.optimizers:
                optimizer.step()
        self.step += 1
        decay = min(self.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - decay)
        parts = {
            name: float(torch.stack([getattr(entry, name).detach() for entry in outcome.losses]).mean())
            for name in ("pixels", "dice", "iou", "presence")
        }
        parts["affinity"] = float(outcome.affinity.detach())
        return {"loss": float(total.detach()), **parts, "gradient": float(norm), "rate": 1e3 * stage.lr * schedule}

    def save(self) -> None:
        """Writes the checkpoint, and the average as weights to use; neither is ever half written."""
        self.out.mkdir(parents=True, exist_ok=True)
        state = {
            "learner": self.learner.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": self.step,
            "elapsed": self.elapsed,
            "stage": asdict(self.stage),
        }
        part = self.checkpoint.with_suffix(".part")
        torch.save(state, part)
        os.replace(part, self.checkpoint)
        weights = self.out / "average.part.safetensors"
        save_weights(self.average, weights)
        os.replace(weights, self.out / "average.safetensors")

    def _load(self) -> None:
        state = torch.load(self.checkpoint, weights_only=True)
        self.learner.load_state_dict(state["learner"])
        self.average.load_state_dict(state["average"])
        for optimizer, content in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(content)
        self.step, self.elapsed = state["step"], state["elapsed"]

    def _validate(self, log: SummaryWriter) -> None:
        scores, pictures = validate(self.average, self.validation)
        tqdm.write(f"step {self.step}: {scores}")
        for name, value in asdict(scores).items():
            log.add_scalar(f"validation/{name}", value, self.step)
        for i, image in enumerate(pictures[:6]):
            log.add_image(f"validation/{i}", image, self.step, dataformats="HWC")
            cv2.imwrite(str(self.out / f"validation_{i}.png"), image[..., ::-1])
        log.flush()

    def _validation(self, clips: int = 12) -> list[Batch]:
        """Clips that are never trained on, at the stage's size."""
        size = self.stage.size
        settings = SceneSettings(height=size, width=size, frames=8)
        scenes = SyntheticScenes(settings, self.pictures)
        seeds = range(VALIDATION_SEED, VALIDATION_SEED + clips)
        return [sample(scenes.scene(seed), 3, np.random.default_rng(seed)) for seed in seeds]


def scene_settings(stage: Stage) -> SceneSettings:
    """What the scenes of a stage are like."""
    many = (3, 7) if stage.frames == 1 else (2, 5)
    settings = SceneSettings(height=stage.size, width=stage.size, frames=stage.frames * stage.gap, objects=many)
    if not stage.calm:
        return settings
    return replace(
        settings,
        objects=(2, 4),
        size=(0.15, 0.9),
        speed=(0.1, 7.0),
        camera_speed=(0.0, 4.0),
        lookalikes=0.2,
        lighting=0.3,
        blur=0.15,
        noise=0.3,
        low_resolution=0.05,
    )


def _yield(worker: int) -> None:
    """A worker gives way to the training itself; it is fast enough."""
    os.nice(1)


def _gradient(parameter: Tensor) -> Tensor:
    """Its gradient, zero where this process had none."""
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad


def _average(gradients: list[Tensor]) -> None:
    """The mean over all processes, in place."""
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))
