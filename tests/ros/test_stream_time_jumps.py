"""Wrong stamps, backward clock steps and looped bags: which objects are kept, and which are forgotten."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from geometry_msgs.msg import Point
from rclpy.parameter import Parameter
from robot import BOX, CLICK, TIMEOUT, Graph, Robot, picture
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from sam2_ros import msg, srv
from sam2_ros.ros import clock_watch
from sam2_ros.ros.images import to_message
from sam2_ros.ros.node import Sam2Node
from sam2_ros.ros.stamps import nanoseconds, time_message
from sam2_ros.ros.waiting_prompt import Proposal
from sam2_ros.tracking import rle
from sam2_ros.tracking.prompt import Box, Prompt
from sam2_ros.tracking.tracker import Tracker

MS = 1_000_000  # ns
START = 1_700_000_000_000  # ms
PERIOD = 33
NUMBER = 8


def camera(start: int = START, number: int = NUMBER, period: int = PERIOD) -> list[int]:
    return [start + index * period for index in range(number)]


def at(milliseconds: int) -> Header:
    return Header(stamp=time_message(milliseconds * MS), frame_id="camera")


def image(milliseconds: int) -> Image:
    return to_message(picture(milliseconds // PERIOD % 20), "rgb8", at(milliseconds))


def play(robot: Robot, node: Sam2Node, stamps: Iterable[int]) -> None:
    """Sends images and waits until each was processed, skipped or held back."""
    meter = node.cameras[0].stream._meter
    for stamp in stamps:
        count = meter["received"]
        robot.camera.publish(image(stamp))
        robot.wait_for(lambda: meter["received"] > count, "for the image")  # noqa: B023
        robot.wait_for(lambda: not node.cameras[0].stream._has_images, "for it to be taken")
    node.cameras[0].stream.call(lambda tracker: None).result(TIMEOUT)


def three_objects(robot: Robot, node: Sam2Node, stamps: Iterable[int]) -> None:
    play(robot, node, stamps)
    assert all(result.accepted for result in robot.prompt(CLICK, BOX, CLICK))


def tracked(robot: Robot) -> list[int]:
    return [masklet.object_id for masklet in robot.call(srv.ListObjects, "sam2/list").objects]


CLICK_POINT = Point(x=40.0, y=36.0)
BEFORE = camera()
NEWEST = BEFORE[-1]
AFTER = camera(NEWEST + PERIOD)


@pytest.mark.parametrize("odd", [NEWEST - 250, 0.000001, NEWEST - 1_000_000], ids=["0.25 s late", "1 ns", "long ago"])
def test_single_odd_stamp_keeps_objects(robot: Robot, sam2: Sam2Node, odd: float) -> None:
    three_objects(robot, sam2, BEFORE)
    stray = image(NEWEST)
    stray.header.stamp = time_message(round(odd * MS))
    robot.camera.publish(stray)
    robot.wait_for(lambda: sam2.cameras[0].stream._gate.held, "for it to be held back")
    assert tracked(robot) == [1, 2, 3]
    play(robot, sam2, AFTER)
    assert tracked(robot) == [1, 2, 3] and sam2.cameras[0].stream._meter["stray"] == 1
    assert [nanoseconds(array.header.stamp) // MS for array in robot.masklets] == [*BEFORE, *AFTER]


def test_backward_clock_step_of_a_second_keeps_objects(robot: Robot, sam2: Sam2Node) -> None:
    before, after = camera(number=40), camera(START + 40 * PERIOD - 1000)
    three_objects(robot, sam2, before)
    play(robot, sam2, after)
    assert tracked(robot) == [1, 2, 3]
    assert (sam2.cameras[0].stream._meter["time jumps"], sam2.cameras[0].stream._meter["stray"]) == (1, 0)
    assert [len(array.masklets) for array in robot.masklets[-len(after) :]] == [3] * len(after)
    history = robot.call(srv.ListObjects, "sam2/list").history
    assert [nanoseconds(stamp) for stamp in history] == sorted({nanoseconds(stamp) for stamp in history})
    # Prompts refer to images before and after the step by their header stamps.
    for stamp in (before[-1], after[0], after[-1]):
        (late,) = robot.prompt(msg.Prompt(object_id=2, clicks=CLICK.clicks), header=at(stamp))
        assert late.accepted and late.header == at(stamp)


@pytest.mark.parametrize(("chosen", "left"), [("forget", []), ("keep", [1, 2, 3])])
def test_time_jump_parameter_keeps_or_forgets_objects(
    graph: Graph, robot: Robot, checkpoint: Path, chosen: str, left: list[int]
) -> None:
    node = graph.sam2(checkpoint=str(checkpoint), time_jump=chosen)
    robot.wait_until_connected()
    three_objects(robot, node, BEFORE)
    play(robot, node, camera(START - 3_600_000))
    assert tracked(robot) == left
    (answer,) = robot.prompt(CLICK)
    assert answer.object_id == len(left) + 1


def same(first: list[msg.Masklet], second: list[msg.Masklet]) -> bool:
    """Whether masklets are equal except for rounding.

    Objects that are tracked in one batch or in several, depending on when a prompt arrives, are rounded differently.
    """
    for a, b in zip(first, second, strict=True):
        mask_a, mask_b = (rle.decode(m.mask.counts, m.mask.height, m.mask.width) for m in (a, b))
        overlap = np.count_nonzero(mask_a & mask_b) / max(np.count_nonzero(mask_a | mask_b), 1)
        if a.object_id != b.object_id or a.present != b.present or abs(a.iou - b.iou) > 1e-4 or overlap < 0.995:
            return False
    return True


def test_looped_bag_gives_the_same_masklets_every_time(graph: Graph, robot: Robot, checkpoint: Path) -> None:
    """All images are processed, and prompts apply to images of the same round."""
    node = graph.sam2(checkpoint=str(checkpoint), keep_all=True, threads=1)
    robot.wait_until_connected()
    bag = camera(number=20)
    rounds = []
    for _ in range(3):
        count = len(robot.masklets)
        play(robot, node, bag[:2])
        robot.prompts.publish(msg.PromptArray(header=at(bag[1]), prompts=[CLICK, BOX]))
        answered = len(robot.results) + 2
        play(robot, node, bag[2:])
        robot.wait_for(lambda: len(robot.results) == answered, "for the prompts")  # noqa: B023
        robot.wait_for(lambda: len(robot.masklets) == count + len(bag), "for the masklets")  # noqa: B023
        rounds.append(robot.masklets[count:])
    assert [[m.object_id for m in array.masklets] for array in rounds[1]][-1] == [1, 2]
    assert [a.header for a in rounds[0]] == [a.header for a in rounds[1]] == [a.header for a in rounds[2]]
    for index in range(4, len(bag)):
        first, *others = (arrays[index].masklets for arrays in rounds)
        assert all(same(first, other) for other in others), f"image {index}"
    assert node.cameras[0].stream._meter["time jumps"] == 2 and node.cameras[0].stream._meter["stray"] == 0
    assert all(result.accepted and result.header == at(bag[1]) for result in robot.results)


def test_several_stamps_from_the_future_are_corrected(robot: Robot, sam2: Sam2Node) -> None:
    three_objects(robot, sam2, BEFORE)
    future = camera(NEWEST + 3_600_000, 3)
    play(robot, sam2, [*future, *AFTER])
    assert tracked(robot) == [1, 2, 3]
    assert [nanoseconds(array.header.stamp) // MS for array in robot.masklets] == [*BEFORE, *future, *AFTER]
    (answer,) = robot.prompt(CLICK, header=at(future[1]))
    assert answer.accepted and answer.header == at(future[1])
    assert sam2.cameras[0].stream._meter["wrong stamps"] == 1


def test_waiting_prompt_survives_a_backward_clock_step(robot: Robot, sam2: Sam2Node) -> None:
    three_objects(robot, sam2, BEFORE)
    robot.prompts.publish(msg.PromptArray(header=at(NEWEST + PERIOD), prompts=[CLICK]))
    robot.wait_for(lambda: len(sam2.cameras[0].stream._prompts) == 1, "for the prompt")
    play(robot, sam2, camera(NEWEST + PERIOD - 1000, 3))
    (answer,) = robot.next_results(3)
    assert answer.accepted and answer.object_id == 4


def test_click_while_a_stray_is_held_is_for_the_newest_image(robot: Robot, sam2: Sam2Node) -> None:
    three_objects(robot, sam2, BEFORE)
    robot.camera.publish(image(5))
    robot.wait_for(lambda: sam2.cameras[0].stream._gate.held, "for it to be held back")
    robot.mouse.publish(CLICK_POINT)
    (answer,) = robot.next_results(3)
    assert answer.accepted and answer.header == at(NEWEST)


def test_reset_accepts_any_stamp(robot: Robot, sam2: Sam2Node) -> None:
    three_objects(robot, sam2, BEFORE)
    robot.camera.publish(image(5))
    robot.wait_for(lambda: sam2.cameras[0].stream._gate.held, "for it to be held back")
    assert sam2.cameras[0].stream.reset().result(TIMEOUT) == 3
    robot.wait_for(lambda: robot.masklets[-1].header == at(5), "for the image that was held back")
    assert tracked(robot) == []


def test_slow_tracker_uses_one_of_two_sources_on_a_topic(
    robot: Robot, sam2: Sam2Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest waiting image is always that of the bag."""
    three_objects(robot, sam2, BEFORE)
    go = threading.Semaphore(0)
    encode = Tracker.encode
    monkeypatch.setattr(Tracker, "encode", lambda *arguments: go.acquire(timeout=TIMEOUT) and encode(*arguments))
    meter, bag = sam2.cameras[0].stream._meter, iter(camera(5_000, 100))
    for live in camera(NEWEST + PERIOD, 12):
        for stamp in (live, next(bag)):
            count = meter["received"]
            robot.camera.publish(image(stamp))
            robot.wait_for(lambda: meter["received"] > count, "for the image")  # noqa: B023
        go.release()
    for _ in range(30):
        go.release()
    robot.wait_for(lambda: not sam2.cameras[0].stream._has_images, "for the last")
    assert tracked(robot) == [1, 2, 3] and meter["time jumps"] == 0


