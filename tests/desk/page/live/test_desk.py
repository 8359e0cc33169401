"""The live page in a browser, over a played scene with its true masks: what a person does, and what then is seen."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from browser import Visit
from played_desk import PlayedCamera, PlayedDesk
from playwright.sync_api import Page, expect
from scipy import ndimage

from sam2_ros.desk.server import Server

pytestmark = pytest.mark.slow

CAR, DUCK = 0, 1  # indices of masks of the scene
FRAMES = 12  # of the scene: the hand-held camera moves, the car does not drive yet, so that one can aim at it

Visitor = Callable[..., Visit]
Play = Callable[..., Server]


def until(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)
    return value


def shown(page: Page) -> dict[str, Any]:
    """What is on the screen: camera, stamp, masks ..."""
    return until(lambda: page.evaluate("window.desk?.shown"))


def camera_of(desk: PlayedDesk) -> PlayedCamera:
    return next(iter(desk.cameras.values()))


def middle(mask: np.ndarray) -> tuple[int, int]:
    """The pixel that is farthest inside: x, y."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    return int(x) - 1, int(y) - 1


def screen(page: Page, x: float, y: float) -> tuple[float, float]:
    place = page.evaluate("([x, y]) => window.desk.stage.toScreen(x + 0.5, y + 0.5)", [x, y])
    return place["x"], place["y"]


def thing(page: Page, desk: PlayedDesk, index: int) -> tuple[int, int]:
    """A pixel of a thing on the picture that is on the screen."""
    camera = camera_of(desk)
    return middle(camera.clip.masks[camera.at(shown(page)["stamp"])][index])


def click(page: Page, desk: PlayedDesk, index: int, **options: Any) -> None:
    page.mouse.click(*screen(page, *thing(page, desk, index)), **options)


def asked(desk: PlayedDesk, kind: str = "prompt") -> list[dict[str, Any]]:
    return [request for request in desk.requests if request["type"] == kind]


def objects(page: Page) -> dict[int, dict[str, Any]]:
    """Objects that are drawn, by ID."""
    masks = page.evaluate(
        """window.desk.stage.frame?.masks.map(({object_id, label, chosen}) => ({object_id, label, chosen})) ?? []"""
    )
    return {mask["object_id"]: mask for mask in masks}


ALPHA = """() => {
    const { stage } = window.desk;
    const canvas = stage.element.querySelector("[data-layer=masks]");
    const ratio = canvas.width / stage.element.clientWidth;
    const corner = stage.element.getBoundingClientRect();
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const [one, other] = [stage.toScreen(0.5, 0.5), stage.toScreen(1.5, 0.5)];
    const step = (other.x - one.x) * ratio;
    const [left, top] = [(one.x - corner.left) * ratio, (one.y - corner.top) * ratio];
    const found = [];
    for (let y = 0; y < stage.frame.height; y++) {
        for (let x = 0; x < stage.frame.width; x++) {
            const [column, row] = [Math.floor(left + x * step), Math.floor(top + y * step)];
            if (data[4 * (row * canvas.width + column) + 3] > 0) found.push(y * stage.frame.width + x);
        }
    }
    return found;
}"""


def drawn(page: Page, shape: tuple[int, int]) -> np.ndarray:
    """Pixels of the image on which the canvas of masks has something."""
    mask = np.zeros(shape[0] * shape[1], bool)
    mask[page.evaluate(ALPHA)] = True
    return mask.reshape(shape)


def test_a_click_carries_the_stamp_on_the_screen_and_its_mask_is_drawn_where_it_is(visit: Visitor, play: Play) -> None:
    desk = PlayedDesk(rate=0, frames=FRAMES)
    server = play(desk)
    page = visit(server.url).page
    until(lambda: asked(desk, "watch"))
    server.call_soon(desk.step)
    stamp = shown(page)["stamp"]
    server.call_soon(desk.step)
    until(lambda: shown(page)["stamp"] != stamp)
    stamp = shown(page)["stamp"]
    x, y = thing(page, desk, CAR)
    page.mouse.click(*screen(page, x, y))
    until(lambda: objects(page))
    prompt = asked(desk)[0]
    assert prompt["stamp"] == stamp
    assert prompt["prompt"]["clicks"] == [{"x": x, "y": y, "positive": True}]

    camera = camera_of(desk)
    shape = camera.clip.frames[0].shape[:2]
    page.mouse.move(5, 5)
    for _ in range(4):
        stamp = shown(page)["stamp"]
        server.call_soon(desk.step)
        until(lambda stamp=stamp: shown(page)["stamp"] != stamp and shown(page)["masks"] == 1)
        truth = camera.clip.masks[camera.at(shown(page)["stamp"])][CAR]
        found = drawn(page, shape)
        assert found[ndimage.binary_erosion(truth)].all()
        assert not found[~ndimage.binary_dilation(truth, iterations=4)].any()  # the outline has a width


