"""Floods of prompts: each is answered, and no source blocks another."""

from __future__ import annotations

import threading
from pathlib import Path

import node_log
import pytest
from geometry_msgs.msg import Point, PointStamped
from rclpy.qos import QoSProfile
from robot import BOX, CLICK, SIZE, TIMEOUT, Graph, Robot, header_of, picture
from sensor_msgs.msg import Image, RegionOfInterest
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from sam2_ros import msg, srv
from sam2_ros.ros.images import to_message
from sam2_ros.ros.node import Sam2Node
from sam2_ros.ros.prompt_inbox import MAX_WAITING_CALLS
from sam2_ros.ros.stamps import time_message
from sam2_ros.ros.waiting_prompt import MAX_WAITING
from sam2_ros.tracking.tracker import Tracker

MANY = 300
ABSURD = Header(stamp=time_message((2**31 - 1) * 1_000_000_000))
NEGATIVE = Header(stamp=time_message(-5_000_000_000))
DEEP = QoSProfile(depth=MANY)


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Keeps the network busy until the returned event is set."""
    free = threading.Event()
    prompt = Tracker.prompt
    monkeypatch.setattr(Tracker, "prompt", lambda *arguments: free.wait(TIMEOUT) and prompt(*arguments))
    yield free
    free.set()


@pytest.mark.parametrize("topic", ["click", "image_mouse_left", "overlay_mouse_left", "prompts"])
def test_each_of_many_simultaneous_prompts_is_answered(robot: Robot, sam2: Sam2Node, topic: str) -> None:
    kind, message = {
        "click": (PointStamped, PointStamped(point=Point(x=40.0, y=36.0))),
        "prompts": (msg.PromptArray, msg.PromptArray(prompts=[CLICK])),
    }.get(topic, (Point, Point(x=40.0, y=36.0)))
    publisher = robot.create_publisher(kind, topic if topic.startswith("image") else f"sam2/{topic}", DEEP)
    robot.wait_for(publisher.get_subscription_count, "for the node")
    robot.show(0)
    for _ in range(MANY):
        publisher.publish(message)
    robot.wait_for(lambda: len(robot.results) == MANY, "for the answers")
    assert sum(result.accepted for result in robot.results) == 16
    assert {result.message for result in robot.results if not result.accepted} == {
        "the limit of tracked objects (16) is reached; remove one first"
    }


REFUSED_AT_ONCE = {
    "empty": (msg.PromptArray(prompts=[msg.Prompt()]), "empty"),
    "absurd stamp": (msg.PromptArray(header=ABSURD, prompts=[CLICK]), "ahead of the newest"),
    "negative stamp": (msg.PromptArray(header=NEGATIVE, prompts=[CLICK]), "0: the newest"),
    "too old": (msg.PromptArray(header=header_of(-9), prompts=[CLICK]), "history"),
    "outside": (msg.PromptArray(prompts=[msg.Prompt(clicks=[msg.Click(x=float(SIZE[1]), y=5.0)])]), "outside"),
    "not finite": (
        msg.PromptArray(header=header_of(3), prompts=[msg.Prompt(clicks=[msg.Click(x=float("nan"))])]),
        "finite",
    ),
    "long label": (msg.PromptArray(header=header_of(3), prompts=[msg.Prompt(label="x" * 999, box=BOX.box)]), "label"),
    "only negative": (msg.PromptArray(prompts=[msg.Prompt(clicks=[msg.Click(x=5.0, y=5.0)])]), "negative"),
    "mask": (msg.PromptArray(prompts=[msg.Prompt(mask=Image(height=4, width=4, encoding="rgb8"))]), "mask"),
    "mask of another size": (
        msg.PromptArray(prompts=[msg.Prompt(mask=to_message(picture(0)[:-1, :, 0], "mono8", Header()))]),
        "same size",
    ),
    "flat box": (msg.PromptArray(prompts=[msg.Prompt(box=RegionOfInterest(width=5))]), "no size"),
}
REFUSED_AT_ONCE["only negative"][0].prompts[0].clicks[0].positive = False


def test_invalid_prompts_are_refused_while_the_network_is_busy(
    robot: Robot, sam2: Sam2Node, busy: threading.Event
) -> None:
    robot.show(0)
    robot.prompts.publish(msg.PromptArray(prompts=[CLICK]))
    robot.wait_for(lambda: sam2.cameras[0].stream._prompts._applying, "for the first prompt")
    for name, (message, reason) in REFUSED_AT_ONCE.items():
        count = len(robot.results)
        robot.prompts.publish(message)
        (result,) = robot.next_results(count)
        assert not result.accepted and reason in result.message, (name, result.message)
        by_service = robot.call(srv.PromptObject, "sam2/prompt", header=message.header, prompt=message.prompts[0])
        assert by_service.result.message == result.message
    assert not busy.is_set()


def test_prompts_of_one_message_are_answered_in_order(robot: Robot, sam2: Sam2Node, busy: threading.Event) -> None:
    robot.show(0)
    robot.prompts.publish(msg.PromptArray(prompts=[CLICK, msg.Prompt(object_id=7), *[msg.Prompt()] * 900, BOX]))
    robot.wait_for(lambda: len(sam2.cameras[0].stream._prompts) == 1, "for the prompts")
    busy.set()
    robot.wait_for(lambda: [result for result in robot.results if result.object_id == 2], "for the last")
    assert [result.object_id for result in robot.results] == [1, 7, *[0] * 900, 2]


def test_impossible_stamps_do_not_block_other_prompts(robot: Robot, sam2: Sam2Node) -> None:
    robot.show(0)
    robot.prompts.publish(msg.PromptArray(header=ABSURD, prompts=[CLICK] * (MAX_WAITING + 6)))
    robot.prompts.publish(msg.PromptArray(prompts=[BOX]))
    robot.next_results(0, MAX_WAITING + 7)
    assert [result.accepted for result in robot.results] == [False] * (MAX_WAITING + 6) + [True]
    assert all("ahead of the newest" in result.message for result in robot.results[:-1])


def test_impossible_stamps_before_the_first_image_do_not_block_other_prompts(robot: Robot, sam2: Sam2Node) -> None:
    robot.prompts.publish(msg.PromptArray(header=ABSURD, prompts=[CLICK] * MAX_WAITING))
    robot.wait_for(lambda: len(sam2.cameras[0].stream._prompts) == MAX_WAITING, "for the prompts")
    robot.prompts.publish(msg.PromptArray(header=header_of(0), prompts=[BOX]))
    robot.prompts.publish(msg.PromptArray(prompts=[BOX]))
    robot.wait_for(lambda: len(robot.results) == 2, "for the evicted prompts")
    assert [masklet.object_id for masklet in robot.show(0).masklets] == [1, 2]
    robot.wait_for(lambda: not len(sam2.cameras[0].stream._prompts), "for all to be refused")


def test_prompts_for_future_images_leave_room_in_the_queue(robot: Robot, sam2: Sam2Node) -> None:
    robot.show(0)
    robot.prompts.publish(msg.PromptArray(header=header_of(40), prompts=[CLICK] * MAX_WAITING))
    robot.wait_for(lambda: len(sam2.cameras[0].stream._prompts) == MAX_WAITING, "for the prompts")
    assert robot.prompt(BOX)[0].accepted, "its image has arrived"
    assert robot.call(srv.PromptObject, "sam2/prompt", prompt=CLICK).result.accepted
    robot.mouse.publish(Point(x=40.0, y=36.0))
    robot.wait_for(lambda: len(robot.results) == 3, "for the click")
    robot.prompts.publish(msg.PromptArray(header=header_of(1), prompts=[CLICK]))
    robot.wait_for(lambda: len(robot.results) == 4, "for the farthest to give way")
    assert not robot.results[-1].accepted and robot.results[-1].header == header_of(40)
    assert [masklet.object_id for masklet in robot.show(1).masklets] == [1, 2, 3, 4]


def test_waiting_service_calls_leave_room_for_others(robot: Robot, sam2: Sam2Node) -> None:
    robot.show(0)
    client = robot.create_client(srv.PromptObject, "sam2/prompt")
    assert client.wait_for_service(TIMEOUT)
    ask = srv.PromptObject.Request(header=header_of(40), prompt=CLICK)
    waiting = [client.call_async(ask) for _ in range(MAX_WAITING_CALLS)]
    robot.wait_for(lambda: len(sam2.cameras[0].stream._prompts) == MAX_WAITING_CALLS, "for the calls")
    assert robot.call(srv.PromptObject, "sam2/prompt", prompt=CLICK).result.accepted
    refused = robot.call(srv.PromptObject, "sam2/prompt", header=header_of(40), prompt=CLICK).result
    assert not refused.accepted and "waiting" in refused.message
    robot.show(40)
    robot.wait_for(lambda: all(answer.done() for answer in waiting), "for the answers")


def test_flood_of_refinements_does_not_starve_other_sources(
    graph: Graph, robot: Robot, checkpoint: Path, busy: threading.Event
) -> None:
    """Each source has a share of the due prompts before the next image."""
    node = graph.sam2(checkpoint=str(checkpoint), encode_ahead=False)
    robot.wait_until_connected()
    robot.show(0)
    busy.set()
    assert robot.prompt(CLICK)[0].accepted
    busy.clear()
    restart = msg.Prompt(object_id=1, clicks=CLICK.clicks, replace=True)
    robot.prompts.publish(msg.PromptArray(prompts=[restart] * (MAX_WAITING // 2)))
    robot.wait_for(lambda: node.cameras[0].stream._prompts._applying, "for the flood")
    robot.mouse.publish(Point(x=40.0, y=36.0))
    robot.wait_for(lambda: len(node.cameras[0].stream._prompts) == MAX_WAITING // 2, "for the click")
    robot.camera.publish(to_message(picture(1), "rgb8", header_of(1)))
    robot.wait_for(lambda: len(node.cameras[0].stream._images) == 1, "for the image")
    busy.set()
    robot.wait_for(lambda: len(robot.masklets) == 2, "for masklets")
    robot.next_results(0, 2 + MAX_WAITING // 2)
    assert all(result.accepted for result in robot.results)


def test_service_calls_run_between_queued_prompts(
    robot: Robot, sam2: Sam2Node, busy: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_by_one = threading.Semaphore(0)
    prompt = Tracker.prompt
    monkeypatch.setattr(
        Tracker, "prompt", lambda *arguments: one_by_one.acquire(timeout=TIMEOUT) and prompt(*arguments)
    )
    busy.set()
    robot.show(0)
    robot.prompts.publish(msg.PromptArray(prompts=[CLICK] * 10))
    robot.wait_for(lambda: len(sam2.cameras[0].stream._prompts) == 9, "for the prompts")
    client = robot.create_client(srv.ListObjects, "sam2/list")
    assert client.wait_for_service(TIMEOUT)
    asked = client.call_async(srv.ListObjects.Request())
    robot.wait_for(lambda: sam2.cameras[0].stream._calls, "for the question")
    one_by_one.release()
    robot.wait_for(asked.done, "for the answer")
    assert [masklet.object_id for masklet in asked.result().objects] == [1]
    reset = robot.create_client(Trigger, "sam2/reset")
    assert reset.wait_for_service(TIMEOUT)
    cleared = reset.call_async(Trigger.Request())
    robot.wait_for(lambda: sam2.cameras[0].stream._calls, "for the reset")
    one_by_one.release(20)
    robot.wait_for(cleared.done, "for the reset")
    assert len(robot.show(1).masklets) == len(robot.next_results(0, 10)) - 2, "the others are for the next image"


def test_long_texts_are_shortened_in_answers_and_log(robot: Robot, sam2: Sam2Node, capfd) -> None:
    robot.show(0)
    endless = "x" * 1_000_000
    mask = Image(height=4, width=4, encoding=endless, data=[0] * 16)
    header = Header(stamp=header_of(0).stamp, frame_id=endless)
    for _ in range(20):
        (result,) = robot.prompt(msg.Prompt(mask=mask), header=header)
        assert not result.accepted and len(result.message) < 1000 and len(result.header.frame_id) < 1000
    robot.camera.publish(Image(header=header_of(1), height=4, width=4, encoding=endless, data=[0] * 16))
    robot.wait_for(lambda: sam2.cameras[0].stream._meter["unreadable"] == 1, "for the image")
    reset = robot.call(Trigger, "sam2/reset")
    assert reset.success
    log = node_log.written()
    assert "Prompt refused" in log and "Image skipped" in log
    assert len(log) < 5000


def test_flood_of_refusals_is_throttled_in_the_log(robot: Robot, sam2: Sam2Node, capfd) -> None:
    robot.show(0)
    robot.prompts.publish(msg.PromptArray(prompts=[msg.Prompt()] * MANY))
    robot.wait_for(lambda: len(robot.results) == MANY, "for the answers")
    assert node_log.written().count("Prompt refused") <= 3
