"""20,000 images of two cameras through one node: python benchmarks/soak.py [--images N] [--plot docs/soak.png]

Objects are added, refined, removed and lost at random, by clicks, boxes and masks, also on images of the past. Somebody
listens to labels and overlay, and each mask has a topic. Every 50 images the memory, the threads and the open files
of the node's process are noted. After the first 1,000 images they must not grow, and in the second half memory must
stand still: exit status 1 otherwise.

--cameras front: only one. --device, --parameter NAME:=VALUE: of the node; on a GPU its memory is noted, too.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from scipy.stats import theilslopes
from sensor_msgs.msg import Image, RegionOfInterest
from std_msgs.msg import Header

from sam2_ros import msg, srv
from sam2_ros.ros.graph import Graph
from sam2_ros.ros.images import to_message
from sam2_ros.ros.stamps import time_message
from sam2_ros.ros.topics import Topics

HEIGHT, WIDTH, SIDE = 120, 160, 26  # pixels
HISTORY = 4
PARAMETERS = ["image_size:=128", f"history:={HISTORY}", "max_objects:=8", "publish_masks:=true"]
MAX_THINGS = 5
"""Maximum number of things before one camera."""
SETTLED = 1000
"""Number of images until everything is allocated."""
SAMPLE_EVERY = 50  # images
START = 1_700_000_000_000_000_000  # ns
PERIOD = 33_333_333  # ns
DEAD = 60.0
"""Seconds without an answer after which the run ends."""
GROWTH = {"memory, MB": 0.05, "GPU memory, MB": 0.05, "threads": 0.05, "open files": 0.1}
"""Maximum growth after the settled images, as a share of the value at that time. Heaps reach their size late, when many
large pieces happen to be needed at once."""
LEAK = 0.01
"""The same of memory in the second half: a leak goes on."""


@dataclass
class Thing:
    """A square of one colour that moves over the image, and is sometimes not there."""

    label: str
    colour: np.ndarray
    place: np.ndarray  # column and row of its centre
    step: np.ndarray  # pixels from image to image
    object_id: int = 0
    hidden: int = 0
    """Number of images for which it is lost."""

    @property
    def corner(self) -> tuple[int, int]:
        """Its left column and top row."""
        left, top = np.round(self.place).astype(int) - SIDE // 2
        return int(left), int(top)


class World:
    """What one camera sees."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.things: list[Thing] = []
        self._noise = self.random.integers(0, 80, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        self._added = 0

    def add(self, camera: str) -> Thing:
        self._added += 1
        edge = SIDE // 2
        place = self.random.uniform((edge, edge), (WIDTH - edge, HEIGHT - edge))
        colour = self.random.integers(90, 256, 3).astype(np.uint8)
        self.things.append(Thing(f"{camera} {self._added}", colour, place, self.random.uniform(-2, 2, 2)))
        return self.things[-1]

    def advance(self) -> np.ndarray:
        """The next picture, uint8 [H, W, 3] RGB."""
        pixels = self._noise.copy()
        low, high = np.array((SIDE, SIDE)) // 2, np.array((WIDTH, HEIGHT)) - SIDE // 2
        for thing in self.things:
            thing.hidden = max(0, thing.hidden - 1)
            thing.place += thing.step
            beyond = (thing.place < low) | (thing.place > high)
            thing.step[beyond] *= -1
            thing.place = np.clip(thing.place, low, high)
            if not thing.hidden:
                left, top = thing.corner
                pixels[top : top + SIDE, left : left + SIDE] = thing.colour
        return pixels


def prompt_for(thing: Thing, how: str) -> msg.Prompt:
    left, top = thing.corner
    prompt = msg.Prompt(object_id=thing.object_id, label=thing.label)
    if how == "click":
        prompt.clicks = [msg.Click(x=float(left + SIDE // 2), y=float(top + SIDE // 2))]
    elif how == "box":
        prompt.box = RegionOfInterest(x_offset=left, y_offset=top, width=SIDE, height=SIDE)
    else:
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[top : top + SIDE, left : left + SIDE] = 255
        prompt.mask = to_message(mask, "mono8", Header())
    return prompt


class Camera:
    """A camera, its operator, and the listeners to its masklets."""

    def __init__(self, name: str, node: Node, seed: int) -> None:
        self.name = name
        self.world = World(seed)
        self.masklets: msg.MaskletArray | None = None
        self.results: list[msg.PromptResult] = []
        self.latency = 0.0
        """Seconds from the last image to its masklets."""
        topics, deep = Topics(name), QoSProfile(depth=100)

        def private(topic: str) -> str:
            return topics.private(topic).replace("~", "/sam2")

        self.images = node.create_publisher(Image, f"/{topics.input('image')}", deep)
        self.prompts = node.create_publisher(msg.PromptArray, private("prompts"), deep)
        self.remove = node.create_client(srv.RemoveObject, private("remove"))
        self.list = node.create_client(srv.ListObjects, private("list"))
        node.create_subscription(msg.MaskletArray, private("masklets"), self._on_masklets, deep)
        node.create_subscription(msg.PromptResult, private("prompt_results"), self.results.append, deep)
        for output in ("labels", "overlay"):
            node.create_subscription(Image, private(output), lambda image: None, deep)
        self._sent = 0.0

    def _on_masklets(self, message: msg.MaskletArray) -> None:
        self.masklets = message
        self.latency = time.perf_counter() - self._sent

    def show(self, pixels: np.ndarray, index: int) -> None:
        self.masklets = None
        self._sent = time.perf_counter()
        self.images.publish(to_message(pixels, "rgb8", Header(stamp=stamp(index), frame_id=self.name)))


def stamp(index: int):
    return time_message(START + index * PERIOD)


class Soak:
    """The run: images, events and samples.

    Args:
        process: ID of the node's process.
    """

    def __init__(
        self, graph: Graph, node: Node, executor: SingleThreadedExecutor, cameras: list[str], seed: int
    ) -> None:
        self.cameras = [Camera(name, node, seed + number) for number, name in enumerate(cameras)]
        self.events: Counter[str] = Counter()
        self.samples: list[dict[str, float]] = []
        self.images = 0
        self._graph = graph
        self._executor = executor
        self._index = 0
        self._gpu: float | None = None
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def start(self) -> None:
        """Waits for the node, and for the first masklets of each camera."""
        ends = [publisher for camera in self.cameras for publisher in (camera.images, camera.prompts)]
        self._wait(lambda: all(end.get_subscription_count() for end in ends), "the node to start", 600.0)
        end = time.monotonic() + DEAD
        while not all(camera.masklets for camera in self.cameras):  # images are lost until both ends know each other
            if time.monotonic() > end:
                raise TimeoutError(f"no masklets came. The node wrote:\n{self._graph.last_lines('sam2')}")
            self._index += 1
            for camera in self.cameras:
                camera.show(camera.world.advance(), self._index)
            pause = time.monotonic() + 1.0
            while time.monotonic() < pause:
                self._executor.spin_once(timeout_sec=0.1)

    def step(self) -> None:
        """Shows each camera its next image, and lets something happen."""
        self._index += 1
        for camera in self.cameras:
            camera.show(camera.world.advance(), self._index)
        self._wait(lambda: all(camera.masklets is not None for camera in self.cameras), "masklets")
        for camera in self.cameras:
            tracked = {masklet.object_id for masklet in camera.masklets.masklets}
            expected = {thing.object_id for thing in camera.world.things}
            if tracked != expected:
                raise RuntimeError(f"camera {camera.name} tracks {tracked}, and should track {expected}")
            self._happen(camera)
        before = self.images
        self.images += len(self.cameras)
        if self.images // SAMPLE_EVERY > before // SAMPLE_EVERY:
            self._sample()

    def _happen(self, camera: Camera) -> None:
        world, chance = camera.world, camera.world.random.random()
        how = ("click", "box", "mask")[world.random.integers(3)]
        there = [thing for thing in world.things if not thing.hidden]
        if chance < 0.03 and len(world.things) < MAX_THINGS:
            world.add(camera.name)
            self.events["added"] += 1
            self._index += 1
            camera.show(camera.world.advance(), self._index)
            self._wait(lambda: camera.masklets is not None, "masklets")
            self.images += 1
            self._prompt(camera, world.things[-1], how)
        elif chance < 0.06 and there:
            self.events["refined"] += 1
            self._prompt(camera, there[world.random.integers(len(there))], how)
        elif chance < 0.07 and there:  # an operator clicks on what the screen showed two images ago
            self.events["refined, late"] += 1
            self._prompt(camera, there[world.random.integers(len(there))], "click", ago=2)
        elif chance < 0.09 and there:
            self.events["lost"] += 1
            there[world.random.integers(len(there))].hidden = int(world.random.integers(5, 200))
        elif chance < 0.112 and world.things:
            self.events["removed"] += 1
            thing = world.things.pop(world.random.integers(len(world.things)))
            answer = camera.remove.call_async(srv.RemoveObject.Request(object_id=thing.object_id))
            self._wait(answer.done, "the answer of ~/remove")
            if not answer.result().success:
                raise RuntimeError(f"{thing.label} cannot be removed: {answer.result().message}")
        elif chance < 0.13:
            answer = camera.list.call_async(srv.ListObjects.Request())
            self._wait(answer.done, "the answer of ~/list")

    def _prompt(self, camera: Camera, thing: Thing, how: str, ago: int = 0) -> None:
        camera.results.clear()
        header = Header(stamp=camera.masklets.header.stamp)
        if ago:
            header.stamp = stamp(self._index - ago)
        camera.prompts.publish(msg.PromptArray(header=header, prompts=[prompt_for(thing, how)]))
        self._wait(lambda: camera.results, "the answer to a prompt")
        result = camera.results[0]
        if not result.accepted:
            raise RuntimeError(f"a prompt was refused: {result.message}")
        thing.object_id = result.object_id

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            for value in status.values:
                if value.key == "GPU memory (MiB)":
                    self._gpu = float(value.value) * 2**20 / 1e6

    def _sample(self) -> None:
        process = Path(f"/proc/{self._graph.processes['sam2'].pid}")
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        sample = {
            "images": self.images,
            "memory, MB": int(status["VmRSS"].split()[0]) * 1024 / 1e6,
            "threads": int(status["Threads"]),
            "open files": len(os.listdir(process / "fd")),
            "objects": sum(len(camera.world.things) for camera in self.cameras),
            "latency, ms": 1000 * max(camera.latency for camera in self.cameras),
        }
        if self._gpu is not None:
            sample["GPU memory, MB"] = self._gpu
        self.samples.append(sample)

    def _wait(self, event: Callable[[], object], purpose: str, timeout: float = DEAD) -> None:
        end = time.monotonic() + timeout
        while not event():
            self._executor.spin_once(timeout_sec=0.1)
            if (status := self._graph.processes["sam2"].poll()) is not None or time.monotonic() > end:
                what = f"waited in vain for {purpose}" if status is None else f"the node has ended with status {status}"
                raise TimeoutError(f"{what}. It wrote:\n{self._graph.last_lines('sam2', 10)}")


@dataclass
class Growth:
    """How a value grows after the settled images."""

    settled: float
    """The value then."""
    end: float
    per_thousand: float
    """In each 1,000 images: the median slope between two samples, which objects that come and go do not move."""
    grown: float
    """Over the rest of the run."""
    late: float
    """In the second half of that."""

    @classmethod
    def of(cls, samples: list[dict[str, float]], name: str) -> Growth | None:
        """None: there are too few samples."""
        settled = [sample for sample in samples if sample["images"] >= SETTLED and name in sample]
        if len(settled) < 20:
            return None
        images, values = (np.array([sample[key] for sample in settled]) for key in ("images", name))
        half, tenth = len(values) // 2, len(values) // 10
        slopes = [float(theilslopes(values[part:], images[part:])[0]) for part in (0, half)]
        first, middle, last = (float(np.median(values[at : at + tenth])) for at in (0, half, len(values) - tenth))
        # A few steps have a median slope of 0, and a slow leak beside steps has a small one: the larger counts.
        grown = max(slopes[0] * (images[-1] - images[0]), last - first)
        late = max(slopes[1] * (images[-1] - images[half]), last - middle)
        return cls(first, last, 1000 * slopes[0], grown, late)

    def is_flat(self, name: str) -> bool:
        leaks = "memory" in name and self.late > LEAK * self.settled
        return not leaks and self.grown <= GROWTH[name] * self.settled


def is_flat(samples: list[dict[str, float]]) -> bool:
    return all(growth.is_flat(name) for name in GROWTH if (growth := Growth.of(samples, name)) is not None)


def plot(samples: list[dict[str, float]], file: Path) -> None:
    """Draws all values over the number of images."""
    from matplotlib.figure import Figure

    names = [name for name in samples[0] if name != "images"]
    figure = Figure(figsize=(8, 1.5 * len(names)), layout="constrained")
    images = [sample["images"] for sample in samples]
    for axes, name in zip(figure.subplots(len(names), sharex=True), names, strict=True):
        values = [sample.get(name, np.nan) for sample in samples]
        axes.plot(images, values, linewidth=1, color="tab:blue")
        axes.set_ylabel(name)
        axes.set_ylim(0, 1.1 * np.nanmax([1.0, *values]))
        axes.axvline(SETTLED, color="gray", linewidth=0.8, linestyle=":")
        axes.grid(alpha=0.3)
    axes.set_xlabel("images")
    figure.savefig(file, dpi=110)


def report(console: Console, soak: Soak, seconds: float) -> None:
    console.print(
        f"{soak.images:,} images of {len(soak.cameras)} cameras in {seconds:.0f} s, objects "
        + ", ".join(f"{event} {number:,} times" for event, number in sorted(soak.events.items())),
        highlight=False,
    )
    table = Table("after 1,000 images", box=None, padding=(0, 2, 0, 0))
    for column in ("then", "at the end", "per 1,000 images", "growth", "in the second half", "flat"):
        table.add_column(column, justify="right")
    for name in GROWTH:
        if (growth := Growth.of(soak.samples, name)) is None:
            continue
        numbers = [f"{growth.settled:.1f}", f"{growth.end:.1f}", f"{growth.per_thousand:+.3f}"]
        shares = [f"{number:+.1f} ({number / growth.settled:+.1%})" for number in (growth.grown, growth.late)]
        flat = growth.is_flat(name)
        row = [name, *numbers, *shares, "yes" if flat else "NO"]
        table.add_row(*row, style="" if flat else "bold red")
    console.print(table)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000, help="of all cameras together")
    parser.add_argument(
        "--cameras", nargs="*", default=["front", "rear"], metavar="NAME", help="none: one without a name"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device")
    parser.add_argument("--parameter", metavar="NAME:=VALUE", action="append", default=[], help="of the node; repeat")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="where the plot is written")
    parser.add_argument("--samples", type=Path, metavar="FILE", help="where all samples are written, as JSON")
    options = parser.parse_args()
    console = Console()
    console.width = max(console.width, 110)  # a table in a file would be cut to 80 columns
    parameters = [*PARAMETERS, *options.parameter]
    if options.cameras:
        parameters.append(f"cameras:=[{', '.join(options.cameras)}]")
    if options.device:
        parameters.append(f"device:={options.device}")
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    context = rclpy.Context()
    with tempfile.TemporaryDirectory() as folder, Graph(Path(folder)) as graph:
        os.environ.update(graph.environment)
        words = [word for parameter in parameters for word in ("-p", parameter)]
        graph.start("sam2", "sam2_ros.ros.node", "--ros-args", *words)
        rclpy.init(args=[], context=context)  # this command line is not ROS's
        node = rclpy.create_node("soak", context=context)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        soak = Soak(graph, node, executor, options.cameras or [""], options.seed)
        problem = ""
        started = time.monotonic()
        try:
            soak.start()
            started = time.monotonic()
            with Progress(*columns, console=console, transient=True) as progress:
                task = progress.add_task("images", total=options.images)
                while soak.images < options.images:
                    soak.step()
                    progress.update(task, completed=soak.images)
        except (RuntimeError, TimeoutError) as error:
            problem = str(error)
        seconds = time.monotonic() - started
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown(context=context)
    if problem:
        console.print(f"! {problem}", markup=False, highlight=False)
    if soak.samples:
        report(console, soak, seconds)
        if options.samples:
            options.samples.write_text(json.dumps(soak.samples))
        if options.plot:
            plot(soak.samples, options.plot)
    return 0 if not problem and soak.samples and is_flat(soak.samples) else 1


if __name__ == "__main__":
    sys.exit(main())
