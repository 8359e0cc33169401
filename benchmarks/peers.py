"""One tracking step beside others', in one run: python benchmarks/peers.py [--model NAME] [--objects 1 4] [--dtype ...]

Each of these takes turns, frame by frame, in a process of its own:

- sam2_ros: `Tracker.step`, from a camera's image to masks of its size;
- sam2_ros of another checkout, with --before PATH: what a change has brought;
- sam2_ros as it is without CUDA graphs, on a GPU: `accelerate="off"`;
- sam2_ros compiled, with --compiled: `accelerate="compile"`;
- transformers: `Sam2VideoModel` on a stream, with the same weights and memories, and the same work before and after;
- reference: the video predictor of Meta's repository, where its package `sam2` is installed; compiled on a GPU.

Memory banks are full from the first measured frame: they are filled with the same random memories on all sides, so the
answers must agree, and the benchmark prints by how much they don't. Weights are random; they cost what trained ones do.

Beside each of our stages stands its floor: the work that was counted in it at the rate of the fastest matrix product on
this machine, or its weights, inputs and outputs at the rate of a copy, whichever takes longer. Where something else
runs meanwhile, --cpu-time counts the processor's time instead of the wall's. Energy is printed where the machine says
it: of an NVIDIA GPU with nvidia-ml-py, of processors through Linux' powercap.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the node does
os.environ.setdefault("TQDM_DISABLE", "1")  # bars of the reference's among ours

import argparse
import importlib.util
import json
import multiprocessing
import platform
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import islice, product
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F
from clock import Clock
from machine import ceilings, energy, peak_memory
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

ROOT = Path(__file__).parents[1]
FILLED = 16
"""Frames that are in every bank before the first measured one: one prompted, 15 tracked."""
SEED = 2
ENERGY_SECONDS = 3.0
INSIDE = {"condition": "memory attention", "decode": "mask decoder", "encode_memory": "memory encoder"}
AT_ONCE = "attention to memory encoder"
"""These three where they are compiled or recorded in one."""
STAGES = ("resize, normalise", "image encoder", *INSIDE.values(), AT_ONCE, "masks")
COLOURS = ("#9aa5b1", "#3b6ea8", "#c8553d", "#e3a857", "#6b8f71", "#c9a0a0", "#84739d", "#d9d9d9")


@dataclass(frozen=True)
class Task:
    """What is measured."""

    model: str
    size: int
    objects: int
    dtype: str
    device: str
    threads: int
    cpu_time: bool = False
    video: str | None = None
    keep: bool = False
    squares: bool = False
    """Whether all of ours see squares, as compiled code does, instead of each image in its own shape."""

    def images(self) -> list[np.ndarray]:
        """Frames of the video, or of a synthetic scene: uint8 [H, W, 3]."""
        if self.video:
            import av

            with av.open(self.video) as container:
                return [frame.to_ndarray(format="rgb24") for frame in islice(container.decode(video=0), 24)]
        from sam2_ros.data.synthetic import SceneSettings, SyntheticScenes

        return list(SyntheticScenes(SceneSettings(480, 640, frames=24, objects=(3, 5), leaving=0)).scene(3).frames)

    @property
    def square(self) -> tuple[int, int]:
        """Rows and columns of the stride-16 features of a square image."""
        return self.size // 16, self.size // 16

    def memories(self, dim: int, memory_dim: int, grid: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        """What all banks are filled with: maps [objects, FILLED, c, *grid] and pointers [objects, FILLED, C].

        They are numbers of bfloat16, because some sides keep them so.
        """
        generator = torch.Generator().manual_seed(SEED)
        maps = torch.randn(self.objects, FILLED, memory_dim, *grid, generator=generator)
        pointers = torch.randn(self.objects, FILLED, dim, generator=generator)
        return tuple(x.bfloat16().to(self.device, getattr(torch, self.dtype)) for x in (maps, pointers))


class Ours:
    """This package."""

    accelerate: str | None = None

    def __init__(self, task: Task) -> None:
        from sam2_ros.checkpoints.names import from_hugging_face
        from sam2_ros.model import CONFIGS, SAM2
        from sam2_ros.tracking import tracker as tracker_module
        from sam2_ros.tracking.prompt import Click, Prompt
        from sam2_ros.tracking.tracker import Tracker

        self.images = task.images()
        config = CONFIGS[task.model].at(task.size)
        if task.squares:
            config = config.fixed()
        torch.manual_seed(SEED)
        model = SAM2(config)
        if task.model != "default":
            model.load_state_dict(from_hugging_face(_theirs(task).state_dict()))
        model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.data.fill_(6.0)  # objects are there to be seen
        model = model.eval().to(task.device)
        acceleration = {"accelerate": self.accelerate} if self.accelerate else {}
        self.tracker = Tracker(model, max_objects=task.objects, dtype=getattr(torch, task.dtype), **acceleration)
        model = self.tracker.model
        self.countable = isinstance(model, SAM2)
        self.tracker.step(self.images[0], 0)
        for i in range(task.objects):
            self.tracker.prompt(Prompt(i + 1, clicks=(Click(200 + 30 * (i % 8), 100 + 40 * (i // 8)),)))
        grid = self.tracker._history[-1].image.features.stride16.shape[2:]
        maps, pointers = task.memories(config.dim, config.memory_dim, grid)
        maps, pointers = maps.movedim(2, -1).contiguous().movedim(-1, 2), pointers.float()  # as the network leaves them
        for tracked, map, pointer in zip(self.tracker._objects.values(), maps, pointers, strict=True):
            tracked.bank.remember_prompted(0, map[0], pointer[0])
            for index in range(1, FILLED):
                tracked.bank.remember(index, map[index], pointer[index])
        self.index = self.tracker._frames_seen = FILLED
        self.clock = Clock(task.device, task.cpu_time)
        pixels = getattr(self.tracker, "_pixels", tracker_module)  # another checkout may have them there
        tracking = INSIDE if self.countable else {"track": AT_ONCE}
        for owner, function, stage in (
            (pixels, "to_network", "resize, normalise"),
            (model, "encode_image", "image encoder"),
            *((model, function, stage) for function, stage in tracking.items()),
            (pixels, "to_masks", "masks"),
            *([(pixels, "begin_masks", "masks")] if hasattr(pixels, "begin_masks") else []),
        ):
            self.clock.watch(owner, function, stage)

    def step(self) -> dict[str, float]:
        """Track the next frame: seconds by stage."""
        with self.clock.step():
            self.tracker.step(self.images[self.index % len(self.images)], self.index)
        self.index += 1
        return dict(self.clock.seconds)

    def logits(self) -> np.ndarray:
        """Of the newest frame: [N, S / 4, S / 4]."""
        answers = self.tracker._history[-1].answers
        return torch.stack([answers[key].logits for key in sorted(answers)]).float().cpu().numpy()


class Plain(Ours):
    """This package, without CUDA graphs."""

    accelerate = "off"


class Compiled(Ours):
    """This package, compiled."""

    accelerate = "compile"


class Peer:
    """Somebody else's implementation, which is given the images as its network wants them."""

    countable = True

    def __init__(self, task: Task) -> None:
        from sam2_ros.model import CONFIGS

        self.task, self.images = task, task.images()
        self.config = CONFIGS[task.model].at(task.size)

    def _pixels(self, index: int) -> torch.Tensor:
        from sam2_ros.tracking.pixels import to_network

        return to_network(self.images[index % len(self.images)], self.config, torch.device(self.task.device))[0]


