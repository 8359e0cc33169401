"""The demo: somebody points at things once, and the real graph follows them through a video.

A camera node, the sam2 node and a recorder run as processes of their own; this one points. Everything that is shown
afterwards is read back from the bag that was recorded.
"""

from __future__ import annotations

from sam2_ros.requirements import require

if __name__ == "__main__":
    require("demo")  # before the imports that would fail

import argparse
import contextlib
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

import cv2
import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from sensor_msgs.msg import CompressedImage

from sam2_ros import msg
from sam2_ros.data.clip import Clip
from sam2_ros.data.formats import open_clips
from sam2_ros.data.video import VideoReader, VideoWriter
from sam2_ros.evaluation.contact_sheet import contact_sheet, thumbnail
from sam2_ros.evaluation.prompts import error_click
from sam2_ros.evaluation.scores import ObjectScore, Summary, score, summary
from sam2_ros.ros.graph import Graph
from sam2_ros.ros.prompter import read_mask
from sam2_ros.ros.prompts import to_message
from sam2_ros.ros.recording import Answer, Recording, read_recording
from sam2_ros.ros.stamps import nanoseconds
from sam2_ros.scenes.demo_scene import NAMES, demo_scene
from sam2_ros.tracking.masklet import Frame, Masklet
from sam2_ros.tracking.overlay import Overlay
from sam2_ros.tracking.prompt import Box, Click, Prompt, PromptError

CLICKED = 1  # object of the demo scene
GOOD_ENOUGH = 0.60  # J&F on the demo scene
PATIENCE = 60.0  # s without any progress
SHOWN = 12  # frames on the contact sheet
SAID = 3  # prompts named there
VIDEO, SHEET = "overlay.mp4", "contact-sheet.png"
IMAGE, MASKLETS = "/camera/image", "/sam2/masklets"
PROMPTS, RESULTS = "/sam2/prompts", "/sam2/prompt_results"
PROGRESS = (TextColumn("{task.description:<22}"), BarColumn(40), MofNCompleteColumn(), TimeElapsedColumn())
RECORDED = (f"{IMAGE}/compressed", PROMPTS, "/sam2/applied_prompts", RESULTS, MASKLETS)


class DemoError(RuntimeError):
    """What went wrong, in one sentence."""


FEWEST = 3
"""Frames of a demo: what is clicked, and the last, are not scored."""


@dataclass(frozen=True)
class Show:
    """What is played, and what is pointed at."""

    source: Path
    """A video file or a folder of images."""
    frames: int
    fps: float
    prompts: tuple[Prompt, ...]
    """On the first frame; the first is object 1, and so on."""
    truth: Clip | None
    """Where everything really is, if what is pointed at is its `CLICKED`; None: nobody knows."""


CLICKS = re.compile(r"(?P<sign>[+-]?)(?P<x>\d+\.?\d*),(?P<y>\d+\.?\d*)")


def clicks(text: str) -> tuple[Click, ...]:
    """`640,360`, and more of the same object after + (on it) or - (not on it): `640,360+650,380-700,400`.

    Raises:
        ValueError: it is nothing like that.
    """
    found = list(CLICKS.finditer(text))
    if not found or "".join(one[0] for one in found) != text or any(not one["sign"] for one in found[1:]):
        raise ValueError(f"{text!r} is no click; expected X,Y, or X,Y+X,Y-X,Y with more clicks on the same object")
    return tuple(Click(float(one["x"]), float(one["y"]), one["sign"] != "-") for one in found)


def click(text: str) -> Prompt:
    """An object under clicks, the first of them on it. Raises ValueError."""
    made = clicks(text)
    if not made[0].positive:
        raise ValueError(f"the first click of {text!r} has to be on the object")
    return Prompt(clicks=made)


def box(text: str) -> Prompt:
    """An object in a box `X,Y,WIDTH,HEIGHT`, perhaps with clicks after + or -. Raises ValueError."""
    sides = re.match(r"(\d+\.?\d*),(\d+\.?\d*),(\d+\.?\d*),(\d+\.?\d*)(?=[+-]|$)", text)
    if not sides:
        raise ValueError(f"{text!r} is no box; expected X,Y,WIDTH,HEIGHT")
    rest = text[sides.end() :]
    return Prompt(clicks=clicks(rest) if rest else (), box=Box(*(round(float(side)) for side in sides.groups())))