def test_pending_refused_and_ambiguous_clicks(visit: Visitor, play: Play) -> None:
    desk = PlayedDesk(slow=0.6, frames=FRAMES)
    page = visit(play(desk).url).page
    shown(page)
    stage = page.locator(".stage").first

    page.mouse.click(*screen(page, 320, 60))  # the wall
    expect(stage).to_have_attribute("aria-busy", "true")
    refusal = page.get_by_role("alert").filter(has_text="nothing was found here")
    refusal.wait_for()
    expect(stage).to_have_attribute("aria-busy", "false")
    assert refusal.bounding_box()["x"] < screen(page, 320, 60)[0] + 40  # beside the click
    page.keyboard.press("Escape")
    expect(refusal).to_have_count(0)

    click(page, desk, DUCK)
    cards = page.locator(".candidate")
    expect(cards).to_have_count(3)
    expect(cards.nth(0)).to_have_attribute("aria-pressed", "true")
    stamp = asked(desk)[-1]["stamp"]
    cards.nth(1).hover()
    until(lambda: shown(page)["stamp"] == stamp)  # it is looked at on the picture that was clicked on
    cards.nth(1).click()
    taken = until(lambda: asked(desk)[2:])[0]
    assert taken["stamp"] == stamp
    assert taken["prompt"]["replace"] and taken["prompt"]["object_id"] == 1 and taken["prompt"]["mask"]
    until(lambda: camera_of(desk).objects[1]["part"] == "half")
    until(lambda: shown(page)["stamp"] > stamp)

    page.keyboard.press("a")
    click(page, desk, CAR)
    expect(cards).to_have_count(3)
    page.keyboard.press("1")
    expect(cards).to_have_count(0)  # they were about the other one


def test_refining_a_box_undoing_and_removing(visit: Visitor, play: Play) -> None:
    desk = PlayedDesk(frames=FRAMES)
    page = visit(play(desk).url).page
    camera = camera_of(desk)
    shown(page)
    click(page, desk, DUCK)
    until(lambda: objects(page).get(1, {}).get("chosen"))
    page.keyboard.press("Escape")  # the candidates
    click(page, desk, DUCK, button="right")
    until(lambda: camera.objects[1]["part"] == "half")
    assert asked(desk)[-1]["prompt"]["object_id"] == 1
    assert not asked(desk)[-1]["prompt"]["clicks"][0]["positive"]
    page.keyboard.press("z")
    until(lambda: camera.objects[1]["part"] == "whole")

    x, y = thing(page, desk, CAR)
    page.mouse.move(*screen(page, x - 60, y - 40))
    page.mouse.down()
    page.mouse.move(*screen(page, x + 60, y + 40), steps=3)
    page.mouse.up()
    until(lambda: set(objects(page)) == {1, 2})
    left, top, width, height = asked(desk)[-1]["prompt"]["box"]
    assert abs(left - (x - 60)) <= 2 and abs(width - 120) <= 4 and abs(top - (y - 40)) <= 2 and abs(height - 80) <= 4
    page.keyboard.press("1")
    page.keyboard.press("Delete")
    until(lambda: set(objects(page)) == {2})
    assert set(camera.objects) == {2}


