"""Images and prompts in, masklets and answers out."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from geometry_msgs.msg import Point, PointStamped
from rclpy.parameter import Parameter
from robot import BOX, CLICK, PERIOD, SIZE, TIMEOUT, Graph, Robot, header_of, picture, stamp_of
from sensor_msgs.msg import Image, RegionOfInterest
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from sam2_ros import msg, srv
from sam2_ros.ros.images import to_message
from sam2_ros.ros.node import Sam2Node
from sam2_ros.ros.outputs.outputs import Outputs
from sam2_ros.ros.prompt_inbox import MAX_WAITING_CALLS
from sam2_ros.ros.stamps import time_message
from sam2_ros.ros.timeline import MAX_STRAYS, MIN_RUN
from sam2_ros.ros.waiting_prompt import MAX_WAITING, Proposal
from sam2_ros.tracking import rle
from sam2_ros.tracking.masklet import BOX_MIN_PART, Masklet
from sam2_ros.tracking.prompt import Box, Prompt
from sam2_ros.tracking.tracker import Tracker

HEIGHT, WIDTH = SIZE


def mask_prompt(index: int) -> msg.Prompt:
    mask = (picture(index)[..., 0] > 200).astype(np.uint8) * 255
    return msg.Prompt(mask=to_message(mask, "mono8", Header()))


def pixels_of(masklet: msg.Masklet) -> np.ndarray:
    return rle.decode(np.array(masklet.mask.counts), masklet.mask.height, masklet.mask.width)


def ids(message: msg.MaskletArray) -> list[int]:
    return [masklet.object_id for masklet in message.masklets]


def at(nanoseconds: int) -> Header:
    return Header(stamp=time_message(nanoseconds))


def hold_steps(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Makes the tracker's steps wait for the returned event."""
    event = threading.Event()
    step = Tracker.step
    monkeypatch.setattr(Tracker, "step", lambda *arguments: event.wait(TIMEOUT) and step(*arguments))
    return event


def test_every_image_gets_masklets_even_without_objects(robot: Robot, sam2: Sam2Node) -> None:
    for index in range(3):
        assert robot.show(index) == msg.MaskletArray(header=header_of(index), height=HEIGHT, width=WIDTH)


@pytest.mark.parametrize("kind", ["click", "box", "mask"])
def test_prompt_by_topic_starts_an_object(robot: Robot, sam2: Sam2Node, kind: str) -> None:
    robot.show(0)
    prompt = copy.deepcopy({"click": CLICK, "box": BOX, "mask": mask_prompt(0)}[kind])
    prompt.label = "block"
    (result,) = robot.prompt(prompt, header=header_of(0))
    assert (result.accepted, result.message, result.object_id, result.header) == (True, "", 1, header_of(0))
    assert (result.masklet.object_id, result.masklet.label) == (1, "block")
    assert pixels_of(result.masklet).shape == SIZE

    answer = robot.show(1)
    assert answer.header == header_of(1)
    (masklet,) = answer.masklets
    assert (masklet.object_id, masklet.label, masklet.present) == (1, "block", True)
    assert 0.5 < masklet.presence <= 1 and 0 <= masklet.iou <= 1
    box = Masklet(1, "block", True, 1.0, 1.0, pixels_of(masklet), BOX_MIN_PART).box
    assert masklet.box == RegionOfInterest(x_offset=box.x, y_offset=box.y, width=box.width, height=box.height)


def test_label_alone_renames_an_object(robot: Robot, sam2: Sam2Node) -> None:
    applied = robot.listen(msg.PromptArray, "sam2/applied_prompts")
    robot.wait_for(lambda: robot.count_publishers("sam2/applied_prompts"), "for the topic")
    robot.show(0)
    robot.prompt(CLICK, header=header_of(0))
    (before,) = robot.show(1).masklets
    name = msg.Prompt(object_id=1, label="cup")
    (result,) = robot.prompt(name, header=header_of(0))
    assert result.accepted and (result.object_id, result.masklet.label) == (1, "cup")
    robot.wait_for(lambda: len(applied) == 2, "for applied prompts")
    assert applied[1].prompts == [name] and applied[1].header == header_of(0)
    (after,) = robot.show(2).masklets
    assert (before.label, after.label) == ("", "cup")
    (refused,) = robot.prompt(msg.Prompt(object_id=5, label="cup"))
    assert not refused.accepted and refused.message == "no object 5 is tracked; tracked: 1"