def mask(file: str) -> Prompt:
    """An object that a picture shows. Raises ValueError."""
    return Prompt(mask=read_mask(file))


def named(prompt: Prompt) -> str:
    """What a prompt says, in words."""
    parts = [] if prompt.box is None else ["box {:g},{:g},{:g},{:g}".format(*prompt.box)]
    parts += [] if prompt.mask is None else ["mask"]
    kinds = {True: "click", False: "negative click"}
    parts += [f"{kinds[positive]} {x:g},{y:g}" for x, y, positive in prompt.clicks]
    return " and ".join(parts)


def parser() -> argparse.ArgumentParser:
    def some(text: str) -> int:
        if int(text) < FEWEST:
            raise argparse.ArgumentTypeError(f"at least {FEWEST}: the first, and others on which it is followed")
        return int(text)

    def prompt(make: Callable[[str], Prompt]) -> Callable[[str], Prompt]:
        def parse(text: str) -> Prompt:
            try:
                return make(text)
            except ValueError as error:
                raise argparse.ArgumentTypeError(str(error)) from error

        return parse

    options = argparse.ArgumentParser(
        prog="python -m sam2_ros.ros.demo",
        description=__doc__.splitlines()[0],
        epilog="Each click, box and mask is another object, in the order in which they are given. More clicks on the"
        " same object follow after + (on it) or - (not on it): --click 640,360-700,380 --box 100,80,60,40+130,90",
    )
    video = "a video file, a folder of images, or a bag (default: a scene made here)"
    options.add_argument("--video", type=Path, help=video)
    options.add_argument("--images", metavar="TOPIC", help="of a bag with several topics of images")
    what = {"action": "extend", "nargs": "+", "dest": "prompts", "default": []}
    on = "pixel of an object on the first frame of --video, one or more"
    options.add_argument("--click", type=prompt(click), metavar="X,Y", help=on, **what)
    options.add_argument("--box", type=prompt(box), metavar="X,Y,WIDTH,HEIGHT", help="around an object", **what)
    picture = "picture of the frame's size, not black on an object"
    options.add_argument("--mask", type=prompt(mask), metavar="FILE", help=picture, **what)
    label = "names of what was pointed at, in the same order"
    options.add_argument("--label", nargs="+", action="extend", metavar="NAME", default=[], help=label)
    options.add_argument("--out", type=Path, default=Path("demo"), help="folder for the results (default: demo)")
    options.add_argument("--frames", type=some, metavar="N", help=f"only so many frames, at least {FEWEST}")
    options.add_argument("--model", default="", help="model of the sam2 node (default: the one that ships)")
    options.add_argument("--checkpoint", default="", help="weights of the sam2 node")
    options.add_argument("--size", type=int, metavar="N", help="it sees about N x N pixels; default: the model's")
    aspect = "of what the network sees; `image`: that of the images; default: the model's"
    options.add_argument("--aspect", default="", metavar="W:H", help=aspect)
    return options


