"""The training loop: one process, or several under torchrun, each with its share of every batch."""

from __future__ import annotations

import copy
import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from sam2_ros.acceleration import for_training
from sam2_ros.checkpoints.save import save_weights
from sam2_ros.model.input_size import STRIDE
from sam2_ros.model.sam2 import SAM2
from sam2_ros.system.allocator import give_back_if_short
from sam2_ros.training import bfloat16
from sam2_ros.training.affinity import Affinity
from sam2_ros.training.log import Log
from sam2_ros.training.optimizer import Schedule, optimizers
from sam2_ros.training.processes import all_gather, rank_and_world
from sam2_ros.training.recipe import Recipe
from sam2_ros.training.rollout import Outcome, Rollout
from sam2_ros.training.samples import Batch, Samples
from sam2_ros.training.validation import picture, validate

RECORDED = "recipe.toml"
"""Name of the file in a run's folder with the recipe that it used."""


class Trainer:
    """Trains a model, keeps the moving average of its weights, and writes checkpoints from which it resumes exactly.

    Args:
        model: on the device to compute on.
        recipe: its settings, which are recorded beside the weights.
        samples: the samples to train on.
        out: folder for checkpoints and logs. Training resumes from a checkpoint found there.
        validation: clips to validate on. Only the first process needs them.
        save_every, validate_every: seconds.

    Raises:
        ValueError: the stage has no length, or the checkpoint is of another model or other groups of parameters.
    """

    def __init__(
        self,
        model: SAM2,
        recipe: Recipe,
        samples: Samples,
        out: str | Path,
        validation: Sequence[Batch] = (),
        save_every: float = 180,
        validate_every: float = 480,
    ) -> None:
        if (recipe.stage.minutes is None) == (recipe.stage.steps is None):
            raise ValueError("a stage needs either minutes or steps (--minutes, --steps)")
        if (recipe.stage.minutes or recipe.stage.steps or 0) <= 0:
            raise ValueError("a stage needs more than 0 minutes or steps (--minutes, --steps)")
        learning = recipe.learning
        self.recipe, self.samples, self.validation = recipe, samples, validation
        self.out = Path(out)
        self.save_every, self.validate_every = save_every, validate_every
        self.rank, self.world = rank_and_world()
        self.device = model.device
        self.model = model.train().to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(model).requires_grad_(False)
        affinity = Affinity(model.config).to(self.device) if recipe.losses.affinity else None
        self._bf16 = bfloat16.is_native(self.device) if learning.bf16 is None else learning.bf16
        faster = for_training(self.model, torch.bfloat16 if self._bf16 else torch.float32)
        self.rollout = Rollout(
            faster,
            recipe.prompting,
            recipe.losses,
            affinity,
            learning.checkpointing,
            shared=self.world > 1,
            through_memory=learning.memory_lr > 0,
        )
        """All trained parameters, including those that are discarded afterwards."""
        self.optimizers = optimizers(self.rollout, learning)
        self.schedule = Schedule(self.optimizers)
        self.step, self.elapsed = 0, 0.0
        self.checkpoint, self.weights = self.out / "checkpoint.pt", self.out / "average.safetensors"
        if self.checkpoint.exists():
            self._load()
        self._learner = self.rollout
        if self.world > 1:  # prompts decide which parameters a batch uses
            self._learner = DistributedDataParallel(self.rollout, find_unused_parameters=True)
            warnings.filterwarnings("ignore", "Grad strides do not match")  # of 1x1 kernels, which have several
        self._stopped = False

    @property
    def progress(self) -> float:
        """0 at the start of the stage, 1 at its end."""
        stage = self.recipe.stage
        if stage.steps is not None:
            return self.step / stage.steps
        assert stage.minutes is not None
        return self.elapsed / (60 * stage.minutes)

    def stop(self) -> None:
        """End `run` after the current step, in all processes. May be called by a signal handler."""
        self._stopped = True

    def run(self, on_progress: Callable[[float], None] | None = None) -> None:
        """Train until the stage is over, or stopped.

        Args:
            on_progress: called after every step with the stage's progress; nothing is printed then.
        """
        stage = self.recipe.stage
        end = f"{stage.steps} steps" if stage.steps is not None else f"{stage.minutes:g} minutes"
        batches = self._batches()  # before the log, which has threads: this forks
        saved = validated = time.monotonic()
        latest: tuple[Batch, Outcome] | None = None
        log: Log | None = None
        try:
            if self.rank == 0:
                log = Log(self.out, self.step, end, self.progress, quiet=on_progress is not None)
            if log is not None and self.step == 0:
                self._validate(log)
                validated = time.monotonic()
            while True:
                progress, stopped = self._agreed()
                if progress >= 1 or stopped:
                    break
                began = time.monotonic()
                batch = self._sized(next(batches).to(self.device))
                outcome, numbers = self._learn(batch, progress)
                latest = batch, outcome
                now = time.monotonic()
                self.elapsed += now - began
                give_back_if_short()
                if log is None:
                    continue
                log.numbers(self.step, self.progress, numbers | {"seconds": now - began})
                if on_progress is not None:
                    on_progress(self.progress)
                if now - saved > self.save_every:
                    self.save()
                    saved = time.monotonic()
                if now - validated > self.validate_every:
                    self._validate(log, latest)
                    validated = time.monotonic()
                    self.elapsed += validated - now
            if log is not None:
                self.save()
                if progress >= 1:
                    self._validate(log, latest)
        finally:
            del batches  # ends the workers, for which Python would wait at exit after an error
            if log is not None:
                log.close()

    def _agreed(self) -> tuple[float, bool]:
        """Progress, and whether to stop, the same in all processes.

        Progress follows rank 0's clock: with different learning rates, the processes' weights would drift apart.
        """
        if self.world == 1:
            return self.progress, self._stopped
        state = torch.tensor([self.progress, self._stopped], dtype=torch.float64, device=self.device)
        progress, stopped = all_gather(state).unbind(dim=1)
        return float(progress[0]), bool(stopped.any())

    def _batches(self) -> Iterator[Batch]:
        """This process' share of every batch, from the current step on."""
        stage = self.recipe.stage
        cv2.setNumThreads(1)  # images are small, and OpenCV's thread pool does not survive a fork
        return iter(
            DataLoader(
                self.samples,  # type: ignore[arg-type]
                batch_size=stage.clips,
                sampler=self.samples.order(self.step, self.rank, self.world),
                num_workers=stage.workers,
                collate_fn=Batch.join,
                worker_init_fn=_init_worker,
                prefetch_factor=4 if stage.workers else None,
                pin_memory=self.device.type == "cuda",
            )
        )

    def _sized(self, batch: Batch) -> Batch:
        """A batch at the size of this step, the same in all processes."""
        config, smallest = self.model.config, self.recipe.stage.smallest_size
        if smallest is None:
            return batch
        shape = batch.images.shape[-2:]
        size = np.random.default_rng(self.step).uniform(smallest, config.image_size)
        drawn = config.at(max(1, round(size / STRIDE)) * STRIDE).shape(*shape)
        return batch if drawn == shape else batch.resized(drawn)

    def _learn(self, batch: Batch, progress: float) -> tuple[Outcome, dict[str, float]]:
        """One step of the optimizers: the outcome of this process' share, and the mean losses over all processes."""
        learning = self.recipe.learning
        rate = learning.rate(self.step, progress)
        self.schedule.set(rate)
        # Random numbers depend on the step alone, so that a resumed run draws the same ones.
        torch.manual_seed(self.step * self.world + self.rank)
        # On a CPU, attention in small windows is faster without the fused kernel.
        kernels = sdpa_kernel(SDPBackend.MATH) if self.device.type == "cpu" else nullcontext()
        self.rollout.zero_grad()
        with kernels:  # for the backward pass too, which recomputes activations
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bf16):
                outcome = self._learner(batch, self.step)
                total = outcome.total
            total.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.rollout.parameters(), learning.clip_gradient)
        if torch.isfinite(norm):
            for optimizer in self.optimizers:
                optimizer.step()
        self.step += 1
        decay = min(learning.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - decay)

        names = ("pixels", "dice", "iou", "presence")
        parts = [torch.stack([getattr(entry, name) for entry in outcome.losses]).mean() for name in names]
        values = all_gather(torch.stack([total, *parts, outcome.affinity]).detach()).mean(dim=0).tolist()
        numbers = dict(zip(("loss", *names, "affinity"), values, strict=True))
        return outcome, numbers | {"gradient": float(norm), "rate": 1e3 * learning.lr * rate}

    def save(self) -> None:
        """Write the checkpoint, the averaged weights and the recipe. None is ever half written."""
        self.out.mkdir(parents=True, exist_ok=True)
        state = {
            "learner": self.rollout.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": self.step,
            "elapsed": self.elapsed,
            "recipe": asdict(self.recipe),
        }
        part = self.checkpoint.with_suffix(".part")
        with open(part, "wb") as file:  # its errors have a reason, unlike those of torch.save(path)
            torch.save(state, file)
        os.replace(part, self.checkpoint)
        weights = self.out / "average.part.safetensors"
        save_weights(self.average, weights)
        os.replace(weights, self.weights)
        recorded = self.out / f"{RECORDED}.part"
        about = f"# The recipe of {self.weights.name}, options of the command included."
        recorded.write_text(f"{about}\n\n{self.recipe.to_toml()}")
        os.replace(recorded, self.out / RECORDED)

    def _load(self) -> None:
        state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        settings_of_groups = [
            [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups]
            for optimizer in self.optimizers
        ]
        try:
            self.rollout.load_state_dict(state["learner"])
            self.average.load_state_dict(state["average"])
            for optimizer, content in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(content)
        except (RuntimeError, ValueError) as error:
            raise ValueError(
                f"{self.checkpoint} was made for another network, or other groups of its parameters: give the"
                " same --model, and a recipe with the same `affinity`, `muon`, `encoder_lr`, `decoder_lr`, `memory_lr`,"
                f" `layer_decay` and `weight_decay` as in {self.out / RECORDED}, or another folder and --init"
                f" {self.weights}"
            ) from error
        for optimizer, groups in zip(self.optimizers, settings_of_groups, strict=True):  # betas and the like may change
            for group, settings in zip(optimizer.param_groups, groups, strict=True):
                group.update(settings)
        self.step, self.elapsed = state["step"], state["elapsed"]
        for part, settings in asdict(self.recipe).items():
            recorded = state["recipe"].get(part, {})
            for name, value in settings.items():
                if name in recorded and (before := recorded[name]) != value:
                    warnings.warn(f"{self.checkpoint} resumes with {name} {value} instead of {before}", stacklevel=3)

    def _validate(self, log: Log, latest: tuple[Batch, Outcome] | None = None) -> None:
        """Log scores and pictures of the average on validation clips, and a picture of the latest training batch."""
        if latest is not None:
            log.pictures(self.step, "training", [picture(*latest)])
        if self.validation:
            scores, pictures = validate(self.average, self.validation)
            log.scores(self.step, scores)
            log.pictures(self.step, "validation", pictures[:6])


def _init_worker(worker: int) -> None:
    """Lower a worker's priority below that of training, and leave signals to the process that trains."""
    os.nice(1)
    for kind in (signal.SIGINT, signal.SIGTERM):  # a terminal sends them to all processes of a job
        signal.signal(kind, signal.SIG_IGN)
