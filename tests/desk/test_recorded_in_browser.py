"""People who annotate a recording: the desk's page in Chromium, its server, the project and the network, all real."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest
from browser import Visit
from desk_visitor import DeskVisitor, Fingers, innermost, iou
from recorded_desk import RecordedDesk, write_recording
from shown_masks import overlap

from sam2_ros.annotation.annotated_mask import DRAWN, PROMPTED, PROPAGATED, AnnotatedMask
from sam2_ros.annotation.project import Project
from sam2_ros.data.clip import Clip
from sam2_ros.scenes.demo_scene import CAR, DUCK, TWIN, demo_scene

MARKUP = "<img src=x onerror=alert(1)> & <b>car</b>"

pytestmark = pytest.mark.slow

FRAMES = 60


@pytest.fixture(scope="module")
def clip() -> Clip:
    return demo_scene(FRAMES)


@pytest.fixture(scope="module")
def desk(clip: Clip, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecordedDesk]:
    """Over the clip as a recording."""
    recording = tmp_path_factory.mktemp("recordings") / "demo"
    write_recording(clip, recording)
    with RecordedDesk(recording) as desk:
        yield desk


class Annotator(DeskVisitor):
    """Somebody at the page of a recording."""

    def __init__(self, visited: Visit, desk: RecordedDesk, name: str) -> None:
        super().__init__(visited)
        self.desk = desk
        self.page.get_by_label("Your name").fill(name)
        self.page.get_by_role("button", name="Start", exact=True).click()
        self.page.locator("dialog.annotator-dialog").wait_for(state="detached")

    @property
    def frame(self) -> int:
        """On the screen."""
        return int(self.page.evaluate("desk.shown.frame"))

    def wait_for_answers(self) -> None:
        """Waits until nothing that was pointed at waits for an answer."""
        self.wait_for("desk.annotating.pending.length === 0 && !desk.project.busy")

    def new_object(self, do: Callable[[], object]) -> int:
        """Does something that begins an object. Returns its ID."""
        self.page.keyboard.press("Escape")
        self.wait_for("desk.annotating.selected === null")
        do()
        self.wait_for("desk.annotating.selected !== null")
        self.wait_for_answers()
        return int(self.page.evaluate("desk.annotating.selected"))

    def stored(self, object_id: int, frame: int) -> AnnotatedMask | None:
        """The mask in the project."""
        with Project(self.desk.project) as project:
            return project.mask(object_id, frame)

    def assert_drawn(self, object_id: int) -> None:
        """The mask on the canvas is the one in the project."""
        self.wait_for_mask(object_id)
        stored = self.stored(object_id, self.frame)
        assert stored is not None
        self.page.keyboard.press("Escape")  # nothing is selected: its line is thin
        drawn = self.masks([object_id]).now()
        assert overlap(drawn, {object_id: stored.mask})[object_id] > 0.9


def truth(clip: Clip, frame: int, thing: int) -> np.ndarray:
    masks = clip.masks[frame]
    assert masks is not None
    return masks[clip.object_ids.index(thing)]


def test_annotate_propagate_verify_undo_kill_and_go_on(desk: RecordedDesk, clip: Clip, visit: Callable) -> None:
    ann = Annotator(visit(desk.address), desk, "ann")
    page = ann.page

    # a click, its label, a correction
    ann.click(*innermost(truth(clip, 0, CAR)))
    ann.row(1).wait_for()
    ann.wait_for_answers()
    first = ann.stored(1, 0)
    assert first is not None and first.author == "ann" and iou(first.mask, truth(clip, 0, CAR)) > 0.4
    page.get_by_label("Label", exact=True).fill("car")
    page.keyboard.press("Enter")
    ann.row(1).get_by_text("car").wait_for()
    ann.click(*innermost(truth(clip, 0, TWIN)), button="right")
    ann.wait_for_answers()
    second = ann.stored(1, 0)
    assert second is not None and second.action_id > first.action_id
    ann.assert_drawn(1)

    # a box, then a mask by hand on the next frame; undone and done again
    ann.box(truth(clip, 0, DUCK))
    ann.row(2).wait_for()
    ann.wait_for_answers()
    page.keyboard.press("ArrowRight")
    ann.wait_for("desk.shown.frame === 1")
    page.keyboard.press("d")
    x, y = innermost(truth(clip, 1, DUCK))
    ann.drag((x - 12, y), (x, y - 12), (x + 12, y), (x, y + 12))
    page.keyboard.press("Enter")
    ann.wait_for("desk.project.masks.of(2, 1)?.origin === 'drawn'")
    drawn = ann.stored(2, 1)
    assert drawn is not None and drawn.origin == DRAWN and drawn.mask[y - 12, x] and drawn.mask[y, x + 12]
    page.keyboard.press("z")
    ann.wait_for("desk.project.masks.of(2, 1) === null && !desk.project.busy")
    assert ann.stored(2, 1) is None
    page.keyboard.press("Shift+Z")
    ann.wait_for("desk.project.masks.of(2, 1)?.origin === 'drawn'")
    assert np.array_equal(ann.stored(2, 1).mask, drawn.mask)

    # propagation: one is cancelled and stores nothing, one is finished
    page.keyboard.press("p")
    page.locator("[data-kind=propagate]").wait_for(state="detached")
    page.get_by_role("button", name="Propagate").click()
    page.locator("[data-kind=propagate]").get_by_role("button", name="Cancel").click()
    page.locator("[data-kind=propagate][data-state=cancelled]").wait_for()
    assert ann.stored(2, FRAMES - 1) is None
    page.keyboard.press("1")
    page.keyboard.press("Home")
    page.keyboard.press("r")
    page.locator("[data-kind=propagate][data-state=done]").wait_for()
    last = ann.stored(1, FRAMES - 1)
    assert last is not None and last.origin == PROPAGATED
    assert ann.stored(1, 0).origin == PROMPTED  # what people have made stays
    page.keyboard.press("End")
    ann.wait_for(f"desk.shown.frame === {FRAMES - 1}")
    ann.assert_drawn(1)

    # somebody else verifies it; the first page shows it
    ben = Annotator(visit(desk.address), desk, "ben")
    ben.page.keyboard.press("w")
    strip = ben.page.locator(".verification img.strip")
    ben.wait_for("document.querySelector('.verification img.strip')?.naturalWidth > 0")
    assert strip.is_visible()
    ben.page.keyboard.press("1")
    page.locator(".object-group[data-state=verified] .object[data-object-id='1']").wait_for()
    ben.page.keyboard.press("z")
    page.locator(".object-group[data-state=open] .object[data-object-id='1']").wait_for()
    ben.page.keyboard.press("Shift+Z")
    page.locator(".object-group[data-state=verified] .object[data-object-id='1']").wait_for()

    # the server is killed and started again: everything is there, and goes on
    for one in (ann, ben):
        one.visited.expect("ERR_CONNECTION_REFUSED|WebSocket|ERR_CONNECTION_RESET|ERR_INCOMPLETE|ERR_EMPTY_RESPONSE")
    desk.kill()
    for one in (ann, ben):
        one.wait_for("!desk.connected")
    desk.start()
    for one in (ann, ben):
        one.wait_for("desk.connected")
    page.locator(".object-group[data-state=verified] .object[data-object-id='1']").wait_for()
    page.keyboard.press("2")
    page.keyboard.press("Home")
    ann.wait_for("desk.shown.frame === 0 && desk.annotating.selected === 2")
    before = ann.stored(2, 0)
    x, y = innermost(truth(clip, 0, DUCK))
    ann.click(x, y + 5)
    ann.wait_for_answers()
    after = ann.stored(2, 0)
    assert before is not None and after is not None and after.action_id > before.action_id
    ann.assert_drawn(2)


def test_fingers_are_enough_and_a_label_with_markup_is_text(desk: RecordedDesk, clip: Clip, visit: Callable) -> None:
    visited = visit(desk.address, viewport={"width": 1024, "height": 768}, has_touch=True)
    eve = Annotator(visited, desk, "eve")
    page, fingers = eve.page, Fingers(eve)
    for _ in range(5):
        page.get_by_role("button", name="A frame on", exact=True).tap()
    eve.wait_for("desk.shown.frame === 5")
    car = eve.new_object(lambda: fingers.tap(*innermost(truth(clip, 5, CAR))))
    first = eve.stored(car, 5)
    fingers.hold(*innermost(truth(clip, 5, TWIN)))
    eve.wait_for("desk.annotating.pending.length > 0 || desk.annotating.mask.prompt?.clicks.length === 2")
    eve.wait_for_answers()
    second = eve.stored(car, 5)
    assert first is not None and second is not None and second.action_id > first.action_id
    page.get_by_label("Label", exact=True).fill(MARKUP)
    page.keyboard.press("Enter")
    eve.row(car).get_by_text(MARKUP, exact=True).wait_for()
    assert page.locator("#panel img, #panel script, #bottom img, #bottom script").count() == 0
    x, y, width, height = cv2.boundingRect(truth(clip, 5, DUCK).astype(np.uint8))
    duck = eve.new_object(lambda: fingers.drag((x, y), (x + width / 2, y + height / 2), (x + width, y + height)))
    assert iou(eve.stored(duck, 5).mask, truth(clip, 5, DUCK)) > 0.5
    scale = page.evaluate("desk.stage.scale")
    fingers.spread(320, 240, 40, 120)
    assert page.evaluate("desk.stage.scale") > 2 * scale