def synthetic_show(folder: Path, frames: int | None) -> Show:
    """The scene that is made here, as images in a folder."""
    clip = demo_scene() if frames is None else demo_scene(frames)
    for index, image in enumerate(clip.frames):
        cv2.imwrite(str(folder / f"{index:05d}.png"), image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
    masks = clip.masks[0]
    assert masks is not None
    truth = masks[clip.object_ids.index(CLICKED)]
    on_the_car = error_click(np.zeros_like(truth), truth)
    assert on_the_car is not None, "the car is there on the first image"
    return Show(folder, len(clip), clip.fps, (Prompt(clicks=(on_the_car,), label=NAMES[CLICKED]),), clip)


def own_show(options: argparse.Namespace, folder: Path) -> Show:
    """Somebody's own video. Raises DemoError, FileNotFoundError or ValueError if it cannot be played."""
    if len(options.label) > len(options.prompts):
        raise DemoError(f"{len(options.label)} labels for {len(options.prompts)} objects")
    names = zip_longest(options.prompts, options.label, fillvalue="")
    prompts = tuple(replace(prompt, label=name) for prompt, name in names)
    video: Path = options.video
    is_bag = video.suffix in (".mcap", ".db3") or any(any(video.glob(file)) for file in ("metadata.yaml", "*.mcap"))
    if options.images and not is_bag:
        raise DemoError(f"--images is a topic of a bag, and {video} is none")
    with _frames(video, options.images) if is_bag else VideoReader(video) as reader:
        count = 0
        for count, image in enumerate(reader, start=1):  # counted, because headers of videos lie
            if count == 1:
                height, width = image.shape[:2]
                if not prompts:
                    raise DemoError(
                        "where to click? Give --click X,Y, a pixel of an object on the first frame"
                        f" ({width}x{height} pixels); or --box X,Y,WIDTH,HEIGHT or --mask FILE"
                    )
                for prompt in prompts:
                    try:
                        prompt.checked(height, width)
                    except PromptError as error:
                        raise DemoError(f"{named(prompt)}: {error}") from error
            if is_bag or options.frames is not None:
                cv2.imwrite(str(folder / f"{count:05d}.png"), image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
            if count == options.frames:
                break
        if count < FEWEST:
            raise DemoError(f"{video} holds {count} images; a demo takes at least {FEWEST}")
        return Show(folder if is_bag or options.frames else video, count, reader.fps, prompts, None)


@contextlib.contextmanager
def _frames(bag: Path, images: str | None) -> Iterator[BagFrames]:
    """The images of a bag. Raises ClipError, a ValueError, if there are none or several topics have some."""
    clip = open_clips(bag, images)[0]
    yield BagFrames(clip.frames, clip.fps)


class BagFrames:
    """As much of a `VideoReader` as the demo needs."""

    def __init__(self, frames: Sequence[np.ndarray], fps: float) -> None:
        self.frames, self.fps = frames, fps

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self.frames)


class Operator:
    """Takes part in the graph: points at things on the first image, and sees how far it is."""

    def __init__(self, graph: Graph, prompts: Sequence[Prompt]) -> None:
        os.environ.update(graph.environment)
        self.graph = graph
        self.stamps: set[int] = set()
        self.answers: list[msg.PromptResult] = []
        self._prompts = [to_message(prompt, object_id) for object_id, prompt in enumerate(prompts, start=1)]
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self.node = Node("operator", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._publisher = self.node.create_publisher(msg.PromptArray, PROMPTS, 10)
        self.node.create_subscription(msg.MaskletArray, MASKLETS, self._on_masklets, QoSProfile(depth=1000))
        self.node.create_subscription(msg.PromptResult, RESULTS, self.answers.append, QoSProfile(depth=100))
        # Reliable, and deep enough that the next ones don't push the first one out before it is looked at.
        self.node.create_subscription(CompressedImage, f"{IMAGE}/compressed", self._on_image, QoSProfile(depth=100))

    def _on_image(self, message: CompressedImage) -> None:
        if self._prompts:
            self._publisher.publish(msg.PromptArray(header=message.header, prompts=self._prompts))
            self._prompts = []

    def _on_masklets(self, message: msg.MaskletArray) -> None:
        self.stamps.add(nanoseconds(message.header.stamp))

    def wait(self, until: Callable[[], bool], complaint: Callable[[], str], tick: Callable[[], None]) -> None:
        """Spins, ticking, until something is so. Raises DemoError if a process fails, or after `PATIENCE` in vain."""
        deadline, seen = time.monotonic() + PATIENCE, len(self.stamps)
        while not until():
            self._executor.spin_once(timeout_sec=0.05)
            tick()
            if len(self.stamps) != seen:
                deadline, seen = time.monotonic() + PATIENCE, len(self.stamps)
            for name, process in self.graph.processes.items():
                if process.poll() not in (None, 0):
                    raise DemoError(f"{name} has ended with an error:\n{self.graph.last_words(name)}")
            for answer in self.answers:
                if not answer.accepted:
                    raise DemoError(f"the prompt for object {answer.object_id} was refused: {answer.message}")
            if "Not configured: " in (said := self.graph.last_words("sam2")):
                raise DemoError(said.split("Not configured: ", 1)[1])
            if time.monotonic() > deadline:
                raise DemoError(f"{complaint()}. The last words of sam2:\n{self.graph.last_words('sam2')}")

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)


@contextlib.contextmanager
def operator(graph: Graph, prompts: Sequence[Prompt]) -> Iterator[Operator]:
    one = Operator(graph, prompts)
    try:
        yield one
    finally:
        one.close()


def play(show: Show, bag: Path, logs: Path, network: dict[str, object], console: Console) -> None:
    """Runs the graph from the first frame to the last and leaves a bag. Raises DemoError."""

    def parameters(**values: object) -> list[str]:
        return [word for name, value in values.items() for word in ("-p", f"{name}:={value}")]

    def reliable(end: str) -> list[str]:  # a demo loses no image
        return ["-p", f"qos_overrides.{IMAGE}/compressed.{end}.reliability:=reliable"]

    given = {name: value for name, value in network.items() if value}
    with Graph(logs) as graph, operator(graph, show.prompts) as seen, Progress(*PROGRESS, console=console) as bar:
        task = bar.add_task("starting the nodes", total=show.frames)
        # The compressed images are both what is processed and what is recorded: the bag replays to the same masklets.
        sam2 = parameters(image_transport="compressed", keep_all=True, **given) + reliable("subscription")
        graph.start("sam2", "sam2_ros.ros.node", "--ros-args", "-r", f"image:={IMAGE}", *sam2)
        graph.start("record", "sam2_ros.ros.recorder", "-o", str(bag), *RECORDED)
        ears = {MASKLETS: 2, PROMPTS: 2, RESULTS: 2}  # the recorder and we; the node and the recorder
        seen.wait(
            lambda: all(seen.node.count_subscribers(topic) >= count for topic, count in ears.items()),
            lambda: "the nodes did not find each other",
            lambda: None,
        )
        # It begins when the node, the recorder and we listen.
        camera = parameters(source=show.source, wait_for_masklets=True, wait_for_subscribers=3) + reliable("publisher")
        remap = ["-r", f"image:={IMAGE}", "-r", f"image/compressed:={IMAGE}/compressed", "-r", f"masklets:={MASKLETS}"]
        playing = graph.start("camera", "sam2_ros.ros.camera", "--ros-args", *remap, *camera)
        bar.update(task, description="following")
        seen.wait(
            lambda: playing.poll() == 0 and len(seen.stamps) >= show.frames and len(seen.answers) >= len(show.prompts),
            lambda: (
                f"masklets came for {len(seen.stamps)} of {show.frames} images,"
                f" answers to {len(seen.answers)} of {len(show.prompts)} prompts"
            ),
            lambda: bar.update(task, completed=min(len(seen.stamps), show.frames)),
        )
        bar.update(task, completed=show.frames)
        if graph.end("record") != 0:
            raise DemoError(f"the bag could not be completed:\n{graph.last_words('record')}")


@dataclass(frozen=True)
class Result:
    """What a recording shows."""

    recording: Recording
    stamps: list[int]
    """Of the images, in order."""
    prompted: int
    """Index of the image on which things were pointed at."""
    answers: list[Answer]
    """One for each prompt, in their order."""
    answer_ms: float
    """From the prompts to the last of their results."""
    scores: list[ObjectScore] | None

    @property
    def total(self) -> Summary | None:
        return None if self.scores is None else summary(self.scores)

    def frame(self, index: int) -> Frame:
        return self.recording.frames[self.stamps[index]]

    def seen(self, object_id: int) -> int:
        """On how many images after the prompt."""
        later = (self.frame(index).masklet(object_id) for index in range(self.prompted + 1, len(self.stamps)))
        return sum(one is not None and one.present for one in later)


def judge(recording: Recording, show: Show) -> Result:
    """Checks that a recording is complete and compares it with the truth. Raises DemoError."""
    stamps = sorted(recording.images)
    if len(stamps) != show.frames:
        raise DemoError(f"the bag holds {len(stamps)} images of {show.frames}")
    missing = [stamp for stamp in stamps if stamp not in recording.frames]
    if missing:
        raise DemoError(f"no masklets came for {len(missing)} of {len(stamps)} images")
    if len(recording.answers) < len(show.prompts):
        raise DemoError(f"nobody answered {len(show.prompts) - len(recording.answers)} of {len(show.prompts)} prompts")
    answers = recording.answers[: len(show.prompts)]
    for answer, prompt in zip(answers, show.prompts, strict=True):
        if not answer.accepted:
            raise DemoError(f"the {named(prompt)} was refused: {answer.message}")
    prompted = stamps.index(answers[0].stamp)
    answer_ms = (answers[-1].received - recording.prompts[0][1]) / 1e6
    scores = None
    if show.truth is not None:
        frames = [recording.frames[stamp] for stamp in stamps]
        of_the_scene = [replace(frame, masklets=tuple(_renamed(frame, answers[0].object_id))) for frame in frames]
        everything = score(show.truth, of_the_scene, prompted={CLICKED: prompted})
        scores = [one for one in everything if one.object_id == CLICKED]
    result = Result(recording, stamps, prompted, answers, answer_ms, scores)
    if not any(result.seen(answer.object_id) for answer in answers):
        raise DemoError("masks are missing: nothing was seen on any image after the prompts")
    return result


def _renamed(frame: Frame, object_id: int) -> Iterator[Masklet]:
    """The tracker's object under the ID that it has in the scene."""
    if (one := frame.masklet(object_id)) is not None:
        yield replace(one, object_id=CLICKED)


def draw(result: Result, show: Show, out: Path, console: Console) -> None:
    """Writes the overlay video and the contact sheet."""
    chosen = _chosen(result)
    pictures, captions, overlay = [], [], Overlay()
    quality = {frame.frame: (frame.j + frame.f) / 2 for one in result.scores or () for frame in one.frames}
    with VideoWriter(out / VIDEO, show.fps) as video, Progress(*PROGRESS, console=console) as bar:
        task = bar.add_task("drawing the video", total=len(result.stamps))
        for index, stamp in enumerate(result.stamps):
            image, masklets = result.recording.image(stamp), result.frame(index).masklets
            picture = overlay.draw(image, masklets)
            if abs(index - result.prompted) < show.fps / 2:
                picture = _with_prompts(picture, show.prompts, image.shape[1])
            video.write(picture)
            if index in chosen:
                small = thumbnail(image, masklets, overlay)
                if index == result.prompted:
                    small = _with_prompts(small, show.prompts, image.shape[1])
                pictures.append(small)
                words = [f"{index / show.fps:.1f} s"]
                words += [_what(show)] if index == result.prompted else []
                words += [f"J&F {100 * quality[index]:.0f}"] if index in quality else []
                captions.append("    ".join(words))
            bar.advance(task)
    count = len(show.prompts)
    title = f"{_what(show).capitalize()}, then followed"
    title += f"    J&F {100 * result.total.j_and_f:.0f}" if result.total else ""
    said = "; ".join(map(named, show.prompts[:SAID])) + (f" and {count - SAID} more" if count > SAID else "")
    subtitle = f"{said}; images and masks as they were recorded in the bag"
    sheet = contact_sheet(pictures, captions, title, subtitle)
    cv2.imwrite(str(out / SHEET), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))