def test_prompts_by_service_are_also_answered_on_the_topic(robot: Robot, sam2: Sam2Node) -> None:
    robot.show(0)
    for number, prompt in enumerate((CLICK, BOX, mask_prompt(0)), start=1):
        answer = robot.call(srv.PromptObject, "sam2/prompt", header=header_of(0), prompt=prompt)
        assert answer.result.accepted and answer.result.object_id == number
        assert robot.next_results(number - 1) == [answer.result]
    assert ids(robot.show(1)) == [1, 2, 3]


def test_viewer_clicks_start_objects(robot: Robot, sam2: Sam2Node) -> None:
    robot.show(0)
    robot.show(1)
    robot.clicks.publish(PointStamped(header=header_of(0), point=Point(x=40.0, y=36.0)))
    (stamped,) = robot.next_results(0)
    assert stamped.accepted and stamped.header == header_of(0)
    for count, viewer in enumerate((robot.mouse, robot.overlay_mouse), start=1):
        viewer.publish(Point(x=40.0, y=36.0))
        (newest,) = robot.next_results(count)
        assert newest.accepted and newest.header == header_of(1)
    assert ids(robot.show(2)) == [1, 2, 3]


@pytest.mark.parametrize("stamp", [time.time_ns(), stamp_of(-100)], ids=["wall clock", "long ago"])
def test_viewer_clicks_with_another_clock_mean_the_newest_image(robot: Robot, sam2: Sam2Node, stamp: int) -> None:
    robot.show(0)
    robot.show(1)
    robot.clicks.publish(PointStamped(header=at(stamp), point=Point(x=40.0, y=36.0)))
    (result,) = robot.next_results(0)
    assert result.accepted and result.header == header_of(1)


def test_points_in_space_are_refused(robot: Robot, sam2: Sam2Node) -> None:
    robot.show(0)
    robot.clicks.publish(PointStamped(header=header_of(0), point=Point(x=40.0, y=36.0, z=0.8)))
    (result,) = robot.next_results(0)
    assert not result.accepted and "in space" in result.message


def test_applied_prompts_can_be_replayed(graph: Graph, robot: Robot, checkpoint: Path) -> None:
    """Whatever their source and delay, replaying them with the images gives the same masklets and IDs."""
    graph.sam2(checkpoint=str(checkpoint), keep_all=True)
    robot.wait_until_connected()
    applied = robot.listen(msg.PromptArray, "sam2/applied_prompts")
    robot.wait_until_connected()
    for index in range(3):
        robot.show(index)
    robot.prompt(mask_prompt(1), header=header_of(1))  # late
    robot.prompt(BOX)
    robot.call(srv.PromptObject, "sam2/prompt", header=header_of(2), prompt=msg.Prompt(object_id=7, box=BOX.box))
    robot.mouse.publish(Point(x=40.0, y=36.0))
    robot.next_results(3)
    robot.prompt(msg.Prompt(object_id=2, clicks=[msg.Click(x=5.0, y=5.0, positive=False)]))
    robot.prompt(msg.Prompt())
    expected = [robot.show(index) for index in range(3, 6)]
    robot.wait_for(lambda: len(applied) == 5, "for the applied prompts")
    assert [array.prompts[0].object_id for array in applied] == [1, 2, 7, 8, 2]

    robot.call(Trigger, "sam2/reset")
    for array in list(applied):
        robot.prompts.publish(array)
    assert [robot.show(index) for index in range(6)][3:] == expected


