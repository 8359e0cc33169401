"""An operator at a robot: the desk's page in Chromium, the sam2 node and a camera over DDS, all real."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest
from browser import Visit
from desk_operator import Operator
from desk_robot import FRAMES, DeskRobot, pixels
from desk_visitor import Fingers, Keyboard, iou
from shown_masks import overlap
from std_srvs.srv import Trigger

from sam2_ros import msg, srv
from sam2_ros.ros.stamps import nanoseconds
from sam2_ros.scenes.demo_scene import CAR, DUCK, TWIN

SECOND = 10**9  # ns
MARKUP = "<img src=x onerror=alert(1)> & <b>duck</b>"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def robot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeskRobot]:
    with DeskRobot(tmp_path_factory.mktemp("robot")) as robot:
        yield robot


def different(candidates: list[np.ndarray]) -> list[np.ndarray]:
    """The candidates that the page offers: those that an eye can tell from better ones."""
    offered: list[np.ndarray] = []
    for candidate in candidates:
        if all(iou(candidate, other) < 0.9 for other in offered):
            offered.append(candidate)
    return offered


def reset(robot: DeskRobot) -> None:
    robot.call(Trigger, "/sam2/reset")
    robot.wait_for(lambda: not robot.objects(), "for nothing to be tracked")


def remove(operator: Operator, object_id: int) -> None:
    operator.row(object_id).click()
    operator.row(object_id).get_by_role("button", name="Remove").click()
    operator.robot.wait_for(lambda: object_id not in operator.robot.objects(), "for the object to be removed")
    operator.row(object_id).wait_for(state="detached")


@pytest.fixture
def operator(robot: DeskRobot, visit: Callable[..., Visit]) -> Operator:
    """At a desk where nothing is tracked yet."""
    reset(robot)
    operator = Operator(visit(robot.address), robot)
    operator.wait_for("desk.stage.frame.masks.length === 0")  # the first picture may be one of before
    return operator


def test_mask_of_a_clicked_car_follows_it(operator: Operator) -> None:
    robot = operator.robot
    car = operator.new_object(lambda: operator.click(*operator.place(CAR)))
    drawn = operator.masks([car]).record(100)
    ious = [overlap(samples, robot.masks(stamp))[car] for stamp, samples in drawn.items()]
    assert min(ious) > 0.9 and np.median(ious) > 0.95
    right = [iou(robot.masks(stamp)[car], robot.truth(stamp, CAR)) for stamp in drawn]
    assert np.median(right) > 0.4  # of the small default model, with one click


def test_refine_with_no_box_second_candidate_and_remove(operator: Operator) -> None:
    robot, page = operator.robot, operator.page
    operator.pause_at(range(28, 35))  # here the model takes a part of the other car, too
    car = operator.new_object(lambda: operator.click(*operator.place(CAR)))
    answered = len(robot.results)
    operator.click(*operator.place(TWIN), button="right")
    refined, stamp = robot.result(answered), operator.stamp
    assert refined.accepted and refined.object_id == car and nanoseconds(refined.header.stamp) == stamp
    first, second = (pixels(result.masklet.mask) for result in robot.results[answered - 1 : answered + 1])
    twin, true_car = (robot.truth(stamp, thing) for thing in (TWIN, CAR))
    assert np.count_nonzero(second & twin) < 0.6 * np.count_nonzero(first & twin)
    assert iou(second, true_car) > 0.6
    page.locator(".transport").get_by_role("button", name="Live", exact=True).click()

    duck = operator.new_object(lambda: operator.box(robot.truth(operator.stamp, DUCK)))
    stamp = max(robot.masklets)
    assert iou(robot.masks(stamp)[duck], robot.truth(stamp, DUCK)) > 0.5

    remove(operator, car)  # which takes its twin along where they touch, and a click there would be a click on it
    assert {duck} == set(robot.objects())
    operator.wait_for_masks({duck})
    page.keyboard.press("Escape")  # nothing is chosen, so that a click is a new thing
    answered = len(robot.results)
    place = operator.place(TWIN)
    other = operator.new_object(lambda: operator.click(*place))
    prompted = robot.result(answered)
    second = page.locator(".candidate[data-candidate='1']")
    second.wait_for()
    offered = different(robot.candidates(nanoseconds(prompted.header.stamp), *place))
    second.click()
    taken = robot.result(answered + 1)
    assert taken.accepted and taken.object_id == other and taken.header.stamp == prompted.header.stamp
    assert iou(pixels(taken.masklet.mask), offered[1]) > 0.9 > iou(offered[0], offered[1])

    remove(operator, other)
    assert {duck} == set(robot.objects())
    operator.wait_for_masks({duck})


def test_old_frame_can_be_clicked_and_a_reloaded_page_knows_all(operator: Operator) -> None:
    robot, page = operator.robot, operator.page
    car = operator.new_object(lambda: operator.click(*operator.place(CAR)))
    operator.wait_for("Number(document.querySelector('.scrubber').max) >= 10")  # so many images can be gone back to
    page.get_by_role("button", name="Pause", exact=True).click()
    paused = operator.stamp
    robot.wait_for(lambda: max(robot.masklets) > paused + SECOND, "for the robot to go on")
    assert operator.stamp == paused

    scrubber = page.get_by_role("slider", name="Time", exact=True)
    scrubber.focus()
    place = int(scrubber.input_value())
    for _ in range(5):
        scrubber.press("ArrowLeft")
    assert int(scrubber.input_value()) == place - 5  # however quickly they come
    operator.wait_for(f"desk.shown.stamp < '{paused}' && Number(document.activeElement.value) === {place - 5}")
    page.wait_for_timeout(500)  # until the last of the five is there
    old = operator.stamp
    answered = len(robot.results)
    duck = operator.new_object(lambda: operator.box(robot.truth(old, DUCK)))
    result = robot.result(answered)
    assert result.accepted and nanoseconds(result.header.stamp) == old and operator.stamp == old
    operator.wait_for_mask(duck)
    masks = {car: robot.masks(old)[car], duck: pixels(result.masklet.mask)}
    assert overlap(operator.masks([duck]).now(), masks)[duck] > 0.9  # on the old frame
    stamp = max(robot.masklets)
    assert stamp > old + SECOND and iou(robot.masks(stamp)[duck], robot.truth(stamp, DUCK)) > 0.5  # and carried to now

    page.reload()
    operator.wait_until_shown()
    for object_id in (car, duck):
        operator.row(object_id).wait_for()
    operator.wait_for_masks({car, duck})
    drawn = operator.masks([car, duck]).record(5)
    for stamp, samples in drawn.items():
        assert min(overlap(samples, robot.masks(stamp)).values()) > 0.9
    assert page.locator(".timeline-names").get_by_text(str(duck), exact=True).is_visible()


def test_keyboard_alone_is_enough(operator: Operator) -> None:
    robot, page, keys = operator.robot, operator.page, Keyboard(operator)
    page.get_by_role("application").focus()
    operator.pause_at(range(FRAMES))
    keys.press("ArrowRight")  # shows the crosshair
    keys.move(*operator.place(CAR))
    car = operator.new_object(lambda: keys.press("Enter"))
    answered = len(robot.results)
    page.locator(".candidates").wait_for()
    keys.press("c", "ArrowRight", "Enter")  # another candidate
    assert robot.result(answered).object_id == car
    keys.press("l")
    page.keyboard.type("red car")
    keys.press("Enter")
    robot.wait_for(lambda: robot.objects()[car].label == "red car", "for the label")
    operator.row(car).get_by_text("red car").wait_for()

    keys.press("a", "b", "ArrowRight")  # a new object, by a box
    x, y, width, height = cv2.boundingRect(robot.truth(operator.stamp, DUCK).astype(np.uint8))
    keys.move(x, y)
    keys.press("Enter")
    keys.move(x + width, y + height)
    duck = operator.new_object(lambda: keys.press("Enter"))
    result = robot.results[-1]
    assert iou(pixels(result.masklet.mask), robot.truth(nanoseconds(result.header.stamp), DUCK)) > 0.5

    answered = len(robot.results)
    keys.press("p", "n", "ArrowLeft")
    keys.move(x + width // 2, y + height // 2)
    keys.press("Enter")  # the duck's middle is no duck
    assert robot.result(answered).object_id == duck
    keys.press("Escape", str(car), "Delete")
    robot.wait_for(lambda: set(robot.objects()) == {duck}, "for the car to be removed")
    paused = operator.stamp
    keys.press("Space")
    operator.wait_for(f"desk.shown.stamp > '{paused}'")
    operator.wait_for_masks({duck})


def test_fingers_are_enough(robot: DeskRobot, visit: Callable[..., Visit]) -> None:
    reset(robot)
    operator = Operator(visit(robot.address, viewport={"width": 1024, "height": 768}, has_touch=True), robot)
    operator.wait_for("desk.stage.frame.masks.length === 0")
    fingers, page = Fingers(operator), operator.page
    page.get_by_role("button", name="Pause", exact=True).tap()
    operator.wait_for("document.body.classList.contains('is-frozen')")
    car = operator.new_object(lambda: fingers.tap(*operator.place(CAR)))
    answered = len(robot.results)
    fingers.hold(*operator.place(TWIN))
    result = robot.result(answered)
    assert result.accepted and result.object_id == car
    x, y, width, height = cv2.boundingRect(robot.truth(operator.stamp, DUCK).astype(np.uint8))
    duck = operator.new_object(lambda: fingers.drag((x, y), (x + width / 2, y + height / 2), (x + width, y + height)))
    result = robot.results[-1]
    assert iou(pixels(result.masklet.mask), robot.truth(operator.stamp, DUCK)) > 0.5
    scale = page.evaluate("desk.stage.scale")
    fingers.spread(320, 240, 40, 120)
    assert page.evaluate("desk.stage.scale") > 2 * scale
    operator.row(duck).get_by_role("button", name="Remove").tap()
    robot.wait_for(lambda: set(robot.objects()) == {car}, "for the duck to be removed")


def test_label_with_markup_is_text(operator: Operator) -> None:
    robot, page = operator.robot, operator.page
    page.get_by_label("Label for new objects").fill(MARKUP)
    duck = operator.new_object(lambda: operator.box(robot.truth(operator.stamp, DUCK)))
    operator.row(duck).get_by_text(MARKUP, exact=True).wait_for()
    other = "<script>alert(2)</script>"  # from somebody else in the graph
    header = msg.PromptResult().header
    prompt = msg.Prompt(label=other, clicks=[msg.Click(x=40.0, y=40.0, positive=True)])
    answer = robot.call(srv.PromptObject, "/sam2/prompt", header=header, prompt=prompt)
    operator.row(answer.result.object_id).get_by_text(other, exact=True).wait_for()
    assert page.locator("#panel img, #panel script, #bottom img, #bottom script").count() == 0


def test_page_comes_back_when_the_desk_does(operator: Operator) -> None:
    robot, page = operator.robot, operator.page
    duck = operator.new_object(lambda: operator.box(robot.truth(operator.stamp, DUCK)))
    operator.visited.expect("ERR_CONNECTION_REFUSED|WebSocket|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE")
    port = int(robot.address.rstrip("/").rsplit(":", 1)[1])
    robot.graph.processes["desk"].kill()
    robot.graph.processes["desk"].wait()
    operator.wait_for("!desk.connected")
    page.get_by_text("The connection to the desk is lost").wait_for()
    robot.start_desk(port)
    operator.wait_for("desk.connected")
    shown = operator.stamp
    operator.wait_for(f"desk.shown.stamp > '{shown}'")
    operator.row(duck).wait_for()
    operator.wait_for_masks({duck})