def _what(show: Show) -> str:
    """What was pointed with: one click, 2 boxes, 3 prompts."""
    kinds = {named(prompt).split(" ")[0] for prompt in show.prompts}
    count, kind = len(show.prompts), kinds.pop() if len(kinds) == 1 else "prompt"
    return f"one {kind}" if count == 1 else f"{count} {kind}{'es' if kind == 'box' else 's'}"


def _chosen(result: Result) -> list[int]:
    """Frames for the contact sheet: the click, and evenly spread ones."""
    spread = np.linspace(result.prompted, len(result.stamps) - 1, min(SHOWN, len(result.stamps) - result.prompted))
    return sorted({round(index) for index in spread})


def _with_prompts(picture: np.ndarray, prompts: Sequence[Prompt], width: int) -> np.ndarray:
    """The picture, which may be smaller than the image of this width, with clicks as dots (negative ones crossed) and
    boxes as frames. A mask shows as what is followed."""
    scale, size = picture.shape[1] / width, max(4, picture.shape[0] // 60)
    light, dark, thin = (255, 255, 255), (20, 20, 20), max(1, size // 4)
    for prompt in prompts:
        if prompt.box is not None:
            x, y, wide, high = (round(side * scale) for side in prompt.box)
            for colour, thickness in ((dark, 3 * thin), (light, thin)):
                cv2.rectangle(picture, (x, y), (x + wide, y + high), colour, thickness, cv2.LINE_AA)
        for x, y, positive in prompt.clicks:
            x, y = round(x * scale), round(y * scale)
            cv2.circle(picture, (x, y), size, light if positive else dark, -1, cv2.LINE_AA)
            cv2.circle(picture, (x, y), size, dark if positive else light, thin, cv2.LINE_AA)
            if not positive:
                arm = round(0.6 * size)
                for side in (-1, 1):
                    ends = (x - arm, y - side * arm), (x + arm, y + side * arm)
                    cv2.line(picture, *ends, light, thin, cv2.LINE_AA)
    return picture


def table(result: Result, show: Show, out: Path) -> Table:
    """The summary."""
    recording, latencies = result.recording, result.recording.latencies
    times = [recording.frames_received[stamp] for stamp in result.stamps]
    rate = (len(times) - 1) / max((times[-1] - times[0]) / 1e9, 1e-9)
    later = len(result.stamps) - result.prompted - 1
    p50, p90 = np.percentile(latencies, (50, 90))
    rows = {
        "images in, masklets out": f"{len(recording.images)}, {len(recording.frames)}",
        "rate": f"{rate:.1f} images/s; the camera waits for each answer",
        "latency": f"median {p50:.0f} ms, p90 {p90:.0f} ms, from image message to masklet message",
        _what(show): f"answered after {result.answer_ms:.0f} ms",
    }
    for answer, prompt in zip(result.answers, show.prompts, strict=True):
        label = f" ({prompt.label})" if prompt.label else ""
        seen = f"seen on {result.seen(answer.object_id)} of {later} images after the prompt"
        rows[f"object {answer.object_id}{label}"] = f"{named(prompt)}: {seen}"
    if (total := result.total) is not None:
        visible = sum(frame.visible for one in result.scores or () for frame in one.frames)
        rows["visible"] = f"on {visible} of {total.frames} images after the prompt"
        precision, recall = 100 * total.presence_precision, 100 * total.presence_recall
        rows["presence"] = f"precision {precision:.1f} %, recall {recall:.1f} %"
        rows["J&F"] = f"{100 * total.j_and_f:.1f} (J {100 * total.j:.1f}, F {100 * total.f:.1f})"
        rows["ID switches"] = str(total.switches)
    rows |= {"video": f"{out / VIDEO}", "contact sheet": f"{out / SHEET}", "bag": f"{out / 'bag'}"}
    summary_table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    summary_table.add_column(style="bold")
    summary_table.add_column()
    for row in rows.items():
        summary_table.add_row(*row)
    return summary_table


def run(options: argparse.Namespace, console: Console) -> None:
    """The whole demo. Raises DemoError if the object was not followed."""
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        if options.video is None:
            if options.prompts or options.label or options.images:
                raise DemoError(
                    "--click, --box, --mask, --label and --images go with --video; the demo scene is clicked by itself"
                )
            console.print("making the demo scene")
            show = synthetic_show(Path(scratch), options.frames)
        else:
            show = own_show(options, Path(scratch))
        for old in ("bag", "logs"):
            shutil.rmtree(out / old, ignore_errors=True)
        for old in (VIDEO, SHEET):
            (out / old).unlink(missing_ok=True)
        network = {"model": options.model, "checkpoint": options.checkpoint}
        network |= {"image_size": options.size, "image_aspect": options.aspect}
        play(show, out / "bag", out / "logs", network, console)
        result = judge(read_recording(out / "bag"), show)
        draw(result, show, out, console)
    console.print()
    console.print(table(result, show, out), highlight=False)
    if result.total is not None and not result.total.j_and_f >= GOOD_ENOUGH:
        raise DemoError(f"J&F is {100 * result.total.j_and_f:.1f}, and should be at least {100 * GOOD_ENOUGH:.0f}")


def main() -> int:
    options = parser().parse_args()
    console = Console()
    interrupts: list[int] = []

    def interrupt(number: int, _frame: object) -> None:
        interrupts.append(number)
        raise KeyboardInterrupt

    for kind in (signal.SIGINT, signal.SIGTERM):  # ended by whomever: what was started ends too
        signal.signal(kind, interrupt)
    try:
        run(options, console)
    except (Exception, KeyboardInterrupt) as error:
        if interrupts:  # in the middle of anything; what broke then, broke of it
            console.print("interrupted; everything that was started has ended")
            return 130
        if not isinstance(error, DemoError | OSError | ValueError):
            raise
        console.print(f"[bold red]The demo failed:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