def test_a_quick_no_waits_for_the_object_that_it_is_about(visit: Visitor, play: Play) -> None:
    desk = PlayedDesk(slow=0.6, frames=FRAMES)
    page = visit(play(desk).url).page
    shown(page)
    x, y = thing(page, desk, DUCK)
    page.mouse.click(*screen(page, x, y))
    page.mouse.click(*screen(page, x + 200, y - 20), button="right")  # on no object
    until(lambda: len(asked(desk)) == 2)
    assert asked(desk)[1]["prompt"]["object_id"] == 1
    until(lambda: camera_of(desk).objects[1]["part"] == "half")


def test_a_late_answer_does_not_change_what_was_chosen_meanwhile(visit: Visitor, play: Play) -> None:
    desk = PlayedDesk(slow=0.6, frames=FRAMES)
    page = visit(play(desk).url).page
    shown(page)
    for number, name in enumerate((DUCK, CAR), 1):
        page.keyboard.press("a")
        click(page, desk, name)
        until(lambda number=number: objects(page).get(number))
    click(page, desk, CAR, button="right")
    page.keyboard.press("1")
    until(lambda: camera_of(desk).objects[2]["part"] == "half")
    expect(page.locator(".stage").first).to_have_attribute("aria-busy", "false")
    page.keyboard.press("Delete")
    until(lambda: set(camera_of(desk).objects) == {2})


def test_a_paused_picture_stands_and_old_ones_can_be_prompted(visit: Visitor, play: Play) -> None:
    desk = PlayedDesk(frames=FRAMES)
    page = visit(play(desk).url).page
    camera = camera_of(desk)
    shown(page)
    until(lambda: len(camera.history) > 40 and page.evaluate("window.desk.mode"))
    page.keyboard.press(" ")
    expect(page.get_by_role("button", name="Go on live").first).to_be_visible()
    stamp = shown(page)["stamp"]
    history = len(camera.samples)
    until(lambda: len(camera.samples) > history + 1)
    assert shown(page)["stamp"] == stamp
    click(page, desk, DUCK)
    until(lambda: asked(desk))
    assert asked(desk)[0]["stamp"] == stamp
    until(lambda: objects(page).get(1))  # on the picture that stands
    page.keyboard.press("Escape")

    page.get_by_label("Time", exact=True).and_(page.locator("input")).fill("3")
    until(lambda: shown(page)["stamp"] < stamp)
    old = shown(page)["stamp"]
    x, y = thing(page, desk, CAR)
    page.mouse.click(*screen(page, x, y))
    until(lambda: len(asked(desk)) == 2)
    assert asked(desk)[1]["stamp"] == old
    page.keyboard.press("End")
    until(lambda: shown(page)["stamp"] > stamp)
    until(lambda: set(objects(page)) == {1, 2})


def steer(page: Page, x: int, y: int) -> None:
    """Brings the keyboard's crosshair near a pixel."""
    page.keyboard.press("ArrowUp")  # it appears in the middle
    for axis, wanted, back, on in (("x", x, "ArrowLeft", "ArrowRight"), ("y", y, "ArrowUp", "ArrowDown")):
        while abs(away := page.evaluate("window.desk.stage.crosshair")[axis] - wanted) > 6:
            page.keyboard.press(f"{'Shift+' if abs(away) > 40 else ''}{back if away > 0 else on}")


def test_everything_by_keyboard(visit: Visitor, play: Play) -> None:
    desk = PlayedDesk(frames=FRAMES)
    page = visit(play(desk).url).page
    shown(page)
    page.keyboard.press("l")
    expect(page.get_by_label("Label for new objects")).to_be_focused()
    page.keyboard.press("Escape")
    page.locator(".stage").first.focus()
    steer(page, *thing(page, desk, DUCK))
    page.keyboard.press("Enter")
    until(lambda: objects(page).get(1))
    page.keyboard.press("l")
    page.keyboard.type("<b>duck</b>")
    page.keyboard.press("Enter")
    row = page.locator(".object .label")
    expect(row).to_have_text("<b>duck</b>")  # as text
    assert page.locator(".object .label b").count() == 0
    assert page.evaluate("document.querySelector('datalist option').value") == "<b>duck</b>"
    page.keyboard.press("h")
    until(lambda: not objects(page))
    page.keyboard.press("h")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("undo the last prompt")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("e")
    page.get_by_role("button", name="Track all").click()
    until(lambda: len(objects(page)) >= 2)


