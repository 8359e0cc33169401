"""The demo: somebody clicks once, and the real graph follows what was clicked through a video.

A camera node, the sam2 node, a prompter that clicks once and a recorder run as processes of their own. Everything that
is shown afterwards is read back from the bag that was recorded.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
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

from sam2_ros.data.clip import Clip
from sam2_ros.data.demo_scene import NAMES, demo_scene
from sam2_ros.data.video import VideoReader, VideoWriter
from sam2_ros.evaluation.contact_sheet import contact_sheet, thumbnail
from sam2_ros.evaluation.prompts import error_click
from sam2_ros.evaluation.scores import ObjectScore, Summary, score, summary
from sam2_ros.msg import MaskletArray
from sam2_ros.ros.graph import Graph
from sam2_ros.ros.recording import Recording, read_recording
from sam2_ros.ros.stamps import nanoseconds
from sam2_ros.tracking.masklet import Frame
from sam2_ros.tracking.overlay import draw_overlay

CLICKED = 1  # object of the demo scene
GOOD_ENOUGH = 0.60  # J&F on the demo scene
PATIENCE = 60.0  # s without any progress
SHOWN = 12  # frames on the contact sheet
VIDEO, SHEET = "overlay.mp4", "contact-sheet.png"
IMAGE, MASKLETS = "/camera/image", "/sam2/masklets"
PROGRESS = (TextColumn("{task.description:<22}"), BarColumn(40), MofNCompleteColumn(), TimeElapsedColumn())
RECORDED = (f"{IMAGE}/compressed", "/sam2/prompts", "/sam2/applied_prompts", "/sam2/prompt_results", MASKLETS)


class DemoError(RuntimeError):
    """What went wrong, in one sentence."""


FEWEST = 3
"""Frames of a demo: what is clicked, and the last, are not scored."""


@dataclass(frozen=True)
class Show:
    """What is played, and where it is clicked."""

    source: Path
    """A video file or a folder of images."""
    frames: int
    fps: float
    click: tuple[float, float]
    """Column and row on the first frame."""
    label: str
    truth: Clip | None
    """Where everything really is; None: nobody knows."""


def parser() -> argparse.ArgumentParser:
    def some(text: str) -> int:
        if int(text) < FEWEST:
            raise argparse.ArgumentTypeError(f"at least {FEWEST}: the clicked one, and others on which it is followed")
        return int(text)

    def point(text: str) -> tuple[float, float]:
        x, y = (float(part) for part in text.split(","))
        return x, y

    options = argparse.ArgumentParser(prog="python -m sam2_ros.ros.demo", description=__doc__.splitlines()[0])
    options.add_argument("--video", type=Path, help="a video file or a folder of images (default: a scene made here)")
    options.add_argument("--click", type=point, metavar="X,Y", help="pixel of the object on the first frame of --video")
    options.add_argument("--label", default="", help="name of what is clicked")
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
    click = error_click(np.zeros_like(truth), truth)
    assert click is not None, "the car is there on the first image"
    return Show(folder, len(clip), clip.fps, (click.x, click.y), NAMES[CLICKED], clip)


def own_show(video: Path, click: tuple[float, float] | None, label: str, frames: int | None, folder: Path) -> Show:
    """Somebody's own video. Raises DemoError, FileNotFoundError or ValueError if it cannot be played."""
    with VideoReader(video) as reader:
        first = reader.read()
        if first is None:
            raise DemoError(f"{video} holds no images")
        height, width = first.shape[:2]
        if click is None:
            raise DemoError(
                f"where to click? Give --click X,Y, a pixel of the object on the first frame ({width}x{height} pixels)"
            )
        if not (0 <= click[0] < width and 0 <= click[1] < height):
            x, y = click
            raise DemoError(f"the click {x:g},{y:g} is outside the video, which has {width}x{height} pixels")
        reader.rewind()
        count = 0
        for count, image in enumerate(reader, start=1):  # counted, because headers of videos lie
            if frames is not None:
                cv2.imwrite(str(folder / f"{count:05d}.png"), image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
                if count == frames:
                    break
        return Show(video if frames is None else folder, count, reader.fps, click, label, None)


class Witness:
    """Takes part in the graph to see how far it is."""

    def __init__(self, graph: Graph) -> None:
        os.environ.update(graph.environment)
        self.graph = graph
        self.stamps: set[int] = set()
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self.node = Node("witness", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self.node.create_subscription(MaskletArray, MASKLETS, self._on_masklets, QoSProfile(depth=1000))

    def _on_masklets(self, message: MaskletArray) -> None:
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
            if "Not configured: " in (said := self.graph.last_words("sam2")):
                raise DemoError(said.split("Not configured: ", 1)[1])
            if time.monotonic() > deadline:
                raise DemoError(f"{complaint()}. The last words of sam2:\n{self.graph.last_words('sam2')}")

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)


@contextlib.contextmanager
def witness(graph: Graph) -> Iterator[Witness]:
    one = Witness(graph)
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
    with Graph(logs) as graph, witness(graph) as seen, Progress(*PROGRESS, console=console) as bar:
        task = bar.add_task("starting the nodes", total=show.frames)
        # The compressed images are both what is processed and what is recorded: the bag replays to the same masklets.
        sam2 = parameters(image_transport="compressed", keep_all=True, **given) + reliable("subscription")
        graph.start("sam2", "sam2_ros.ros.node", "--ros-args", "-r", f"image:={IMAGE}", *sam2)
        graph.start("record", "sam2_ros.ros.recorder", "-o", str(bag), *RECORDED)
        x, y = show.click
        click = ["--click", f"{x:g},{y:g}", "--label", show.label, "--first-image", f"{IMAGE}/compressed"]
        graph.start("prompt", "sam2_ros.ros.prompter", *click, "--listeners", "2", "--timeout", str(PATIENCE))
        ears = {MASKLETS: 2, "/sam2/prompts": 2}  # the recorder and we; the node and the recorder
        seen.wait(
            lambda: all(seen.node.count_subscribers(topic) >= count for topic, count in ears.items()),
            lambda: "the nodes did not find each other",
            lambda: None,
        )
        # It begins when the node, the recorder and the prompter listen.
        camera = parameters(source=show.source, wait_for_masklets=True, wait_for_subscribers=3) + reliable("publisher")
        remap = ["-r", f"image:={IMAGE}", "-r", f"image/compressed:={IMAGE}/compressed", "-r", f"masklets:={MASKLETS}"]
        playing = graph.start("camera", "sam2_ros.ros.camera", "--ros-args", *remap, *camera)
        bar.update(task, description="following the object")
        seen.wait(
            lambda: playing.poll() == 0 and len(seen.stamps) >= show.frames,
            lambda: f"masklets came for {len(seen.stamps)} of {show.frames} images",
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
    """Index of the image that the click was made on."""
    object_id: int
    answer_ms: float
    """From the prompt to its result."""
    scores: list[ObjectScore] | None

    @property
    def total(self) -> Summary | None:
        return None if self.scores is None else summary(self.scores)

    def frame(self, index: int) -> Frame:
        return self.recording.frames[self.stamps[index]]


def judge(recording: Recording, show: Show) -> Result:
    """Checks that a recording is complete and compares it with the truth. Raises DemoError."""
    stamps = sorted(recording.images)
    if len(stamps) != show.frames:
        raise DemoError(f"the bag holds {len(stamps)} images of {show.frames}")
    missing = [stamp for stamp in stamps if stamp not in recording.frames]
    if missing:
        raise DemoError(f"no masklets came for {len(missing)} of {len(stamps)} images")
    if not recording.answers:
        raise DemoError("nobody answered the click")
    answer = recording.answers[0]
    if not answer.accepted:
        raise DemoError(f"the click was refused: {answer.message}")
    prompted = stamps.index(answer.stamp)
    frames = [recording.frames[stamp] for stamp in stamps]
    shown = [one for frame in frames[prompted + 1 :] if (one := frame.masklet(answer.object_id)) and one.present]
    if not shown:
        raise DemoError("masks are missing: the object was not seen on any image after the click")
    scores = None
    if show.truth is not None:
        named = [replace(frame, masklets=tuple(_renamed(frame, answer.object_id))) for frame in frames]
        everything = score(show.truth, named, prompted={CLICKED: prompted})
        scores = [one for one in everything if one.object_id == CLICKED]
    answer_ms = (answer.received - recording.prompts[0][1]) / 1e6
    return Result(recording, stamps, prompted, answer.object_id, answer_ms, scores)


def _renamed(frame: Frame, object_id: int) -> Iterator:
    """The tracker's object under the ID that it has in the scene."""
    if (one := frame.masklet(object_id)) is not None:
        yield replace(one, object_id=CLICKED)


def draw(result: Result, show: Show, out: Path, console: Console) -> None:
    """Writes the overlay video and the contact sheet."""
    chosen = _chosen(result)
    pictures, captions = [], []
    quality = {frame.frame: (frame.j + frame.f) / 2 for one in result.scores or () for frame in one.frames}
    with VideoWriter(out / VIDEO, show.fps) as video, Progress(*PROGRESS, console=console) as bar:
        task = bar.add_task("drawing the video", total=len(result.stamps))
        for index, stamp in enumerate(result.stamps):
            image, masklets = result.recording.image(stamp), result.frame(index).masklets
            picture = draw_overlay(image, masklets)
            if abs(index - result.prompted) < show.fps / 2:
                picture = _with_click(picture, show.click, image.shape[1])
            video.write(picture)
            if index in chosen:
                small = thumbnail(image, masklets)
                pictures.append(_with_click(small, show.click, image.shape[1]) if index == result.prompted else small)
                words = [f"{index / show.fps:.1f} s"]
                words += ["the click"] if index == result.prompted else []
                words += [f"J&F {100 * quality[index]:.0f}"] if index in quality else []
                captions.append("    ".join(words))
            bar.advance(task)
    x, y = show.click
    title = "One click, then followed" + (f"    J&F {100 * result.total.j_and_f:.0f}" if result.total else "")
    subtitle = f"click at {x:.0f}, {y:.0f}; images and masks as they were recorded in the bag"
    sheet = contact_sheet(pictures, captions, title, subtitle)
    cv2.imwrite(str(out / SHEET), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))


def _chosen(result: Result) -> list[int]:
    """Frames for the contact sheet: the click, and evenly spread ones."""
    spread = np.linspace(result.prompted, len(result.stamps) - 1, min(SHOWN, len(result.stamps) - result.prompted))
    return sorted({round(index) for index in spread})


def _with_click(picture: np.ndarray, click: tuple[float, float], width: int) -> np.ndarray:
    """The picture, which may be smaller than the image of this width, with a dot where the click was."""
    x, y = (round(n * picture.shape[1] / width) for n in click)
    size = max(4, picture.shape[0] // 60)
    cv2.circle(picture, (x, y), size, (255, 255, 255), -1, cv2.LINE_AA)
    cv2.circle(picture, (x, y), size, (20, 20, 20), max(1, size // 4), cv2.LINE_AA)
    return picture


def table(result: Result, show: Show, out: Path) -> Table:
    """The summary."""
    recording, latencies = result.recording, result.recording.latencies
    times = [recording.frames_received[stamp] for stamp in result.stamps]
    rate = (len(times) - 1) / max((times[-1] - times[0]) / 1e9, 1e-9)
    followed = [result.frame(index).masklet(result.object_id) for index in range(result.prompted + 1, len(times))]
    present = sum(one is not None and one.present for one in followed)
    p50, p90 = np.percentile(latencies, (50, 90))
    rows = {
        "images in, masklets out": f"{len(recording.images)}, {len(recording.frames)}",
        "rate": f"{rate:.1f} images/s; the camera waits for each answer",
        "latency": f"median {p50:.0f} ms, p90 {p90:.0f} ms, from image message to masklet message",
        "the click": f"answered after {result.answer_ms:.0f} ms: object {result.object_id}",
        "seen": f"on {present} of {len(followed)} images after the click",
    }
    if (total := result.total) is not None:
        visible = sum(frame.visible for one in result.scores or () for frame in one.frames)
        rows["seen"] += f"; it can be seen on {visible} of {total.frames}"
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
            if options.click is not None:
                raise DemoError("--click belongs to --video; the demo scene is clicked by itself")
            console.print("making the demo scene")
            show = synthetic_show(Path(scratch), options.frames)
        else:
            show = own_show(options.video, options.click, options.label, options.frames, Path(scratch))
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
