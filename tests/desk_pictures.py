"""The pictures of docs/desk.md: python tests/desk_pictures.py [--out docs] [--all FOLDER]

Everything is real: the demo's scene as camera and as recording, node, default model, desk, and Chromium.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from browser import Visit, chromium
from desk_operator import Operator
from desk_robot import DeskRobot
from desk_visitor import DeskVisitor, innermost
from PIL import Image
from playwright.sync_api import Browser
from recorded_desk import RecordedDesk, write_recording
from rich.console import Console

from sam2_ros.data.clip import Clip
from sam2_ros.scenes.demo_scene import CAR, DUCK, TWIN, demo_scene

SCREENS: dict[str, dict[str, object]] = {
    "desktop": {"viewport": {"width": 1440, "height": 900}},
    "tablet": {"viewport": {"width": 1024, "height": 768}, "has_touch": True},
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "has_touch": True,
        "is_mobile": True,
        "device_scale_factor": 2,
    },
}
APART = range(16)
"""Frames of the scene on which the cars are not in front of each other."""

SCHEMES = ("light", "dark")
PATIENCE = 600_000  # ms
LARGEST = 150_000  # bytes of a picture


class Album:
    """Screenshots by name, also kept in a folder."""

    def __init__(self, folder: Path | None) -> None:
        self.pictures: dict[str, Image.Image] = {}
        self._folder = folder
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def take(self, visitor: DeskVisitor, name: str) -> None:
        visitor.page.mouse.move(5, 5)
        visitor.page.wait_for_timeout(400)  # until what fades has faded
        shot = visitor.page.screenshot()
        self.pictures[name] = Image.open(io.BytesIO(shot)).convert("RGB")
        if self._folder is not None:
            (self._folder / f"{name}.png").write_bytes(shot)


@contextmanager
def visiting(browser: Browser, address: str, screen: str, scheme: str) -> Iterator[Visit]:
    visited = Visit(browser, address, color_scheme=scheme, **SCREENS[screen])
    try:
        yield visited
    finally:
        if wrong := visited.close():
            raise RuntimeError(f"the page is not clean: {wrong}")


def live(browser: Browser, folder: Path, album: Album) -> None:
    """Pictures of the page at a robot."""
    with DeskRobot(folder, rate=6.0) as robot:
        address = robot.address
        with visiting(browser, address, "desktop", "light") as visited:
            track(Operator(visited, robot), album)
        for screen in SCREENS:
            for scheme in SCHEMES:
                with visiting(browser, address, screen, scheme) as visited:
                    operator = Operator(visited, robot)
                    operator.row(3).wait_for()
                    operator.page.wait_for_timeout(2000)  # for rate and latency
                    operator.wait_for_frame(APART)
                    album.take(operator, f"live-{screen}-{scheme}")


def track(operator: Operator, album: Album) -> None:
    """Three things, with some time for the timeline."""
    robot, page = operator.robot, operator.page
    label = page.get_by_label("Label for new objects")
    live = page.locator(".transport").get_by_role("button", name="Live", exact=True)
    operator.pause_at(APART)
    label.fill("red car")
    operator.new_object(lambda: operator.click(*operator.place(CAR)))
    count = len(robot.results)
    operator.click(*operator.place(TWIN), button="right")
    robot.result(count)
    page.keyboard.press("Escape")
    label.fill("other car")
    operator.new_object(lambda: operator.box(robot.truth(operator.stamp, TWIN)))
    live.click()
    page.wait_for_timeout(15_000)
    page.keyboard.press("Escape")
    operator.pause_at(APART)
    label.fill("duck")
    x, y, width, height = cv2.boundingRect(robot.truth(operator.stamp, DUCK).astype(np.uint8))
    operator.new_object(lambda: operator.click(round(x + 0.68 * width), round(y + 0.25 * height)))  # its head
    page.locator(".candidates").wait_for()
    label.fill("")
    live.click()
    page.wait_for_timeout(2000)
    operator.wait_for_frame(APART)
    album.take(operator, "live-candidates-desktop-light")
    page.keyboard.press("Escape")


def recorded(browser: Browser, folder: Path, album: Album) -> None:
    """Pictures of the page over a recording."""
    clip = demo_scene(96)
    write_recording(clip, folder / "table")
    with RecordedDesk(folder / "table") as desk:
        for number, (screen, scheme) in enumerate((screen, scheme) for screen in SCREENS for scheme in SCHEMES):
            with visiting(browser, desk.address, screen, scheme) as visited:
                visitor = DeskVisitor(visited)
                page = visitor.page
                page.get_by_label("Your name").fill("ann")
                album.take(visitor, f"recorded-name-{screen}-{scheme}")
                page.get_by_role("button", name="Start", exact=True).click()
                page.locator("dialog.annotator-dialog").wait_for(state="detached")
                if number == 0:
                    annotate(visitor, clip)
                page.keyboard.press("1")
                page.keyboard.press("Home")
                for _ in range(30):
                    page.keyboard.press("ArrowRight")
                visitor.wait_for("desk.shown.frame === 30 && desk.stage.frame?.masks.length >= 2")
                album.take(visitor, f"recorded-{screen}-{scheme}")
        for screen in SCREENS:
            for scheme in SCHEMES:
                with visiting(browser, desk.address, screen, scheme) as visited:
                    visitor = DeskVisitor(visited)
                    visitor.page.get_by_label("Your name").fill("ben")
                    visitor.page.get_by_role("button", name="Start", exact=True).click()
                    visitor.page.locator("dialog.annotator-dialog").wait_for(state="detached")
                    visitor.page.keyboard.press("w")
                    visitor.wait_for("document.querySelector('.verification img.strip')?.naturalWidth > 0")
                    album.take(visitor, f"recorded-verify-{screen}-{scheme}")


def annotate(visitor: DeskVisitor, clip: Clip) -> None:
    """Two objects from the first frame to the last."""
    page = visitor.page
    first = dict(zip(clip.object_ids, clip.masks[0], strict=True))
    for object_id, (thing, label) in enumerate(((CAR, "red car"), (DUCK, "duck"), (TWIN, "red car")), start=1):
        page.keyboard.press("a")
        visitor.box(first[thing]) if thing != CAR else visitor.click(*innermost(first[thing]))
        visitor.row(object_id).wait_for()
        visitor.wait_for("desk.annotating.pending.length === 0 && !desk.project.busy")
        page.locator("#object-label").fill(label)
        page.keyboard.press("Enter")
        visitor.row(object_id).get_by_text(label).wait_for()
        if thing == CAR:
            visitor.click(*innermost(first[TWIN]), button="right")
            visitor.wait_for("desk.annotating.pending.length === 0 && !desk.project.busy")
        page.keyboard.press("r")
        visitor.wait_for(
            f"(desk.project.runs.get({object_id}) ?? []).some(([, last]) => last === {len(clip.frames) - 1})"
        )


def beside(*pictures: Image.Image) -> Image.Image:
    """Pictures of equal height beside each other, on grey."""
    height, gap = max(picture.height for picture in pictures), 24
    joined = Image.new(
        "RGB", (sum(picture.width + gap for picture in pictures) + gap, height + 2 * gap), (128, 132, 138)
    )
    left = gap
    for picture in pictures:
        joined.paste(picture, (left, gap + (height - picture.height) // 2))
        left += picture.width + gap
    return joined


def save(picture: Image.Image, path: Path, width: int) -> None:
    """As a JPEG of this width, of at most `LARGEST` bytes."""
    height = round(picture.height * width / picture.width)
    small = picture.resize((width, height), Image.Resampling.LANCZOS)
    for quality in range(90, 30, -4):
        small.save(path, quality=quality, optimize=True, progressive=True)
        if path.stat().st_size <= LARGEST:
            return
    raise ValueError(f"{path} cannot be made small enough")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs"), help="folder of the pictures (default: docs)")
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="also all screenshots, as PNGs")
    options = parser.parse_args()
    console, album = Console(), Album(options.all)
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        for name, work in (("live", live), ("recorded", recorded)):
            with console.status(f"{name} page"):
                Path(folder, name).mkdir()
                work(browser, Path(folder, name), album)
    shots = album.pictures
    phone = [shots[f"live-phone-{scheme}"].resize((355, 768)) for scheme in SCHEMES]
    save(shots["live-candidates-desktop-light"], options.out / "desk.jpg", 1200)
    save(shots["recorded-desktop-dark"], options.out / "desk-recorded.jpg", 1200)
    save(shots["recorded-verify-desktop-light"], options.out / "desk-verify.jpg", 1200)
    save(beside(shots["live-tablet-dark"], *phone), options.out / "desk-touch.jpg", 1200)
    return 0


if __name__ == "__main__":
    sys.exit(main())