def test_what_is_chosen_and_how_it_looks_survive_a_reload(visit: Visitor, play: Play) -> None:
    desk = PlayedDesk(cameras=2, frames=FRAMES)
    page = visit(play(desk).url).page
    shown(page)
    click(page, desk, DUCK)
    until(lambda: objects(page).get(1, {}).get("chosen"))
    page.keyboard.press("Escape")
    page.keyboard.press("o")
    page.reload()
    until(lambda: objects(page).get(1, {}).get("chosen"))
    assert page.evaluate("window.desk.stage.look.outline")
    expect(page.locator(".timeline-name")).to_have_count(1)

    page.get_by_role("button", name="left").click()
    until(lambda: shown(page)["camera"] == "/sam2/left")
    until(lambda: not objects(page))
    page.reload()
    until(lambda: shown(page)["camera"] == "/sam2/left")
    page.keyboard.press("g")
    expect(page.locator(".tile")).to_have_count(2)
    until(lambda: {"/sam2/front", "/sam2/left"} == set(asked(desk, "watch")[-1]["cameras"]))
    page.locator(".tile").first.click()
    until(lambda: shown(page)["camera"] == "/sam2/front" and objects(page).get(1))


def test_the_page_finds_a_server_again(visit: Visitor, play: Play) -> None:
    first = play(PlayedDesk(frames=FRAMES))
    visited = visit(first.url)
    visited.expect("WebSocket|ERR_CONNECTION")
    page = visited.page
    shown(page)
    first.stop()
    expect(page.get_by_role("alert").filter(has_text="connection")).to_be_visible()
    assert not page.evaluate("window.desk.connected")
    page.get_by_role("button", name="Try now").click()
    again = PlayedDesk(frames=FRAMES)
    play(again, port=first.port)
    until(lambda: page.evaluate("window.desk.connected"))
    stamp = shown(page)["stamp"]
    until(lambda: shown(page)["stamp"] > stamp)
    expect(page.get_by_role("alert").filter(has_text="is lost")).to_have_count(0)
    click(page, again, DUCK)
    until(lambda: objects(page).get(1))


def test_without_a_camera_it_says_what_to_do(visit: Visitor, play: Play) -> None:
    page = visit(play(PlayedDesk(cameras=0, frames=2)).url).page
    expect(page.get_by_role("heading", name="No camera yet")).to_be_visible()
    expect(page.get_by_text("make desk")).to_be_visible()


def test_fingers_tap_and_press_long(visit: Visitor, play: Play) -> None:
    desk = PlayedDesk(frames=FRAMES)
    page = visit(play(desk).url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True).page
    shown(page)
    page.touchscreen.tap(*screen(page, *thing(page, desk, DUCK)))
    until(lambda: objects(page).get(1, {}).get("chosen"))
    x, y = screen(page, *thing(page, desk, DUCK))
    session = page.context.new_cdp_session(page)
    session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    until(lambda: len(asked(desk)) == 2)
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert not asked(desk)[1]["prompt"]["clicks"][0]["positive"]
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390  # nothing sticks out


def test_every_control_has_a_name(visit: Visitor, play: Play) -> None:
    desk = PlayedDesk(frames=FRAMES)
    page = visit(play(desk).url).page
    shown(page)
    click(page, desk, DUCK)
    until(lambda: objects(page).get(1))
    page.locator(".candidate").first.wait_for()
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, [tabindex]")]
            .filter((each) => each.checkVisibility())
            .filter((each) => !(each.getAttribute("aria-label") || each.textContent.trim() || each.labels?.length))
            .map((each) => each.outerHTML)"""
    )
    assert nameless == []


def test_drawing_takes_little_of_the_pages_time(visit: Visitor, play: Play) -> None:
    desk = PlayedDesk(frames=FRAMES)
    page = visit(play(desk).url).page
    shown(page)
    page.keyboard.press("e")
    page.get_by_role("button", name="Track all").click()
    until(lambda: len(objects(page)) >= 3)
    times = []
    for _ in range(20):
        stamp = shown(page)["stamp"]
        until(lambda stamp=stamp: shown(page)["stamp"] != stamp)
        times.append(shown(page)["draw_ms"])
    assert np.median(times) < 15, times  # a few ms; other processes share the cores
