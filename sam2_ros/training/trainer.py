"""The training loop: one process, or several under torchrun, each with its own part of every batch."""

from __future__ import annotations

import copy
import os
import signal
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import cv2
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from sam2_ros.checkpoints.save import save_weights
from sam2_ros.model.sam2 import SAM2
from sam2_ros.training import bfloat16
from sam2_ros.training.affinity import Affinity
from sam2_ros.training.log import Log
from sam2_ros.training.optimizer import Schedule, optimizers
from sam2_ros.training.processes import rank_and_world, side_by_side
from sam2_ros.training.recipe import Recipe
from sam2_ros.training.rollout import Outcome, Rollout
from sam2_ros.training.samples import Batch, Samples
from sam2_ros.training.validation import picture, validate


class Trainer:
    """Trains a model, keeps its moving average, and writes checkpoints from which it goes on as if never stopped.

    Args:
        model: on the device to compute on.
        recipe: what to do.
        samples: what to learn from.
        out: folder for checkpoints and logs. A checkpoint found there is gone on from.
        validation: clips that are not learnt from. Only the first process needs them.
        save_every, validate_every: seconds.

    Raises:
        ValueError: the stage has no end, or the checkpoint is of another network or has other groups of parameters.
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
            raise ValueError("a stage needs either minutes or steps")
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
        affinity = Affinity(model.config).to(self.device) if recipe.weights.affinity else None
        self.rollout = Rollout(
            model, recipe.prompting, recipe.weights, affinity, learning.checkpointing, shared=self.world > 1
        )
        """All that is learnt, also what is thrown away afterwards."""
        self.optimizers = optimizers(self.rollout, learning)
        self.schedule = Schedule(self.optimizers)
        self._bf16 = bfloat16.is_native(self.device) if learning.bf16 is None else learning.bf16
        self.step, self.elapsed = 0, 0.0
        self.checkpoint, self.weights = self.out / "checkpoint.pt", self.out / "average.safetensors"
        if self.checkpoint.exists():
            self._load()
        self._learner = self.rollout
        if self.world > 1:  # which parts of the network a batch needs depends on its prompts
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
        """Ends `run` after the step at hand, in all processes. May be called by a signal handler."""
        self._stopped = True

    def run(self) -> None:
        """Trains until the stage is over, or stopped."""
        stage = self.recipe.stage
        end = f"{stage.steps} steps" if stage.steps is not None else f"{stage.minutes:g} minutes"
        batches = self._batches()  # first: it forks, and the log has threads
        saved = validated = time.monotonic()
        seen: tuple[Batch, Outcome] | None = None
        log: Log | None = None
        try:
            if self.rank == 0:
                log = Log(self.out, self.step, end, self.progress)
            if log is not None and self.step == 0:
                self._validate(log)
                validated = time.monotonic()
            while True:
                progress, stopped = self._agreed()
                if progress >= 1 or stopped:
                    break
                began = time.monotonic()
                batch = next(batches).to(self.device)
                outcome, numbers = self._learn(batch, progress)
                seen = batch, outcome
                now = time.monotonic()
                self.elapsed += now - began
                if log is None:
                    continue
                log.numbers(self.step, self.progress, numbers | {"seconds": now - began})
                if now - saved > self.save_every:
                    self.save()
                    saved = time.monotonic()
                if now - validated > self.validate_every:
                    self._validate(log, seen)
                    validated = time.monotonic()
                    self.elapsed += validated - now
            if log is not None:
                self.save()
                if progress >= 1:
                    self._validate(log, seen)
        finally:
            del batches  # and with them the workers, for which Python would wait at its end after an error
            if log is not None:
                log.close()

    def _agreed(self) -> tuple[float, bool]:
        """Progress, and whether any process was told to stop.

        Rank 0's clock counts for all: with another learning rate, the processes' weights would drift apart.
        """
        if self.world == 1:
            return self.progress, self._stopped
        state = torch.tensor([self.progress, self._stopped], dtype=torch.float64, device=self.device)
        progress, stopped = side_by_side(state).unbind(dim=1)
        return float(progress[0]), bool(stopped.any())

    def _batches(self) -> Iterator[Batch]:
        """This process' part of every batch, from the step at hand on."""
        stage = self.recipe.stage
        cv2.setNumThreads(1)  # pictures are small, and a forked worker must not find a pool of threads that are gone
        return iter(
            DataLoader(
                self.samples,  # type: ignore[arg-type]
                batch_size=stage.clips,
                sampler=self.samples.order(self.step, self.rank, self.world),
                num_workers=stage.workers,
                collate_fn=Batch.join,
                worker_init_fn=_yield,
                prefetch_factor=4 if stage.workers else None,
                pin_memory=self.device.type == "cuda",
            )
        )

    def _learn(self, batch: Batch, progress: float) -> tuple[Outcome, dict[str, float]]:
        """One step of the optimizers. The outcome of this process' part, and the losses of all as numbers."""
        learning = self.recipe.learning
        rate = learning.rate(self.step, progress)
        self.schedule.set(rate)
        # All that is drawn depends on the step alone, so that it can be gone on from.
        torch.manual_seed(self.step * self.world + self.rank)
        # On a CPU, attention in so small windows is faster without the fused kernel.
        kernels = sdpa_kernel(SDPBackend.MATH) if self.device.type == "cpu" else nullcontext()
        self.rollout.zero_grad()
        with kernels:  # for the backward pass too, which computes again what was not kept
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
        values = side_by_side(torch.stack([total, *parts, outcome.affinity]).detach()).mean(dim=0).tolist()
        numbers = dict(zip(("loss", *names, "affinity"), values, strict=True))
        return outcome, numbers | {"gradient": float(norm), "rate": 1e3 * learning.lr * rate}

    def save(self) -> None:
        """Writes the checkpoint, and the average as weights to use; neither is ever half written."""
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
        with open(part, "wb") as file:  # whose errors say what is wrong
            torch.save(state, file)
        os.replace(part, self.checkpoint)
        weights = self.out / "average.part.safetensors"
        save_weights(self.average, weights)
        os.replace(weights, self.weights)

    def _load(self) -> None:
        state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        recipe = [
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
                " same --model, --affinity, --muon, --encoder-lr, --decoder-lr, --layer-decay and --weight-decay as"
                f" before, or another folder and --init {self.weights}"
            ) from error
        for optimizer, groups in zip(self.optimizers, recipe, strict=True):  # weight decay and the like may be others
            for group, settings in zip(optimizer.param_groups, groups, strict=True):
                group.update(settings)
        self.step, self.elapsed = state["step"], state["elapsed"]
        for part, settings in asdict(self.recipe).items():
            for name, value in settings.items():
                if name in state["recipe"][part] and (before := state["recipe"][part][name]) != value:
                    warnings.warn(f"{self.checkpoint} goes on with {name} {value} instead of {before}", stacklevel=3)

    def _validate(self, log: Log, seen: tuple[Batch, Outcome] | None = None) -> None:
        """Logs scores and pictures of the average on validation clips, and a picture of what was just learnt from."""
        if seen is not None:
            log.pictures(self.step, "training", [picture(*seen)])
        if self.validation:
            scores, pictures = validate(self.average, self.validation)
            log.scores(self.step, scores)
            log.pictures(self.step, "validation", pictures[:6])


def _yield(worker: int) -> None:
    """A worker gives way to the training itself, it is fast enough; and leaves it to that to stop when told to."""
    os.nice(1)
    for kind in (signal.SIGINT, signal.SIGTERM):  # sent to all of a terminal's or a job's processes
        signal.signal(kind, signal.SIG_IGN)