def test_wrong_stamp_does_not_expire_detections(robot: Robot, sam2: Sam2Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """One stamp an hour ahead is no absence of an hour."""
    play(robot, sam2, BEFORE)
    proposal = Proposal(max_overlap=1.0, forget_after=30.0)
    sam2.cameras[0].stream.put_prompt(at(NEWEST), Prompt(box=Box(16, 24, 26, 24)), TIMEOUT, proposal).result(TIMEOUT)
    masklets = Tracker._masklets
    hidden = lambda *arguments: [replace(masklet, present=False) for masklet in masklets(*arguments)]  # noqa: E731
    monkeypatch.setattr(Tracker, "_masklets", hidden)
    play(robot, sam2, [*AFTER[:3], NEWEST + 3_600_000, *AFTER[3:]])
    assert tracked(robot) == [1]


def unstamped() -> Image:
    return to_message(picture(0), "rgb8", Header())


@pytest.mark.parametrize("negative", [False, True])
def test_unstamped_images_are_processed_without_clock_messages(
    graph: Graph, robot: Robot, checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capfd, negative: bool
) -> None:
    monkeypatch.setattr(clock_watch, "CLOCK_TIMEOUT", 0.1)
    node = graph.sam2(checkpoint=str(checkpoint), use_sim_time=True)
    robot.wait_until_connected()
    frame = unstamped()
    frame.header.stamp.sec = -5 if negative else 0
    for number in range(NUMBER):
        robot.send(frame)
        assert node.cameras[0].stream._meter["processed"] >= number
    assert len(robot.masklets) == NUMBER and node.cameras[0].stream._meter["repeated"] == 0
    log = robot.wait_for_line("/clock")
    assert "use_sim_time" in log


def test_irregular_sim_time_keeps_objects_of_unstamped_images(graph: Graph, robot: Robot, checkpoint: Path) -> None:
    node = graph.sam2(checkpoint=str(checkpoint), use_sim_time=True)
    clock = robot.create_publisher(Clock, "/clock", 10)
    robot.wait_until_connected()
    robot.send(unstamped())
    robot.prompt(CLICK)
    robot.wait_for(clock.get_subscription_count, "for the node")
    for seconds in (100, 101, 101, 3, 4, 200):
        clock.publish(Clock(clock=time_message(seconds * 1000 * MS)))
        robot.wait_for(lambda: node.get_clock().now().nanoseconds == seconds * 1000 * MS, "for the time")  # noqa: B023
        assert [masklet.object_id for masklet in robot.send(unstamped()).masklets] == [1]
    assert node.cameras[0].stream._meter["time jumps"] == node.cameras[0].stream._meter["wrong stamps"] == 0


def test_other_values_of_time_jump_are_refused(graph: Graph) -> None:
    with pytest.raises(ValueError, match="forget, keep"):
        Sam2Node(context=graph.context, parameter_overrides=[Parameter("time_jump", value="remember")])
