"""The page over a recording in a browser, over real projects with a small network.

What one person sees of others' work, what is not lost, keys, frames that are damaged.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from browser import Visit, wait_for
from recording_desks import FRAMES, HEIGHT, WIDTH
from small_clips import make_clip
from small_projects import write_images

from sam2_ros.annotation.annotated_mask import DRAWN, AnnotatedMask
from sam2_ros.annotation.annotated_object import OPEN, REJECTED, VERIFIED
from sam2_ros.annotation.project import Project
from sam2_ros.recordings.open_recording import open_recording

pytestmark = pytest.mark.slow


class Desk:
    """A page that somebody works at."""

    def __init__(self, visited: Visit, name: str) -> None:
        self.visited, self.page = visited, visited.page
        self.page.get_by_label("Your name").fill(name)
        self.page.keyboard.press("Enter")
        self.wait("!document.querySelector('dialog[open]') && desk.stage.frame && desk.project.masks.ready(0)")

    def wait(self, expression: str) -> object:
        return wait_for(self.page, expression)

    def keys(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def at(self, x: float, y: float) -> tuple[float, float]:
        place = self.page.evaluate(f"desk.stage.toScreen({x}, {y})")
        return place["x"], place["y"]

    def paint(self, *points: tuple[float, float]) -> None:
        self.page.mouse.move(*self.at(*points[0]))
        self.page.mouse.down()
        for point in points[1:]:
            self.page.mouse.move(*self.at(*point))
        self.page.mouse.up()

    def notice(self, text: str) -> None:
        self.page.locator(".notice", has_text=text).first.wait_for()


@pytest.fixture
def ann(desk: str, visit: Callable[..., Visit]) -> Desk:
    ann = Desk(visit(desk), "ann")
    ann.wait("desk.project.objects.size === 3")
    return ann


def mask_of(project: Path, object_id: int, frame: int) -> AnnotatedMask | None:
    with Project(project) as opened:
        return opened.mask(object_id, frame)


def test_what_is_painted_is_stored_pixel_by_pixel_when_somebody_goes_on(ann: Desk, project: Path) -> None:
    before = mask_of(project, 1, 0)
    assert before is not None
    ann.keys("1", "d")
    ann.page.evaluate("document.querySelector('.brush-bar input').value = 3")
    ann.page.locator(".brush-bar input").dispatch_event("input")
    ann.paint((10.5, 40.5), (30.5, 40.5))
    painted = ann.page.locator(".brush-bar[data-changed]")
    painted.wait_for()
    ann.keys("ArrowRight")  # nobody has pressed Enter: going on saves
    ann.wait("desk.shown.frame === 1 && desk.project.masks.of(1, 0).origin === 'drawn'")
    after = mask_of(project, 1, 0)
    assert after is not None and after.origin == DRAWN and after.author == "ann"
    columns = np.arange(WIDTH) + 0.5
    reached = np.hypot(np.clip(np.maximum(10.5 - columns, columns - 30.5), 0, None), 0) <= 3
    assert np.array_equal(after.mask[40], before.mask[40] | reached)
    assert np.array_equal(after.mask[:36], before.mask[:36])


def test_strokes_are_undone_one_by_one_and_discarded(ann: Desk, project: Path) -> None:
    with Project(project) as opened:
        stored = opened.last_action
    ann.keys("1", "d")
    ann.paint((10, 40), (30, 40))
    ann.paint((10, 10), (30, 10))
    ann.keys("z")
    ann.page.locator(".brush-bar[data-changed]").wait_for()
    ann.keys("z")
    ann.page.locator(".brush-bar:not([data-changed])").wait_for()
    ann.keys("Shift+Z", "Escape")
    ann.page.locator(".brush-bar:not([data-changed])").wait_for()
    with Project(project) as opened:
        assert opened.last_action == stored, "nothing was stored"


def test_what_somebody_else_changed_meanwhile_is_shown_and_not_overwritten(ann: Desk, project: Path) -> None:
    ann.keys("1", "d")
    ann.paint((10, 40), (30, 40))
    theirs = np.zeros((HEIGHT, WIDTH), bool)
    theirs[5:25, 5:25] = True
    with Project(project) as opened:
        opened.put_mask("ben", AnnotatedMask.drawn(1, 0, theirs, 3))
    ann.wait("desk.project.masks.of(1, 0).author === 'ben'")
    ann.keys("Enter")
    ann.notice("changed by ben in the meantime")
    kept = mask_of(project, 1, 0)
    assert kept is not None and np.array_equal(kept.mask, theirs)
    shown = "desk.stage.frame.masks.some((one) => one.object_id === 1 && one.mask)"
    ann.wait(f"{shown} && document.querySelector('.brush-bar[data-changed]')")
    ann.keys("Enter")  # having seen it
    ann.wait("desk.project.masks.of(1, 0).author === 'ann'")
    assert mask_of(project, 1, 0).author == "ann"


def test_a_change_of_somebody_else_is_said(ann: Desk, project: Path) -> None:
    ann.keys("1")
    ann.wait("desk.annotating.selected === 1")
    ann.keys("End", "Home")
    ann.wait("desk.shown.frame === 0")
    assert ann.page.locator(".notice").count() == 0, "nobody has changed anything yet"
    with Project(project) as opened:
        opened.put_mask("ben", AnnotatedMask.drawn(1, 0, np.ones((HEIGHT, WIDTH), bool), 3))
    ann.notice("thing 1 was changed on this frame by ben.")
    ann.page.locator(".object-here", has_text="Painted by hand · ben").wait_for()


def test_who_only_looks_is_asked_before_changing_something(desk: str, visit: Callable[..., Visit]) -> None:
    page = visit(desk).page
    page.get_by_role("button", name="Only look").click()
    wait_for(page, "desk.project.objects.size === 3 && desk.project.masks.ready(0)")
    page.keyboard.press("1")
    page.keyboard.press("v")
    page.get_by_label("Your name").fill("ann")
    page.keyboard.press("Enter")
    wait_for(page, "desk.project.annotators !== null && !document.querySelector('dialog[open]')")
    page.keyboard.press("v")
    wait_for(page, "desk.project.masks.of(1, 0)?.present === false")


def test_phase_one_goes_over_annotated_frames_only(ann: Desk) -> None:
    ann.keys("ArrowRight", "ArrowRight")
    ann.wait("desk.shown.frame === 2")
    ann.page.locator("[data-phase='1']").click()
    ann.wait("[0, 4].includes(desk.shown.frame)")
    ann.keys("Home", "ArrowRight")
    ann.wait("desk.shown.frame === 4")
    ann.keys("ArrowRight", "ArrowRight")
    ann.wait("desk.shown.frame === 8")
    ann.page.locator("[data-phase='2']").click()
    ann.keys("ArrowLeft")
    ann.wait("desk.shown.frame === 7")


def test_plays_to_the_end_and_stops(ann: Desk) -> None:
    ann.page.evaluate("() => { window.seen = []; desk.player.on('frame', () => window.seen.push(desk.player.frame)); }")
    ann.keys(" ")
    ann.wait("desk.player.playing")
    ann.wait(f"!desk.player.playing && desk.player.frame === {FRAMES - 1}")
    seen = ann.page.evaluate("window.seen")
    assert seen == sorted(seen) and seen[-1] == FRAMES - 1


def test_verdicts_by_keys_and_their_undo(desk: str, project: Path, visit: Callable[..., Visit]) -> None:
    ben = Desk(visit(desk), "ben")
    ben.page.locator(".badge", has_text="3").wait_for()
    ben.keys("w")
    ben.wait("!document.querySelector('.verdict').disabled")
    first = int(ben.page.locator(".verification .chip").inner_text())
    ben.keys("1")
    ben.page.locator(".badge", has_text="2").wait_for()
    second = int(ben.page.locator(".verification .chip").inner_text())
    ben.wait("!document.querySelector('.verdict').disabled")
    ben.keys("2")
    ben.page.keyboard.type("two things in one")
    ben.keys("Enter")
    ben.page.locator(".badge", has_text="1").wait_for()
    third = int(ben.page.locator(".verification .chip").inner_text())
    ben.wait("!document.querySelector('.verdict').disabled")
    ben.keys("3")
    ben.page.get_by_role("heading", name="Nothing waits for your verdict").wait_for()
    ben.wait(f"desk.project.objects.get({third}).state === 'rejected'")
    with Project(project) as opened:
        states = {one.object_id: (one.state, one.reason) for one in opened.objects()}
        assert states == {first: (VERIFIED, ""), second: (OPEN, "two things in one"), third: (REJECTED, "")}
        assert all(action.seconds > 0 for action in opened.actions() if action.kind == "verdict"), "time is told"
    ben.keys("z")
    ben.page.locator(".badge", has_text="1").wait_for()
    assert ben.page.locator(".verification .chip").inner_text() == str(third)
    ben.wait(f"desk.project.objects.get({third}).state === 'open'")
    with Project(project) as opened:
        assert opened.object(third).state == OPEN


def test_label_and_attributes(ann: Desk, project: Path) -> None:
    ann.keys("2", "l")
    ann.page.keyboard.type("<b>cup</b>")
    ann.keys("Enter")
    ann.page.locator(".object-attributes summary").click()
    name, value = (ann.page.get_by_label(label, exact=True).last for label in ("Name", "Value"))
    name.fill("colour")
    value.fill("red")
    ann.keys("Enter")
    ann.wait("desk.project.objects.get(2).attributes.colour === 'red'")
    with Project(project) as opened:
        one = opened.object(2)
        assert one.label == "<b>cup</b>" and one.attributes == {"colour": "red"}
    assert ann.page.locator("b", has_text="cup").count() == 0, "text, never HTML"
    ann.page.locator(".object .label", has_text="<b>cup</b>").wait_for()


def test_everything_by_keyboard_alone(ann: Desk, project: Path) -> None:
    ann.keys("a", "k")
    ann.wait("desk.stage.crosshair !== null")
    ann.keys("ArrowLeft", "ArrowUp", "Enter")
    ann.wait("desk.project.objects.size === 4 && desk.annotating.selected === 4")
    ann.keys("Escape", "ArrowRight")  # away from the crosshair, arrow keys step again
    ann.wait("desk.shown.frame === 1")
    ann.keys("4", "Home", "r")
    ann.page.locator("[data-kind=propagate][data-state=done]").wait_for()
    assert mask_of(project, 4, FRAMES - 1) is not None
    ann.keys("Shift+ArrowRight")
    ann.wait(f"desk.shown.frame === {FRAMES - 1}")  # there is no other mark
    ann.keys("z", "z")
    ann.wait("desk.project.objects.size === 3")


def test_a_damaged_frame_is_shown_as_such(
    tmp_path: Path, serve: Callable[[Path], str], visit: Callable[..., Visit]
) -> None:
    images = write_images(make_clip("walk", 5), tmp_path / "images")
    (images / "00002.png").write_bytes((images / "00002.png").read_bytes()[:60])
    Project.create(tmp_path / "walk", open_recording(images)).close()
    visited = visit(serve(tmp_path / "walk"))
    visited.expect("404")
    ann = Desk(visited, "ann")
    ann.keys("ArrowRight", "ArrowRight")
    ann.page.locator(".damaged", has_text="Frame 2 is damaged").wait_for()
    ann.page.mouse.click(*ann.at(20, 20))
    ann.notice("This frame is damaged")
    ann.keys("ArrowRight")
    ann.page.locator(".damaged").wait_for(state="hidden")
    ann.keys("Home", " ")
    ann.wait("!desk.player.playing && desk.player.frame === 4")  # playing goes over it
