"""~/segment_everything on the real graph."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import node_log
import numpy as np
import pytest
import torch
from robot import SIZE, TIMEOUT, Graph, Robot, header_of, stamp_of
from sensor_msgs.msg import Image, RegionOfInterest
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from sam2_ros import msg, srv
from sam2_ros.ros import segment_everything_service as service
from sam2_ros.ros.images import to_message
from sam2_ros.ros.node import Sam2Node
from sam2_ros.ros.stamps import nanoseconds, time_message
from sam2_ros.tracking import rle
from sam2_ros.tracking.automatic_masks import AutomaticMaskGenerator, EverythingSettings

PER_SIDE = 6
ORANGE, BLUE, GREEN = (slice(12, 42), slice(15, 45)), (slice(55, 85), slice(70, 110)), (slice(66, 90), slice(5, 29))


def things(index: int = 0) -> np.ndarray:
    """A picture of three things on a grey ground, which move to the right."""
    pixels = np.full((*SIZE, 3), 60, np.uint8)
    for (rows, columns), colour in ((ORANGE, (250, 200, 40)), (BLUE, (30, 60, 230)), (GREEN, (40, 220, 60))):
        pixels[rows, columns.start + index : columns.stop + index] = colour
    return pixels


@pytest.fixture
def sam2(graph: Graph) -> Sam2Node:
    """An active node with the default model, connected to the robot."""
    node = graph.sam2(keep_all=True)
    graph.robot.wait_until_connected()
    return node


def segment(robot: Robot, image: Image | None = None, **request: object) -> srv.SegmentEverything.Response:
    request = {"points_per_side": PER_SIDE, **request}
    return robot.call(srv.SegmentEverything, "sam2/segment_everything", image=image or Image(), **request)


def named(index: int) -> Image:
    """An image that the node has processed, by its stamp."""
    return Image(header=Header(stamp=time_message(stamp_of(index))))


def mask_of(masklet: msg.Masklet) -> np.ndarray:
    return rle.decode(masklet.mask.counts, masklet.mask.height, masklet.mask.width)


def iou(masklet: msg.Masklet, where: tuple[slice, slice]) -> float:
    truth = np.zeros(SIZE, bool)
    truth[where] = True
    return similarity(mask_of(masklet), truth)


def similarity(one: np.ndarray, other: np.ndarray) -> float:
    return (one & other).sum() / (one | other).sum()


def ids(robot: Robot) -> list[int]:
    return [one.object_id for one in robot.call(srv.ListObjects, "sam2/list").objects]


def after_the_first_batch(monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> None:
    """Lets something happen while the service is at work, once, between two batches."""
    original, done = AutomaticMaskGenerator._answers, threading.Event()

    def answers(*arguments: object) -> object:
        found = original(*arguments)
        if not done.is_set():
            done.set()
            action()
        return found

    monkeypatch.setattr(AutomaticMaskGenerator, "_answers", answers)


def test_sent_image_is_segmented_and_nothing_is_tracked(robot: Robot, sam2: Sam2Node) -> None:
    own = np.rot90(things()).copy()  # of another size than the camera's
    response = segment(robot, to_message(own, "rgb8", header_of(77)), min_mask_region_area=30)
    assert response.success and response.header == header_of(77)
    assert response.message == f"{len(response.masklets)} masks found"

    tracker = sam2.cameras[0].stream._session.tracker
    settings = EverythingSettings.suited_to(tracker.network.config)
    settings = replace(settings, points_per_side=PER_SIDE, min_mask_region_area=30)
    expected = AutomaticMaskGenerator(tracker.network, settings).generate(tracker.encode(own))
    expected.sort(key=lambda mask: -mask.iou)
    assert len(expected) >= 2
    assert [masklet.iou for masklet in response.masklets] == pytest.approx([mask.iou for mask in expected])
    for masklet, mask in zip(response.masklets, expected, strict=True):
        assert np.array_equal(mask_of(masklet), mask.mask)
        assert (masklet.object_id, masklet.label, masklet.present, masklet.presence) == (0, "", True, 1.0)
        assert masklet.box.width and masklet.box.height
    assert (response.left_out, response.not_tracked) == (0, 0)
    assert ids(robot) == [] and not robot.results and not robot.masklets


def test_everything_becomes_an_object_once_and_can_be_replayed(robot: Robot, sam2: Sam2Node) -> None:
    applied = robot.listen(msg.PromptArray, "sam2/applied_prompts")
    robot.wait_until_connected()
    for index in range(3):
        robot.show(index, things(index))
    response = segment(robot, named(1), track=True)
    assert response.success and response.header == header_of(1)
    assert f"{len(response.masklets)} objects started" in response.message and not response.not_tracked
    assert [masklet.object_id for masklet in response.masklets] == list(range(1, len(response.masklets) + 1))
    assert sorted(response.masklets, key=lambda masklet: -masklet.iou) == response.masklets
    rows, _ = ORANGE
    orange = max(response.masklets, key=lambda masklet: iou(masklet, (rows, slice(16, 46))))
    assert iou(orange, (rows, slice(16, 46))) > 0.8
    assert [result.object_id for result in robot.results] == ids(robot) == list(range(1, len(response.masklets) + 1))
    assert all(result.header == header_of(1) for result in robot.results)
    expected = [robot.show(index, things(index)) for index in range(3, 6)]
    followed = {masklet.object_id: masklet for masklet in expected[-1].masklets}[orange.object_id]
    assert iou(followed, (rows, slice(20, 50))) > 0.8

    again = segment(robot, track=True)
    assert again.header == header_of(5)
    new = iter(range(len(response.masklets) + 1, 100))
    for masklet in again.masklets:
        overlap = {one.object_id: similarity(mask_of(masklet), mask_of(one)) for one in expected[-1].masklets}
        best = max(overlap, key=overlap.__getitem__)
        assert masklet.object_id == (best if overlap[best] > 0.7 else next(new))
    known = [masklet.object_id for masklet in again.masklets if masklet.object_id <= len(response.masklets)]
    assert orange.object_id in known and f"{len(known)} tracked already" in again.message

    robot.wait_for(lambda: len(applied) == len(robot.results), "for the applied prompts")
    first = applied[: len(response.masklets)]
    assert all(len(array.prompts[0].mask.data) for array in first)
    robot.call(Trigger, "sam2/reset")
    for array in first:
        robot.prompts.publish(array)
    replayed = [robot.show(index, things(index)) for index in range(6)][3:]
    for frame, same in zip(replayed, expected, strict=True):
        assert frame.header == same.header
        for masklet, before in zip(frame.masklets, same.masklets, strict=True):
            assert masklet.object_id == before.object_id and masklet.mask == before.mask
            assert masklet.iou == pytest.approx(before.iou, abs=1e-5)  # carried through image 2 alone, not with others


def test_largest_predicted_iou_first_until_there_is_no_room(robot: Robot, graph: Graph) -> None:
    graph.sam2(max_objects=2)
    robot.wait_until_connected()
    robot.show(0, things())
    x, y = ORANGE[1].start, ORANGE[0].start
    box = msg.Prompt(label="orange", box=RegionOfInterest(x_offset=x, y_offset=y, width=30, height=30))
    assert robot.prompt(box)[0].object_id == 1
    response = segment(robot, track=True)
    best_new = next(masklet for masklet in response.masklets if iou(masklet, ORANGE) < 0.7)
    tracked = [masklet.object_id for masklet in response.masklets if masklet.object_id]
    assert sorted(set(tracked)) == [1, 2] and best_new.object_id == 2
    assert len(response.masklets) > len(tracked)
    assert response.not_tracked == len(response.masklets) - len(tracked)
    assert "1 object started" in response.message and "tracked already" in response.message
    assert f"{response.not_tracked} not tracked, as max_objects is 2" in response.message
    assert ids(robot) == [1, 2] and len(robot.results) == 2  # what does not fit is no refused prompt


def test_tracking_goes_on_between_two_batches(robot: Robot, sam2: Sam2Node, monkeypatch: pytest.MonkeyPatch) -> None:
    robot.show(0, things())
    alone = segment(robot)
    after_the_first_batch(monkeypatch, lambda: [robot.show(index, things(index)) for index in range(1, 4)])
    meanwhile = segment(robot)  # of image 0, although newer ones have come
    assert len(robot.masklets) == 4
    assert meanwhile.masklets == alone.masklets and meanwhile.header == header_of(0)


@pytest.mark.parametrize("track", [False, True])
def test_end_of_the_node_in_the_middle_of_a_request(
    robot: Robot, sam2: Sam2Node, track: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    robot.show(0, things())
    stream = sam2.cameras[0].stream
    ending = threading.Thread(target=sam2._release)

    def end() -> None:
        ending.start()
        robot.wait_for(lambda: stream._stopped, "for the end")

    after_the_first_batch(monkeypatch, end)
    response = segment(robot, track=track)
    ending.join(TIMEOUT)
    assert not ending.is_alive()
    assert not response.success and response.message == "the node is shutting down" and not response.masklets
    assert "ERROR" not in node_log.written()


def test_calls_are_answered_between_two_batches(robot: Robot, sam2: Sam2Node, monkeypatch: pytest.MonkeyPatch) -> None:
    robot.show(0, things())
    stream = sam2.cameras[0].stream

    def while_at_work(name: str, kind: type, **request: object) -> tuple[object, srv.SegmentEverything.Response]:
        with ThreadPoolExecutor(1) as pool, monkeypatch.context() as patch:
            called = []

            def call() -> None:
                called.append(pool.submit(robot.call, kind, f"sam2/{name}", **request))
                robot.wait_for(lambda: len(stream._calls), "for the call")

            after_the_first_batch(patch, call)
            response = segment(robot, track=True)
            return called[0].result(TIMEOUT), response

    listed, response = while_at_work("list", srv.ListObjects)
    assert listed.objects == [] and response.success  # it did not wait for the objects
    first = ids(robot)
    assert len(first) == len(response.masklets)

    blue = max(response.masklets, key=lambda one: iou(one, BLUE)).object_id  # no other object overlaps it
    removed, response = while_at_work("remove", srv.RemoveObject, object_id=blue)
    assert removed.success and response.success
    assert blue not in ids(robot) and {*first} - {blue} < {*ids(robot)}

    paused, response = while_at_work("pause", Trigger)
    assert paused.success and not response.success and "paused" in response.message
    assert robot.call(Trigger, "sam2/resume").success

    before = len(robot.results)
    reset, response = while_at_work("reset", Trigger)
    assert reset.success and not response.success and "reset in the meantime" in response.message
    assert ids(robot) == [] and len(robot.results) == before


def test_two_requests_at_once_are_both_answered(robot: Robot, sam2: Sam2Node) -> None:
    robot.show(0, things())
    with ThreadPoolExecutor(2) as pool:
        plain, tracked = [pool.submit(segment, robot, track=track) for track in (False, True)]
    assert plain.result().success and tracked.result().success
    assert [mask_of(one).sum() for one in plain.result().masklets] == [
        mask_of(one).sum() for one in tracked.result().masklets
    ]


def test_limits_of_a_response(robot: Robot, sam2: Sam2Node, monkeypatch: pytest.MonkeyPatch) -> None:
    robot.show(0, things())
    everything = segment(robot)
    monkeypatch.setattr(service, "MAX_MASKLETS", 1)
    response = segment(robot, track=True)
    assert response.masklets[0].iou == everything.masklets[0].iou and len(response.masklets) == 1
    assert response.left_out == len(everything.masklets) - 1 and ids(robot) == [1]
    assert f"1 mask found, and {response.left_out} more that are left out: at most 1" in response.message
    monkeypatch.undo()
    monkeypatch.setattr(service, "MAX_RUNS", 3)
    assert segment(robot).left_out == len(everything.masklets)
    monkeypatch.undo()
    monkeypatch.setattr(service, "TIME_LIMIT", 0.0)
    response = segment(robot)
    assert not response.success and "given up: 0% are done after 0 s; lower points_per_side" in response.message


@pytest.mark.parametrize("track", [False, True])
def test_gpu_out_of_memory_disturbs_nothing(
    robot: Robot, sam2: Sam2Node, track: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    robot.show(0, things())
    assert robot.prompt(msg.Prompt(box=RegionOfInterest(x_offset=15, y_offset=20, width=30, height=30)))[0].accepted
    with monkeypatch.context() as patch:
        after_the_first_batch(patch, fail)
        response = segment(robot, track=track)
    assert not response.success and "the GPU is out of memory; remove an object" in response.message
    assert [masklet.object_id for masklet in robot.show(1, things(1)).masklets] == [1]
    assert segment(robot, track=track).success


@pytest.mark.parametrize("track", [False, True])
def test_gpu_lost_to_a_request_is_lost_to_the_node(
    robot: Robot, sam2: Sam2Node, track: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    robot.show(0, things())
    after_the_first_batch(monkeypatch, fail)
    for _ in range(2):
        response = segment(robot, track=track)
        assert not response.success and "the GPU is lost to this process" in response.message
    robot.wait_for(lambda: sam2.cameras[0].stream.closed, "for the end of the stream")
    result = robot.prompt(msg.Prompt(clicks=[msg.Click(x=30.0, y=30.0)]))[0]
    assert not result.accepted and "the GPU is lost to this process" in result.message


def test_an_error_in_a_request_disturbs_nothing(robot: Robot, sam2: Sam2Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("a mistake")

    robot.show(0, things())
    for track in (False, True):
        with monkeypatch.context() as patch:
            after_the_first_batch(patch, fail)
            assert segment(robot, track=track).message == "internal error: RuntimeError: a mistake"
    assert segment(robot, track=True).success and ids(robot)


def test_requests_that_cannot_be_answered(robot: Robot, sam2: Sam2Node) -> None:
    def refusal(image: Image | None = None, **request: object) -> str:
        response = segment(robot, image, **request)
        assert not response.success and not response.masklets and nanoseconds(response.header.stamp) == 0
        return response.message

    own = to_message(things(), "rgb8", header_of(0))
    assert "no image has been seen" in refusal() and "no image has been seen" in refusal(track=True)
    assert "leave image.data empty" in refusal(own, track=True)
    assert "points_per_side is 65; it must be from 1 to 64" in refusal(own, points_per_side=65)
    for number in (float("nan"), float("inf"), -0.5, 1.5):
        assert f"pred_iou_thresh is {number}; it must be" in refusal(own, pred_iou_thresh=number)
        assert f"stability_score_thresh is {number}" in refusal(own, stability_score_thresh=number)
    assert "min_mask_region_area is 4294967295" in refusal(own, min_mask_region_area=2**32 - 1)
    assert "has no size" in refusal(Image(encoding="rgb8", data=b"1234"))
    robot.show(0, things())
    for track in (False, True):
        assert "older than the newest" in refusal(named(-1), track=track)
    assert robot.call(Trigger, "sam2/pause").success
    assert "paused" in refusal(track=True)
    assert segment(robot, own).success, "it is asked for, also in a pause"
    sam2.trigger_deactivate()
    assert "not active" in refusal(own) and "not active" in refusal(track=True)
    sam2.trigger_cleanup()
    assert "not configured" in refusal() and "not configured" in refusal(track=True)


def test_cameras_share_the_network(graph: Graph, robot: Robot) -> None:
    node = graph.sam2(cameras=["front", "rear"])
    images = [to_message(things(index), "rgb8", header_of(index)) for index in (0, 5)]

    def ask(camera: str, image: Image) -> srv.SegmentEverything.Response:
        name = f"sam2/{camera}/segment_everything"
        return robot.call(srv.SegmentEverything, name, image=image, points_per_side=PER_SIDE)

    def is_active() -> bool:
        return all(camera.stream is not None and camera.stream.closed is None for camera in node.cameras)

    robot.wait_for(is_active, "for the node")
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(ask, ("front", "rear"), images))
    assert together == [ask(camera, image) for camera, image in zip(("rear", "front"), images, strict=True)]
    assert all(response.success and len(response.masklets) >= 3 for response in together)