class Transformers(Peer):
    """Hugging Face's implementation, as its documentation runs it on a stream."""

    def __init__(self, task: Task) -> None:
        from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

        super().__init__(task)
        self.dtype = getattr(torch, task.dtype)
        self.model = _theirs(task).to(task.device, self.dtype)
        self.model.mask_decoder.pred_obj_score_head.proj_out.bias.data.fill_(6.0)
        self.session = Sam2VideoInferenceSession(dtype=self.dtype, inference_device=task.device)
        self.session.add_new_frame(self._pixels(0))
        objects = [self.session.obj_id_to_idx(i + 1) for i in range(task.objects)]
        for i in objects:
            point = torch.tensor([[[[200.0 + 30 * (i % 8), 100.0 + 40 * (i // 8)]]]], device=task.device)
            label = torch.ones(1, 1, 1, dtype=torch.int32, device=task.device)
            inputs = {"point_coords": point.to(self.dtype), "point_labels": label}
            self.session.add_point_inputs(i, 0, inputs)
        self.session.obj_with_new_inputs = [i + 1 for i in objects]
        with torch.inference_mode():
            self.model(self.session, frame_idx=0)
        config = self.model.config
        sizes = config.vision_config.fpn_hidden_size, config.memory_encoder_output_channels
        maps, pointers = task.memories(*sizes, task.square)
        for i in objects:
            conditioning, tracked = self.session.output_dict_per_obj[i].values()
            for index in range(FILLED):
                known = conditioning[0] if index == 0 else tracked.setdefault(index, dict(conditioning[0]))
                known["maskmem_features"] = maps[i, index].flatten(1).T[:, None].to(known["maskmem_features"].dtype)
                known["object_pointer"] = pointers[i, index].view_as(known["object_pointer"])
        self.session.processed_frames |= dict.fromkeys(range(1, FILLED), self.session.processed_frames[0])
        self.index = FILLED
        self.clock = Clock(task.device, task.cpu_time)
        for owner, function, stage in (
            (self, "_pixels", "resize, normalise"),
            (self.model, "get_image_features", "image encoder"),
            (self.model.memory_attention, "forward", "memory attention"),
            (self.model, "_single_frame_forward", "mask decoder"),
            (self.model, "_batch_encode_memories", "memory encoder"),
            (self, "_masks", "masks"),
        ):
            self.clock.watch(owner, function, stage)

    def _masks(self, logits: torch.Tensor) -> np.ndarray:
        size = self.images[0].shape[:2]
        return (F.interpolate(logits.float(), size, mode="bilinear")[:, 0] > 0).cpu().numpy()

    def step(self) -> dict[str, float]:
        with self.clock.step(), torch.inference_mode():
            self.newest = self.model(self.session, frame=self._pixels(self.index)).pred_masks
            self._masks(self.newest)
        self.index += 1
        return dict(self.clock.seconds)

    def logits(self) -> np.ndarray:
        return self.newest[:, 0].float().cpu().numpy()


class Reference(Peer):
    """Meta's video predictor, as its repository runs it: on a GPU compiled. Give it --warm-up steps for that."""

    def __init__(self, task: Task) -> None:
        from sam2.build_sam import build_sam2_video_predictor

        from sam2_ros.checkpoints.names import from_hugging_face
        from sam2_ros.model import SAM2

        super().__init__(task)
        self.countable = not task.device.startswith("cuda")  # compiled code has no operations
        version, size = task.model.split("_hiera_")
        rows, columns = task.square
        file = f"configs/{version}/{version}_hiera_{'b+' if size == 'base_plus' else size[0]}.yaml"
        self.model = build_sam2_video_predictor(
            file,
            device=task.device,
            hydra_overrides_extra=[
                f"++model.image_size={task.size}",
                f"++model.memory_attention.layer.self_attention.feat_sizes=[{rows},{columns}]",
                f"++model.memory_attention.layer.cross_attention.feat_sizes=[{rows},{columns}]",
            ],
            apply_postprocessing=False,
            vos_optimized=task.device.startswith("cuda"),
        )
        weights = SAM2(self.config)
        weights.load_state_dict(from_hugging_face(_theirs(task).state_dict()))
        weights.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.data.fill_(6.0)
        self.model.load_state_dict(weights.state_dict(), strict=False)  # it registers tables that files do not hold
        self.clock = Clock(task.device, task.cpu_time)
        for owner, function, stage in (
            (self, "_pixels", "resize, normalise"),
            (self.model, "forward_image", "image encoder"),
            (self.model.memory_attention, "forward", "memory attention"),
            (self.model, "_forward_sam_heads", "mask decoder"),
            (self.model, "_encode_new_memory", "memory encoder"),
            (self, "_masks", "masks"),
        ):
            self.clock.watch(owner, function, stage)
        with tempfile.TemporaryDirectory() as folder, self._precision():
            Image.fromarray(self.images[0]).save(Path(folder, "0.jpg"))
            state = self.model.init_state(folder)
            state |= {"images": _Each(self), "num_frames": 2**31, "cached_features": {}}
            for i in range(task.objects):
                point = np.array([[200.0 + 30 * (i % 8), 100.0 + 40 * (i // 8)]], np.float32)
                self.model.add_new_points_or_box(state, 0, i + 1, point, np.array([1], np.int32))
            self.model.propagate_in_video_preflight(state)
        maps, pointers = task.memories(self.config.dim, self.config.memory_dim, task.square)
        for i in range(task.objects):
            conditioning, tracked = (
                state["output_dict_per_obj"][i][f"{kind}_frame_outputs"] for kind in ("cond", "non_cond")
            )
            for index in range(FILLED):
                known = conditioning[0] if index == 0 else tracked.setdefault(index, dict(conditioning[0]))
                known["maskmem_features"] = maps[i, index, None].to(known["maskmem_features"].dtype)
                known["obj_ptr"] = pointers[i, index, None]
        self.state = state
        self.running = self.model.propagate_in_video(state, start_frame_idx=FILLED)

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.task.device, torch.bfloat16, enabled=self.task.dtype == "bfloat16")

    def _masks(self, logits: torch.Tensor) -> np.ndarray:
        return (logits[:, 0] > 0).cpu().numpy()

    def step(self) -> dict[str, float]:
        with self.clock.step(), self._precision():
            self.index, _, masks = next(self.running)
            self._masks(masks)
        return dict(self.clock.seconds)

    def logits(self) -> np.ndarray:
        outputs = self.state["output_dict_per_obj"]
        found = [outputs[i]["non_cond_frame_outputs"][self.index]["pred_masks"][0, 0] for i in range(self.task.objects)]
        return torch.stack(found).float().cpu().numpy()


class _Each:
    """A video without end, for a predictor that wants all of it at the start."""

    def __init__(self, reference: Reference) -> None:
        self._reference = reference

    def __len__(self) -> int:
        return 2**31

    def __getitem__(self, index: int) -> torch.Tensor:
        return self._reference._pixels(index)


def _theirs(task: Task):
    """transformers' model with the weights that all share."""
    sys.path.insert(0, str(ROOT / "tests"))
    import peer
    from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoModel

    from sam2_ros.model import CONFIGS

    torch.manual_seed(SEED)
    model = peer.build(CONFIGS[task.model].at(task.size), Sam2VideoModel)
    peer.randomise(model, vivid=1.0)
    return model.eval()


SIDES = {
    "ours": Ours,
    "plain": Plain,
    "compiled": Compiled,
    "before": Ours,
    "transformers": Transformers,
    "reference": Reference,
}


def work(pipe, side: str, task: Task, checkout: str) -> None:
    """The process of one side: waits for its turns."""
    sys.path.insert(0, checkout)
    torch.set_num_threads(task.threads)
    if task.keep and issubclass(SIDES[side], Ours):
        from sam2_ros.system.allocator import keep_freed_memory

        keep_freed_memory()
    running = SIDES[side](task)
    pipe.send(None)
    while (command := pipe.recv()) != "end":
        if command == "count":
            running.clock.counting = running.countable  # compiled code and graphs have no operations
            with _without_kernels(checkout, running.clock.on_gpu):
                running.step()
            running.clock.counting = False
            pipe.send((dict(running.clock.flops), dict(running.clock.bytes)))
        elif command == "step":
            pipe.send(_timed(running))
        elif command == "memory":
            pipe.send(peak_memory(task.device))
        elif command == "energy":
            pipe.send(_energy(running, task.device))
        elif command == "operations":
            pipe.send(_operations(running))
        else:
            pipe.send(getattr(running, command)())


@contextmanager
def _without_kernels(checkout: str, on_gpu: bool) -> Iterator[None]:
    """Our kernels are no operations of PyTorch, whose work is counted: its own do the same meanwhile."""
    if checkout != str(ROOT):
        yield
        return
    from sam2_ros.model import layers, memory_attention

    with ExitStack() as stack:
        if on_gpu:
            operations = {"attention": _in_chunks, "gains_from_narrow_values": lambda *_: True}
            stack.enter_context(mock.patch.object(layers, "TRITON", False))
            stack.enter_context(mock.patch.multiple(memory_attention, **operations))
        else:
            stack.enter_context(mock.patch.object(layers, "has_cpu_kernels", lambda dtype: False))
        yield


def _in_chunks(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, valid: torch.Tensor | None = None, *_: Any, **__: Any
) -> torch.Tensor:
    """Attention to values as narrow as they are, a few queries at a time."""
    mask = 0.0 if valid is None else torch.where(valid, 0.0, -torch.inf)[:, None, None]
    weights = ((q @ key.mT * key.shape[-1] ** -0.5 + mask).softmax(dim=-1) for q in query.split(256, dim=2))
    return torch.cat([some.to(value.dtype) @ value for some in weights], dim=2)


def _timed(running: Any) -> dict[str, float]:
    """Seconds of a step, by stage and in all; on a GPU from two steps, because a stage is timed by waiting for it."""
    seconds = running.step()
    if running.clock.on_gpu:
        running.clock.watching = True
        seconds = running.step() | {"all": seconds["all"]}
        running.clock.watching = False
    return seconds


def _energy(running: Any, device: str) -> float | None:
    """Joules of one step, over some seconds of them: counters move some ten times a second."""
    before, start, steps = energy(device), time.perf_counter(), 0
    if before is None:
        return None
    while time.perf_counter() - start < ENERGY_SECONDS:
        running.step()
        steps += 1
    return (energy(device) - before) / steps


def _operations(running: Any) -> dict[str, tuple[int, float]]:
    """PyTorch's operations in one step: how often, and ms within each itself."""
    with torch.profiler.profile() as profile:
        running.step()
    return {
        row.key: (row.count, (row.self_cpu_time_total + row.self_device_time_total) / 1000)
        for row in profile.key_averages()
    }


class Side:
    """One side's process, seen from outside."""

    def __init__(self, name: str, task: Task, checkout: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=work, args=(other, name, task, checkout), daemon=True)
        self.process.start()
        other.close()

    def ready(self) -> None:
        self.pipe.recv()

    def ask(self, command: str) -> Any:
        self.pipe.send(command)
        return self.pipe.recv()

    def end(self) -> None:
        self.pipe.send("end")
        self.process.join()


def measure(task: Task, sides: dict[str, str], steps: int, warm_up: int, operations: bool) -> dict[str, Any]:
    """Medians and more of each side, and how far the answers lie apart. Sides: checkout by name."""
    running = {}
    for name, checkout in sides.items():
        running[name] = Side(name, task, checkout)
        if not task.device.startswith("cuda"):  # one after the other: loading needs the cores too
            running[name].ready()
    if task.device.startswith("cuda"):
        for side in running.values():
            side.ready()
    with multiprocessing.get_context("spawn").Pool(1) as apart:  # its buffers are nobody's peak memory
        best = apart.apply(ceilings, (task.device, task.dtype, task.cpu_time, task.threads))
    result: dict[str, Any] = {**asdict(task), "ceilings": best, "sides": {}}
    for side in running.values():
        side.ask("step")
    logits = {name: side.ask("logits") for name, side in running.items()}  # before some have rounded what they remember
    counts = {name: side.ask("count") for name, side in running.items()}
    seconds: dict[str, list[dict[str, float]]] = {name: [] for name in running}
    for step in track(range(warm_up + steps), _title(result), transient=True):
        for name in list(running)[:: 1 if step % 2 else -1]:  # nobody is always the first
            taken = running[name].ask("step")
            if step >= warm_up:
                seconds[name].append(taken)
    for name, side in running.items():
        rows = seconds[name]
        table = {stage: [1000 * row.get(stage, 0.0) for row in rows] for stage in (*STAGES, "all")}
        difference = np.abs(logits[name] - logits["ours"])
        result["sides"][name] = {
            "median_ms": {stage: float(np.median(values)) for stage, values in table.items()},
            "p99_ms": float(np.percentile(table["all"], 99)),
            "gflop": {stage: count / 1e9 for stage, count in counts[name][0].items()},
            "mb": {stage: count / 1e6 for stage, count in counts[name][1].items()},
            "peak_memory_mb": side.ask("memory"),
            "joules": side.ask("energy"),
            "operations": side.ask("operations") if operations else {},
            "largest_logit_difference": float(difference.max()),
            "masks_agree": float(((logits[name] > 0) == (logits["ours"] > 0)).mean()),
        }
        side.end()
    return result


def floor_ms(result: dict[str, Any], stage: str) -> float:
    """The least that a stage of ours can take: its arithmetic, or moving its weights, inputs and outputs."""
    if stage == AT_ONCE:
        return sum(floor_ms(result, part) for part in INSIDE.values())
    sides, best = result["sides"], result["ceilings"]
    ours = sides.get("plain", sides["ours"])
    arithmetic = 1e12 * ours["gflop"].get(stage, 0.0) / best["flops"]
    return max(arithmetic, 1e9 * ours["mb"].get(stage, 0.0) / best["bytes"])


def _title(result: dict[str, Any]) -> str:
    objects = f"{result['objects']} object{'s' * (result['objects'] > 1)}"
    return f"{result['model']} at {result['size']}, {result['dtype']}, {objects}"


def _ms(result: dict[str, Any]) -> str:
    return "ms of CPU time" if result["cpu_time"] else "ms"


def _short(ms: float) -> str:
    return f"{ms:.1f}" if ms >= 20 else f"{ms:.2f}"


def show(console: Console, result: dict[str, Any]) -> None:
    sides = result["sides"]
    table = Table(f"{_title(result)}; {_ms(result)}", title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("floor", justify="right")
    for name in sides:
        table.add_column(name, justify="right")
    for stage in STAGES:
        if not any(side["median_ms"][stage] for side in sides.values()):
            continue
        floor = floor_ms(result, stage)
        cells = [_short(side["median_ms"][stage]) for side in sides.values()]
        table.add_row(stage, _short(floor) if floor else "", *cells)
    floor = sum(floor_ms(result, stage) for stage in STAGES if stage != AT_ONCE)
    whole = [_short(side["median_ms"]["all"]) for side in sides.values()]
    table.add_row("all", _short(floor), *whole, style="bold")
    table.add_row("all, p99", "", *(_short(side["p99_ms"]) for side in sides.values()))
    table.add_row("GFLOP", "", *(f"{sum(side['gflop'].values()):.1f}" for side in sides.values()))
    table.add_row("peak memory, MB", "", *(f"{side['peak_memory_mb']:.0f}" for side in sides.values()))
    if sides["ours"]["joules"] is not None:
        table.add_row("energy, J", "", *(f"{side['joules']:.2f}" for side in sides.values()))
    ours = sides["ours"]["median_ms"]["all"]
    table.add_row("times ours", "", *(f"{side['median_ms']['all'] / ours:.2f}" for side in sides.values()))
    apart = [f"{side['largest_logit_difference']:.0e}" for side in sides.values()]
    table.add_row("logits apart, at most", "", *apart)
    table.add_row("pixels alike", "", *(f"{100 * side['masks_agree']:.2f} %" for side in sides.values()))
    console.print(table)
    rates = result["ceilings"]
    for name, side in sides.items():
        if side["operations"]:
            rows = sorted(side["operations"].items(), key=lambda row: -row[1][1])
            table = Table(f"{name}: operations of one step", "times", "ms", box=None, padding=(0, 2, 0, 0))
            for operation, (count, ms) in rows[:14]:
                table.add_row(operation, str(count), f"{ms:.2f}")
            table.add_row("all", str(sum(row[1][0] for row in rows)), f"{sum(row[1][1] for row in rows):.2f}")
            console.print(table)
    console.print(f"ceilings: {rates['flops'] / 1e9:.0f} GFLOP/s, {rates['bytes'] / 1e9:.1f} GB/s\n", highlight=False)


def plot(results: list[dict[str, Any]], path: Path) -> None:
    """Stacked stages of each side, one group of bars per measurement, with the floor as a line across ours."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = [(result, name, side) for result in results for name, side in result["sides"].items()]
    figure, axes = plt.subplots(
        len(results), 1, figsize=(9, 0.9 + 0.38 * len(rows) + 0.65 * len(results)), squeeze=False, layout="constrained"
    )
    for axis, result in zip(axes[:, 0], results, strict=True):
        names = list(result["sides"])
        for row, name in enumerate(names):
            median = result["sides"][name]["median_ms"]
            parts = [*(median[stage] for stage in STAGES), median["all"] - sum(median[stage] for stage in STAGES)]
            left = 0.0
            for part, colour, stage in zip(parts, COLOURS, (*STAGES, "the rest"), strict=True):
                axis.barh(row, max(part, 0), left=left, color=colour, label=stage if row == 0 else None)
                left += max(part, 0)
            ratio = median["all"] / result["sides"]["ours"]["median_ms"]["all"]
            axis.text(left, row, f" {_short(left)} ms" + (f", x {ratio:.2f}" if name != "ours" else ""), va="center")
        floor = sum(floor_ms(result, stage) for stage in STAGES if stage != AT_ONCE)
        axis.plot([floor, floor], [-0.45, 0.45], color="black", linewidth=1.5, label="floor")
        axis.set_yticks(range(len(names)), names)
        axis.invert_yaxis()
        axis.margins(x=0.15)
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_title(_title(result), loc="left", fontsize=10)
    axes[-1, 0].set_xlabel(f"{_ms(results[-1])} a frame")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False, fontsize=9)
    figure.savefig(path, dpi=110)


def plot_objects(results: list[dict[str, Any]], path: Path) -> None:
    """What a frame costs by the number of objects: a line for each side and dtype."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
    for dtype in dict.fromkeys(result["dtype"] for result in results):
        some = [result for result in results if result["dtype"] == dtype]
        for name in some[0]["sides"]:
            objects = [result["objects"] for result in some]
            ms = [result["sides"][name]["median_ms"]["all"] for result in some]
            slope = (ms[-1] - ms[0]) / (objects[-1] - objects[0])
            axis.plot(objects, ms, marker="o", label=f"{name}, {dtype}: {slope:.3g} ms more for each object")
    axis.set_xlabel("objects")
    axis.set_ylabel(f"{_ms(results[-1])} a frame")
    axis.set_ylim(bottom=0)
    axis.set_xticks([result["objects"] for result in results])
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_title(f"{results[-1]['model']} at {results[-1]['size']}", loc="left", fontsize=10)
    axis.legend(frameon=False)
    figure.savefig(path, dpi=110)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", default=["sam2.1_hiera_tiny"])
    parser.add_argument("--size", type=int, help="side of the network's image; default: the model's")
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--dtype", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--steps", type=int, default=3, help="measured steps of each side")
    parser.add_argument("--warm-up", type=int, default=0, help="steps before them, beside two to compare and to count")
    parser.add_argument("--cpu-time", action="store_true", help="count the processor's time, summed over threads")
    parser.add_argument("--operations", action="store_true", help="also PyTorch's operations, from its profiler")
    parser.add_argument("--before", metavar="PATH", help="another checkout of this repository")
    parser.add_argument(
        "--compiled", action="store_true", help="also ours compiled, on a CPU; all of ours see squares then"
    )
    parser.add_argument("--alone", action="store_true", help="without transformers and the reference")
    parser.add_argument("--video", help="frames to show; default: a synthetic scene")
    parser.add_argument("--keep", action="store_true", help="ours keep freed memory: sam2_ros.system.allocator")
    parser.add_argument(
        "--out", type=Path, help="folder for peers.json, peers.png; with 3 counts or more objects-MODEL.png"
    )
    options = parser.parse_args()
    from sam2_ros.model import CONFIGS

    console = Console()
    console.width = max(console.width, 110)  # or a table in a file would be cut to 80 columns
    console.print("$ python " + shlex.join(sys.argv), highlight=False)
    machine = (
        torch.cuda.get_device_name(options.device) if options.device.startswith("cuda") else f"{platform.machine()} CPU"
    )
    console.print(f"{machine}, {options.threads} threads, load {os.getloadavg()[0]:.1f}\n", highlight=False)
    results: list[dict[str, Any]] = []
    for model, dtype, objects in product(options.model, options.dtype, options.objects):
        how = options.device, options.threads, options.cpu_time, options.video, options.keep, options.compiled
        task = Task(model, options.size or CONFIGS[model].image_size, objects, dtype, *how)
        results.append(measure(task, _sides(options, model), options.steps, options.warm_up, options.operations))
        show(console, results[-1])
        if options.out:  # after each of them: the whole may take long, and may be stopped
            options.out.mkdir(parents=True, exist_ok=True)
            (options.out / "peers.json").write_text(json.dumps(results, indent=1))
            plot(results, options.out / "peers.png")
            if len(options.objects) > 2 and objects == options.objects[-1]:
                plot_objects(
                    [result for result in results if result["model"] == model], options.out / f"objects-{model}.png"
                )
    return 0


def _sides(options: argparse.Namespace, model: str) -> dict[str, str]:
    """Who takes part: checkout by name."""
    sides = {"ours": str(ROOT)}
    if options.device.startswith("cuda"):
        sides["plain"] = str(ROOT)
    if options.compiled and not options.device.startswith("cuda"):
        sides["compiled"] = str(ROOT)
    if options.before:
        sides["before"] = str(Path(options.before).resolve())
    if not options.alone and model != "default" and importlib.util.find_spec("transformers"):
        sides["transformers"] = str(ROOT)
        if importlib.util.find_spec("sam2"):
            sides["reference"] = str(ROOT)
    return sides


if __name__ == "__main__":
    sys.exit(main())