def test_unstamped_prompt_is_for_the_newest_arrived_image(
    graph: Graph, robot: Robot, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = graph.sam2(checkpoint=str(checkpoint), keep_all=True)
    robot.wait_until_connected()
    slow = hold_steps(monkeypatch)
    for index in range(5):
        robot.camera.publish(to_message(picture(index), "rgb8", header_of(index)))
    robot.wait_for(lambda: node.cameras[0].stream._meter["received"] == 5, "for the images to arrive")
    robot.prompts.publish(msg.PromptArray(prompts=[CLICK]))
    robot.wait_for(lambda: node.cameras[0].stream._prompts, "for the prompt to arrive")
    slow.set()
    (result,) = robot.next_results(0)
    assert result.accepted and result.header == header_of(4)


def test_refine_replace_and_order_of_prompts(robot: Robot, sam2: Sam2Node) -> None:
    robot.show(0)
    first, second, wrong, third = robot.prompt(BOX, CLICK, msg.Prompt(), CLICK)
    assert [first.object_id, second.object_id, third.object_id] == [1, 2, 3] and not wrong.accepted
    beside = msg.Click(x=5.0, y=5.0, positive=False)
    (refined,) = robot.prompt(msg.Prompt(object_id=1, clicks=[beside]))
    assert refined.accepted and refined.object_id == 1
    (restarted,) = robot.prompt(msg.Prompt(object_id=1, clicks=CLICK.clicks, replace=True))
    assert restarted.accepted and pixels_of(restarted.masklet).tolist() == pixels_of(second.masklet).tolist()
    (chosen,) = robot.prompt(msg.Prompt(object_id=9, box=BOX.box))
    assert chosen.accepted and chosen.object_id == 9
    assert ids(robot.show(1)) == [1, 2, 3, 9]


def test_late_prompt_is_applied_to_its_own_image(robot: Robot, sam2: Sam2Node) -> None:
    """Its answer and the later masklets equal those of a prompt that arrived in time."""
    robot.show(0)
    (in_time,) = robot.prompt(CLICK, header=header_of(0))
    expected = [robot.show(index) for index in range(1, 5)]

    assert robot.call(Trigger, "sam2/reset").success
    assert [ids(robot.show(index)) for index in range(3)] == [[], [], []]
    (late,) = robot.prompt(CLICK, header=header_of(0))
    assert late == in_time
    assert [robot.show(index) for index in range(3, 5)] == expected[2:]
    # Between two images, because one was dropped: the nearest counts.
    (between,) = robot.prompt(BOX, header=at(stamp_of(2) - PERIOD // 3))
    assert between.header == header_of(2)


def test_prompts_for_future_images(robot: Robot, sam2: Sam2Node) -> None:
    robot.prompts.publish(msg.PromptArray(header=header_of(1), prompts=[CLICK]))
    robot.show(0)
    assert not robot.results
    assert ids(robot.show(1)) == [1], "the masklets of the prompted image hold the object already"
    (result,) = robot.next_results(0)
    assert result.accepted and result.header == header_of(1)


def test_refused_prompts_give_the_reason(graph: Graph, robot: Robot, checkpoint: Path) -> None:
    node = graph.sam2(checkpoint=str(checkpoint), history=3, prompt_timeout=0.2)
    robot.wait_until_connected()
    (early,) = robot.prompt(CLICK)
    assert not early.accepted and "no image has been processed yet" in early.message

    for index in range(5):
        robot.show(index)
    (old,) = robot.prompt(CLICK, header=header_of(1))
    assert not old.accepted and "history" in old.message
    assert old.header == header_of(1) and old.masklet == msg.Masklet()
    (oldest,) = robot.prompt(CLICK, header=header_of(2))
    assert oldest.accepted
    (future,) = robot.prompt(CLICK, header=header_of(50))
    assert not future.accepted and "4.600 s ahead of the newest" in future.message
    node.set_parameters([Parameter("prompt_timeout", value=60.0)])
    robot.prompts.publish(msg.PromptArray(header=header_of(6), prompts=[CLICK]))
    assert ids(robot.show(6)) == [1, 2]


def test_list_remove_and_reset_services(robot: Robot, sam2: Sam2Node) -> None:
    nothing = robot.call(srv.ListObjects, "sam2/list")
    assert nothing == srv.ListObjects.Response(success=True)
    for index in range(3):
        robot.show(index)
    robot.prompt(msg.Prompt(clicks=CLICK.clicks, label="cup"), BOX)

    listed = robot.call(srv.ListObjects, "sam2/list")
    assert listed.header == header_of(2)
    assert [(masklet.object_id, masklet.label, masklet.present) for masklet in listed.objects] == [
        (1, "cup", True),
        (2, "", True),
    ]
    assert all(masklet.mask == msg.Mask() and masklet.box.width for masklet in listed.objects)
    assert list(listed.history) == [header_of(index).stamp for index in range(3)]

    unknown = robot.call(srv.RemoveObject, "sam2/remove", object_id=7)
    assert not unknown.success and "7" in unknown.message and "1, 2" in unknown.message
    assert robot.call(srv.RemoveObject, "sam2/remove", object_id=1).success
    assert ids(robot.show(3)) == [2]
    (new,) = robot.prompt(CLICK)
    assert new.object_id == 3, "the ID of a removed object is not reused"

    answer = robot.call(Trigger, "sam2/reset")
    assert answer.success and "2 objects" in answer.message
    assert ids(robot.show(4)) == []
    (first,) = robot.prompt(CLICK)
    assert first.object_id == 1


def test_backward_time_jump_resets_the_tracker(robot: Robot, sam2: Sam2Node) -> None:
    robot.show(50)
    robot.prompt(CLICK)
    assert ids(robot.show(51)) == [1]
    for index in range(MIN_RUN):
        robot.camera.publish(to_message(picture(index), "rgb8", header_of(index)))
        robot.wait_for(lambda: sam2.cameras[0].stream._meter["received"] == 3 + index, "for the image to arrive")  # noqa: B023
        robot.wait_for(lambda: not len(sam2.cameras[0].stream._images), "for it to be taken")
    robot.wait_for(lambda: len(robot.masklets) == 2 + MIN_RUN, "for masklets")
    assert ids(robot.masklets[-1]) == []
    (restarted,) = robot.prompt(CLICK)
    assert restarted.object_id == 1 and restarted.header == header_of(2)
    robot.camera.publish(to_message(picture(2), "rgb8", header_of(2)))  # the same stamp once more: ignored
    assert ids(robot.show(3)) == [1]
    headers = [message.header for message in robot.masklets]
    assert headers == [header_of(index) for index in (50, 51, 0, 1, 2, 3)]


def test_single_stamp_from_the_future_is_corrected(robot: Robot, sam2: Sam2Node) -> None:
    robot.show(0)
    robot.prompt(CLICK)
    robot.show(1)
    assert ids(robot.send(to_message(picture(2), "rgb8", at(stamp_of(100_000))))) == [1]
    for index in (3, 4):
        assert ids(robot.show(index)) == [1]
    stamps = sam2.cameras[0].stream.call(lambda tracker: tracker.stamps).result(TIMEOUT)
    assert stamps == (stamp_of(0), stamp_of(1), stamp_of(3) - 1, stamp_of(3), stamp_of(4))
    assert (sam2.cameras[0].stream._meter["wrong stamps"], sam2.cameras[0].stream._meter["time jumps"]) == (1, 0)
    (answer,) = robot.prompt(CLICK, header=header_of(2))
    assert answer.accepted, "the image behind the wrong stamp can be prompted"


def test_prompt_waits_for_its_image_after_a_time_jump(
    graph: Graph, robot: Robot, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = graph.sam2(checkpoint=str(checkpoint), keep_all=True)
    robot.wait_until_connected()
    robot.show(50)
    resume = hold_steps(monkeypatch)
    for index in (51, 0, 1, 2):
        robot.camera.publish(to_message(picture(index), "rgb8", header_of(index)))
    robot.wait_for(lambda: len(node.cameras[0].stream._images) >= 2, "for the images")
    robot.prompts.publish(msg.PromptArray(header=header_of(0), prompts=[CLICK]))
    robot.prompts.publish(msg.PromptArray(prompts=[CLICK]))  # the newest arrived image
    robot.wait_for(lambda: len(node.cameras[0].stream._prompts) == 2, "for the prompts")
    resume.set()
    results = robot.next_results(0, 2)
    assert [(result.accepted, result.header) for result in results] == [(True, header_of(0)), (True, header_of(2))]


def test_prompts_expire_while_images_fail(robot: Robot, sam2: Sam2Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even though another image is always waiting."""
    sam2.set_parameters([Parameter("prompt_timeout", value=0.3)])
    failed = threading.Event()

    def fail(*_):
        failed.wait(0.05)
        raise RuntimeError("a cosmic ray")

    monkeypatch.setattr(Tracker, "step", fail)
    for index in range(1000):
        robot.camera.publish(to_message(picture(index % 20), "rgb8", header_of(index)))
        if index == 3:
            robot.prompts.publish(msg.PromptArray(header=header_of(2000), prompts=[CLICK]))
            robot.prompts.publish(msg.PromptArray(header=header_of(3), prompts=[CLICK]))
        if len(robot.results) == 2:
            break
        time.sleep(0.02)  # a camera
    assert [result.accepted for result in robot.results] == [False, False]


def test_failed_publishing_of_an_answer_does_not_affect_others(
    robot: Robot, sam2: Sam2Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot.show(0)
    answer, published = Outputs.on_answer, []

    def fail_once(*arguments):
        published.append(arguments)
        if len(published) == 1:
            raise RuntimeError("it cannot be published")
        answer(*arguments)

    monkeypatch.setattr(Outputs, "on_answer", fail_once)
    robot.prompts.publish(msg.PromptArray(prompts=[CLICK, BOX]))
    assert robot.next_results(0)[0].object_id == 2
    assert robot.call(srv.PromptObject, "sam2/prompt", prompt=CLICK).result.object_id == 3
    assert ids(robot.show(1)) == [1, 2, 3]


def test_oversized_box_is_published_as_applied(robot: Robot, sam2: Sam2Node) -> None:
    """Detectors may send any numbers."""
    applied = robot.listen(msg.PromptArray, "sam2/applied_prompts")
    robot.wait_until_connected()
    robot.show(0)
    prompt = Prompt(box=Box(-1e30, 10.0, 2e30, 1e30))
    answer = sam2.cameras[0].stream.put_prompt(header_of(0), prompt, TIMEOUT, Proposal(0.3)).result(TIMEOUT)
    robot.wait_for(lambda: applied, "for the applied prompt")
    assert answer.accepted
    assert applied[0].prompts[0].box == RegionOfInterest(y_offset=10, width=WIDTH, height=HEIGHT - 10)


def test_late_images_are_skipped(robot: Robot, sam2: Sam2Node) -> None:
    """Until there are enough to be a jump of time."""
    robot.show(5)
    robot.prompt(CLICK)

    def late(milliseconds: int) -> Image:
        return to_message(picture(4), "rgb8", at(stamp_of(5) - milliseconds * 1_000_000))

    robot.camera.publish(late(PERIOD // 1_000_000))
    robot.wait_for(lambda: sam2.cameras[0].stream._meter["late"] == 1, "for the image")
    assert ids(robot.show(6)) == [1]
    for number in range(MAX_STRAYS):
        robot.camera.publish(to_message(picture(4), "rgb8", at(stamp_of(5) + number)))
        robot.wait_for(lambda: sam2.cameras[0].stream._meter["late"] == number + 2, "for the image")  # noqa: B023
    assert ids(robot.send(late(0))) == []
    assert sam2.cameras[0].stream._meter["time jumps"] == 1


def test_image_size_may_change(robot: Robot, sam2: Sam2Node) -> None:
    robot.show(0)
    robot.prompt(CLICK)
    robot.show(1)
    answer = robot.show(2, picture(2, (2 * HEIGHT, 2 * WIDTH)))
    assert (answer.height, answer.width) == (2 * HEIGHT, 2 * WIDTH)
    assert pixels_of(answer.masklets[0]).shape == (2 * HEIGHT, 2 * WIDTH)
    (outside_then,) = robot.prompt(msg.Prompt(clicks=[msg.Click(x=WIDTH + 5.0, y=5.0)]), header=header_of(1))
    assert not outside_then.accepted
    (inside_now,) = robot.prompt(msg.Prompt(clicks=[msg.Click(x=WIDTH + 5.0, y=5.0)]))
    assert inside_now.accepted
    assert ids(robot.show(3)) == [1, 2]


NAN = float("nan")
BAD_PROMPTS = {
    "empty": (msg.Prompt(), "empty"),
    "only negative": (msg.Prompt(clicks=[msg.Click(x=1.0, y=1.0, positive=False)]), "negative"),
    "outside": (msg.Prompt(clicks=[msg.Click(x=float(WIDTH), y=5.0)]), "outside"),
    "beside": (msg.Prompt(clicks=[msg.Click(x=5.0, y=-1.0)]), "outside"),
    "nan": (msg.Prompt(clicks=[msg.Click(x=NAN, y=5.0)]), "finite"),
    "infinite": (msg.Prompt(clicks=[msg.Click(x=5.0, y=float("-inf"))]), "finite"),
    "one good and one bad click": (msg.Prompt(clicks=[*CLICK.clicks, msg.Click(x=NAN, y=NAN)]), "finite"),
    "flat box": (msg.Prompt(box=RegionOfInterest(x_offset=3, y_offset=3, width=10)), "no size"),
    "box outside": (msg.Prompt(box=RegionOfInterest(x_offset=WIDTH, y_offset=3, width=10, height=10)), "outside"),
    "mask of another size": (
        msg.Prompt(mask=to_message(np.full((HEIGHT, WIDTH - 1), 255, np.uint8), "mono8", Header())),
        "same size",
    ),
    "mask in colour": (msg.Prompt(mask=to_message(picture(0), "rgb8", Header())), "mono8"),
    "empty mask": (msg.Prompt(mask=to_message(np.zeros(SIZE, np.uint8), "mono8", Header())), "mask is empty"),
    "truncated mask": (
        msg.Prompt(mask=Image(height=HEIGHT, width=WIDTH, step=WIDTH, encoding="mono8", data=[1] * 10)),
        "cut off",
    ),
    "bad refinement": (msg.Prompt(object_id=1, clicks=[msg.Click(x=NAN, y=0.0)]), "finite"),
    "bad replacement": (msg.Prompt(object_id=1, replace=True), "empty"),
    "far too many clicks": (msg.Prompt(clicks=CLICK.clicks * 1000), "clicks"),
}


def test_bad_prompts_are_refused_without_side_effects(graph: Graph, robot: Robot, checkpoint: Path) -> None:
    graph.sam2(checkpoint=str(checkpoint), max_objects=2)
    robot.wait_until_connected()

    def run(disturbed: bool) -> list[msg.MaskletArray]:
        robot.show(0)
        robot.prompt(CLICK)
        answers = [robot.show(1)]
        if disturbed:
            for prompt, reason in BAD_PROMPTS.values():
                (result,) = robot.prompt(prompt)
                assert not result.accepted and reason in result.message, (reason, result.message)
                assert result.object_id == prompt.object_id and result.masklet == msg.Masklet()
            one_more, too_many = robot.prompt(BOX, CLICK)
            assert one_more.accepted and not too_many.accepted and "limit" in too_many.message
            robot.call(srv.RemoveObject, "sam2/remove", object_id=one_more.object_id)
        answers += [robot.show(index) for index in (2, 3)]
        robot.call(Trigger, "sam2/reset")
        return answers

    expected = run(disturbed=False)
    assert ids(expected[-1]) == [1]
    assert run(disturbed=True) == expected


def test_bad_images_are_skipped_without_side_effects(robot: Robot, sam2: Sam2Node) -> None:
    robot.show(0)
    robot.prompt(CLICK)
    expected = [robot.show(1), robot.show(2)]
    robot.call(Trigger, "sam2/reset")

    robot.show(0)
    robot.prompt(CLICK)
    good = to_message(picture(1), "rgb8", header_of(1))
    wrong = {
        "encoding": "hsv9",
        "data": good.data[:-1],
        "height": 0,
        "step": 5,
        "width": 2**31,
    }
    for field, value in wrong.items():
        image = to_message(picture(1), "rgb8", header_of(1))
        setattr(image, field, value)
        robot.camera.publish(image)
        robot.camera.publish(Image())
    assert [robot.show(1), robot.show(2)] == expected


def test_gpu_out_of_memory_refuses_the_prompt_only(
    robot: Robot, sam2: Sam2Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a GPU: the decoder raises the error of PyTorch."""
    robot.show(0)
    robot.prompt(CLICK)

    def fail(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    network = sam2.cameras[0].stream._session.tracker.network
    with monkeypatch.context() as broken:
        broken.setattr(network, "condition", fail)
        (refused,) = robot.prompt(BOX)
    assert not refused.accepted and "out of memory" in refused.message
    with monkeypatch.context() as broken:
        broken.setattr(network, "encode_image", fail)
        robot.camera.publish(to_message(picture(1), "rgb8", header_of(1)))
        robot.wait_for(lambda: sam2.cameras[0].stream._meter["out of memory"] == 2, "for the failure")
    assert ids(robot.show(2)) == [1]


def test_waiting_service_call_does_not_block_others(robot: Robot, sam2: Sam2Node) -> None:
    robot.show(0)
    client = robot.create_client(srv.PromptObject, "sam2/prompt")
    assert client.wait_for_service(TIMEOUT)
    ask = srv.PromptObject.Request(header=header_of(3), prompt=CLICK)
    waiting = [client.call_async(ask) for _ in range(MAX_WAITING_CALLS)]
    robot.wait_for(lambda: len(sam2.cameras[0].stream._prompts) == MAX_WAITING_CALLS, "for the calls to arrive")
    too_many = robot.call(srv.PromptObject, "sam2/prompt", header=header_of(3), prompt=CLICK)
    assert not too_many.result.accepted and "waiting" in too_many.result.message

    robot.show(1)
    assert robot.prompt(BOX)[0].accepted
    assert len(robot.call(srv.ListObjects, "sam2/list").objects) == 1
    assert robot.call(srv.RemoveObject, "sam2/remove", object_id=1).success
    assert not any(answer.done() for answer in waiting)
    robot.show(3)
    robot.wait_for(lambda: all(answer.done() for answer in waiting), "for the answers")
    assert sorted(answer.result().result.object_id for answer in waiting) == [2, 3, 4, 5]


def test_prompts_beyond_the_queue_limit_are_refused(robot: Robot, sam2: Sam2Node) -> None:
    robot.prompts.publish(msg.PromptArray(header=header_of(9), prompts=[CLICK] * (MAX_WAITING + 1)))
    (refused,) = robot.next_results(0)
    assert not refused.accepted and "waiting" in refused.message


def test_detector_does_not_block_user_prompts(robot: Robot, sam2: Sam2Node) -> None:
    """Excess detections are dropped without an answer."""
    proposals = [
        sam2.cameras[0].stream.put_prompt(header_of(9), Prompt(box=Box(16, 24, 26, 24)), TIMEOUT, Proposal(0.3))
        for _ in range(MAX_WAITING + 2)
    ]
    assert [proposal.cancelled() for proposal in proposals] == MAX_WAITING * [False] + 2 * [True]
    robot.show(0)
    assert robot.prompt(CLICK)[0].accepted
    assert len(robot.results) == 1


def test_detected_objects_are_removed_after_a_long_absence(
    graph: Graph, robot: Robot, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = graph.sam2(checkpoint=str(checkpoint), max_objects=3)
    robot.wait_until_connected()
    robot.show(0)

    def propose(index: int, x: float) -> Future[msg.PromptResult]:
        prompt, proposal = Prompt(box=Box(x, 60, 10, 10)), Proposal(max_overlap=1.0, forget_after=0.25)
        return node.cameras[0].stream.put_prompt(header_of(index), prompt, TIMEOUT, proposal)

    robot.prompt(CLICK)
    assert [propose(0, x).result(TIMEOUT).object_id for x in (10.0, 40.0)] == [2, 3]
    robot.prompt(msg.Prompt(object_id=3, clicks=[msg.Click(x=45.0, y=65.0)]))  # prompted by a user
    full = propose(0, 70.0)
    robot.wait_for(full.cancelled, "for the proposal to be dropped")
    assert node.cameras[0].stream._meter["detections without room"] == 1

    monkeypatch.setattr(Tracker, "_masklets", _all_absent(Tracker._masklets))
    assert [ids(robot.show(index)) for index in range(1, 4)] == [[1, 2, 3], [1, 2, 3], [1, 3]]
    assert propose(3, 70.0).result(TIMEOUT).object_id == 4


def _all_absent(masklets: Callable[..., list[Masklet]]) -> Callable[..., list[Masklet]]:
    return lambda *arguments: [replace(masklet, present=False) for masklet in masklets(*arguments)]


@pytest.mark.parametrize("ahead", [False, True])
def test_only_the_newest_waiting_image_is_processed(
    graph: Graph, robot: Robot, checkpoint: Path, monkeypatch: pytest.MonkeyPatch, ahead: bool
) -> None:
    """While one is processed slowly, the next may be encoded, and of later ones only the newest waits."""
    node = graph.sam2(checkpoint=str(checkpoint), encode_ahead=ahead)
    robot.wait_until_connected()
    robot.show(0)
    slow = hold_steps(monkeypatch)
    for index in range(1, 6):
        robot.camera.publish(to_message(picture(index), "rgb8", header_of(index)))
        robot.wait_for(lambda: node.cameras[0].stream._meter["received"] == index + 1, "for the image to arrive")  # noqa: B023
        if index == 1 or (ahead and index == 2):
            robot.wait_for(lambda: not len(node.cameras[0].stream._images), "for it to be taken")
    slow.set()
    answered = [0, 1, 2, 5] if ahead else [0, 1, 5]
    robot.wait_for(lambda: len(robot.masklets) == len(answered), "for masklets")
    assert [message.header for message in robot.masklets] == [header_of(index) for index in answered]
    assert node.cameras[0].stream._meter["dropped"] == 6 - len(answered)


def test_images_encoded_ahead_give_the_same_masklets(graph: Graph, robot: Robot, checkpoint: Path) -> None:
    """Prompts are applied to their own images, whenever they were encoded; a broken image is skipped."""
    results = {}
    for ahead in (False, True):
        # One thread for both, because the number of threads affects rounding.
        node = graph.sam2(checkpoint=str(checkpoint), keep_all=True, encode_ahead=ahead, threads=1)
        robot.wait_until_connected()
        before = len(robot.masklets)
        robot.prompts.publish(msg.PromptArray(header=header_of(3), prompts=[CLICK]))
        robot.wait_for(lambda: len(node.cameras[0].stream._prompts) == 1, "for the prompt to arrive")  # noqa: B023
        for index in range(8):
            robot.camera.publish(to_message(picture(index), "rgb8", header_of(index)))
            if index == 4:
                robot.camera.publish(Image(header=header_of(index)))
        robot.wait_for(lambda: len(robot.masklets) == before + 8, "for masklets")  # noqa: B023
        results[ahead] = robot.masklets[before:]
        assert node.cameras[0].stream._meter["unreadable"] == 1
        graph.remove(node)
    assert results[True] == results[False]
    assert [ids(message) for message in results[True]] == [[]] * 3 + [[1]] * 5


def test_keep_all_gives_the_same_masklets_every_time(graph: Graph, robot: Robot, checkpoint: Path) -> None:
    node = graph.sam2(checkpoint=str(checkpoint), keep_all=True)
    robot.wait_until_connected()
    arrays = [
        msg.PromptArray(header=header_of(4), prompts=[mask_prompt(4), msg.Prompt(object_id=2, clicks=CLICK.clicks)]),
        msg.PromptArray(header=header_of(2), prompts=[CLICK, BOX]),
    ]

    def play(pause: float) -> list[msg.MaskletArray]:
        before = len(robot.masklets)
        for array in arrays:
            robot.prompts.publish(array)
        robot.wait_for(lambda: len(node.cameras[0].stream._prompts) == 4, "for the prompts to arrive")
        for index in range(8):
            robot.camera.publish(to_message(picture(index), "rgb8", header_of(index)))
            time.sleep(pause)
        robot.wait_for(lambda: len(robot.masklets) == before + 8, "for masklets")
        robot.call(Trigger, "sam2/reset")
        return robot.masklets[before:]

    first = play(pause=0.0)  # all images at once
    assert [message.header for message in first] == [header_of(index) for index in range(8)]
    assert [ids(message) for message in first] == [[]] * 2 + [[1, 2]] * 2 + [[1, 2, 3]] * 4
    assert play(pause=0.1) == first
    assert robot.results[: len(robot.results) // 2] == robot.results[len(robot.results) // 2 :]


def test_keep_all_counts_lost_images(
    graph: Graph, robot: Robot, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = graph.sam2(checkpoint=str(checkpoint), keep_all=True, queue_size=2, encode_ahead=False)
    robot.wait_until_connected()
    slow = hold_steps(monkeypatch)
    for index in range(5):
        robot.camera.publish(to_message(picture(index), "rgb8", header_of(index)))
        robot.wait_for(lambda: node.cameras[0].stream._meter["received"] == index + 1, "for the image to arrive")  # noqa: B023
        if index == 0:
            robot.wait_for(lambda: not len(node.cameras[0].stream._images), "for the first to be taken")
    slow.set()
    robot.wait_for(lambda: len(robot.masklets) == 3, "for masklets")
    assert [message.header for message in robot.masklets] == [header_of(index) for index in range(3)]
    assert node.cameras[0].stream._meter["dropped"] == 2
