"""The live desk over DDS: real sam2 nodes, a camera, and pages over sockets."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from desk_page import DeskPage, Refused
from rclpy.qos import QoSProfile, ReliabilityPolicy
from robot import CLICK, SIZE, Graph, Robot, header_of, picture, stamp_of
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from sam2_ros import msg, srv
from sam2_ros.desk.event import Event
from sam2_ros.desk.live import camera
from sam2_ros.ros.images import to_jpeg, to_message
from sam2_ros.ros.node import Sam2Node

CAMERA = "/sam2"
ON_IT = {"clicks": [{"x": 40, "y": 36, "positive": True}]}


def watch(page: DeskPage, robot: Robot, *cameras: str, images: str = "/image") -> None:
    """Has a page watch cameras; waits until the desk has subscribed to images."""
    wanted = {*(cameras or (CAMERA,))}
    page.wait("cameras", lambda event: wanted <= {one["name"] for one in event["cameras"] if one["online"]})
    page.request("watch", cameras=sorted(wanted), max_width=0)
    robot.wait_for(lambda: robot.count_subscribers(images) == 2, "for node and desk to subscribe")
    if images == "/image":
        robot.wait_for(lambda: robot.camera.get_subscription_count() == 2, "for node and desk")


def show(page: DeskPage, robot: Robot, index: int, pixels: np.ndarray | None = None) -> tuple[Event, np.ndarray]:
    """Sends an image and waits until the page shows it with masklets: the header, and the pixels, uint8 [H, W, 3]."""
    before = len(page.pictures)
    robot.show(index, pixels)
    return shown(page, index, before)


def shown(page: DeskPage, index: int, after: int = 0) -> tuple[Event, np.ndarray]:
    stamp = str(stamp_of(index))
    header, jpeg = page.picture(lambda header: header["stamp"] == stamp and header["masklets"] is not None, after)
    return header, cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def prompt(page: DeskPage, index: int, **fields: Any) -> Event:
    return page.request("prompt", camera=CAMERA, stamp=str(stamp_of(index)), prompt=fields or ON_IT)


def told(page: DeskPage, where: Callable[[Event], object], after: int = 0, name: str = CAMERA) -> Event:
    """What a page is told about a camera, as soon as this is true of it."""

    def found(event: Event) -> list[Event]:
        return [one for one in event["cameras"] if one["name"] == name and where(one)]

    return found(page.wait("cameras", lambda event: bool(found(event)), after))[0]


def test_pictures_and_masklets_belong_together(robot: Robot, sam2: Sam2Node, page: DeskPage) -> None:
    assert (page.hello["mode"], page.hello["version"]) == ("live", "1.2.3")
    watch(page, robot)
    show(page, robot, 0)
    answer = prompt(page, 0, **ON_IT, label="block")
    assert (answer["object_id"], answer["stamp"], answer["masklet"]["label"]) == (1, str(stamp_of(0)), "block")
    for index in range(1, 5):
        header, pixels = show(page, robot, index)
        assert (header["camera"], header["key"]) == (CAMERA, CAMERA)
        assert (header["height"], header["width"]) == pixels.shape[:2] == SIZE
        differences = [np.abs(pixels.astype(int) - picture(other)).mean() for other in range(6)]
        assert np.argmin(differences) == index, "another image than the one with this stamp"
        (published,) = robot.masklets[-1].masklets
        (masklet,) = header["masklets"]
        assert (masklet["object_id"], masklet["label"], masklet["present"]) == (1, "block", True)
        assert masklet["mask"]["counts"] == [*published.mask.counts]
        assert masklet["iou"] == pytest.approx(published.iou, abs=1e-3)
        box = published.box
        assert masklet["box"] == [box.x_offset, box.y_offset, box.width, box.height]
    page.wait("history", lambda event: event["stamps"] == [str(stamp_of(index)) for index in range(5)])
    state = told(page, lambda state: state["objects"] == 1)
    assert (state["title"], state["online"], state["problem"]) == ("sam2", True, "") and state["rate"] > 0


def test_images_are_subscribed_to_only_while_somebody_watches(
    robot: Robot, sam2: Sam2Node, page: DeskPage, desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(camera, "LINGER", 0.2)
    page.wait("cameras", lambda event: event["cameras"])
    assert robot.count_subscribers("/image") == 1
    watch(page, robot)
    with DeskPage(desk.server.url) as other:
        watch(other, robot)
    show(page, robot, 0)
    page.request("watch", cameras=[], max_width=0)
    robot.wait_for(lambda: robot.count_subscribers("/image") == 1, "for the desk to unsubscribe")
    with DeskPage(desk.server.url) as other:
        watch(other, robot)
    robot.wait_for(lambda: robot.count_subscribers("/image") == 1, "for the desk to unsubscribe from a closed page")


def test_reloaded_page_has_the_history(robot: Robot, sam2: Sam2Node, desk: Any) -> None:
    for visit in range(2):
        with DeskPage(desk.server.url) as page:
            watch(page, robot)
            show(page, robot, visit)
            stamps = [str(stamp_of(index)) for index in range(visit + 1)]
            page.wait("history", lambda event, stamps=stamps: event["stamps"] == stamps)


def test_prompt_on_an_old_picture_is_seen_on_it(robot: Robot, sam2: Sam2Node, page: DeskPage) -> None:
    watch(page, robot)
    for index in range(4):
        show(page, robot, index)
    answer = prompt(page, 1)
    assert answer["stamp"] == str(stamp_of(1))
    page.request("frame_at", camera=CAMERA, stamp=str(stamp_of(1)))
    header, _ = page.picture(lambda header: header["key"] == "history")
    assert header["stamp"] == str(stamp_of(1)) and header["masklets"] == [answer["masklet"]]
    header, _ = show(page, robot, 4)
    assert [one["object_id"] for one in header["masklets"]] == [1], "it is carried forward"
    with pytest.raises(Refused, match="no longer kept"):
        page.request("frame_at", camera=CAMERA, stamp=str(stamp_of(-1)))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"clicks": [{"x": 40, "y": 36, "positive": False}]}, "only negative clicks"),
        ({"clicks": [{"x": 400, "y": 36}]}, r"click \(400, 36\) is outside the image of 128 x 96 pixels"),
        ({"label": "cup"}, "the prompt is empty"),
        ({"object_id": 9, "label": "cup"}, "no object 9 is tracked"),
        ({**ON_IT, "object_id": -1}, "object_id must be a whole number"),
    ],
)
def test_refusal_has_the_nodes_reason(robot: Robot, sam2: Sam2Node, page: DeskPage, fields: Event, reason: str) -> None:
    watch(page, robot)
    show(page, robot, 0)
    with pytest.raises(Refused, match=reason):
        prompt(page, 0, **fields)


def test_many_quick_clicks_are_all_answered(robot: Robot, sam2: Sam2Node, page: DeskPage) -> None:
    """The node refuses more than four that wait at a time; an operator clicks faster than a slow one answers."""
    watch(page, robot)
    show(page, robot, 0)
    fields = {"camera": CAMERA, "stamp": str(stamp_of(1))}  # of an image that comes later, so that all of them wait
    numbers = [page.begin("prompt", prompt=ON_IT, **fields) for _ in range(12)]
    robot.wait_for(lambda: len(sam2.cameras[0].stream._prompts) == camera.PROMPTS_AT_ONCE, "for the first prompts")
    show(page, robot, 1)
    assert sorted(page.answer(number)["object_id"] for number in numbers) == [*range(1, 13)]


def test_candidates_and_taking_the_second(robot: Robot, sam2: Sam2Node, page: DeskPage) -> None:
    watch(page, robot)
    show(page, robot, 0)
    stamp = str(stamp_of(0))
    first = prompt(page, 0)
    candidates = page.request("candidates", camera=CAMERA, stamp=stamp, prompt=ON_IT)["candidates"]
    assert len(candidates) == 3 and candidates == sorted(candidates, key=lambda one: -one["iou"])
    taken = prompt(page, 0, object_id=first["object_id"], mask=candidates[1]["mask"], replace=True)
    assert taken["masklet"]["mask"] == candidates[1]["mask"] and taken["object_id"] == first["object_id"]


def test_everything_in_a_picture(robot: Robot, sam2: Sam2Node, page: DeskPage) -> None:
    watch(page, robot)
    show(page, robot, 0)
    answer = page.request("everything", camera=CAMERA, stamp=str(stamp_of(0)), track=False)
    assert answer["message"].split(" ")[1] in ("mask", "masks") and isinstance(answer["masklets"], list)


def test_timeline(robot: Robot, sam2: Sam2Node, page: DeskPage) -> None:
    """Samples of presence, and marks of prompts that come from anywhere."""
    watch(page, robot)
    robot.wait_for(lambda: robot.count_subscribers("/sam2/applied_prompts") == 1, "for the desk's subscription")
    for index in range(0, 8):
        show(page, robot, index)
        if index == 1:
            robot.prompt(msg.Prompt(clicks=CLICK.clicks, label="block"), header=header_of(1))
        if index == 3:
            prompt(page, 3, object_id=1, clicks=[{"x": 45, "y": 30}])
            prompt(page, 3, object_id=1, label="cup")
        if index == 5:
            page.wait("presence", lambda event: event["objects"] == [{"object_id": 1, "label": "cup"}])
            page.request("remove", camera=CAMERA, object_id=1)
    page.wait("presence", lambda event: any(mark["kind"] == "removed" for mark in event["marks"]))
    events = [event for event in page.events if event["type"] == "presence"]
    assert [event["whole"] for event in events] == [True] + [False] * (len(events) - 1)
    marks = [mark for event in events for mark in event["marks"]]
    assert [(mark["kind"], mark["object_id"]) for mark in marks] == [
        ("prompt", 1),
        ("correction", 1),
        ("removed", 1),
    ]
    assert [mark["stamp"] for mark in marks] == [str(stamp_of(index)) for index in (1, 3, 6)]
    samples = [sample for event in events for sample in event["samples"]]
    assert samples == [[str(stamp_of(0)), {"1": pytest.approx(1.0, abs=0.05)}]]
    assert events[-1]["objects"] == []


def test_timeline_knows_what_nobody_watched(robot: Robot, sam2: Sam2Node, page: DeskPage, desk: Any) -> None:
    page.wait("cameras", lambda event: event["cameras"])
    robot.wait_for(lambda: robot.count_subscribers("/sam2/masklets") == 2, "for the desk")
    robot.show(0)
    robot.prompt(CLICK)
    history = desk.backend.cameras[CAMERA]._presence
    for index in range(5, 26, 5):  # half a second apart, by their stamps
        time.sleep(camera.UNWATCHED_PERIOD)  # those that come sooner are left out
        robot.show(index)
        robot.wait_for(lambda: history.newest == stamp_of(index), "for the desk to read it")  # noqa: B023
    page.request("watch", cameras=[CAMERA], max_width=0)
    event = page.wait("presence")
    assert event["whole"] and [mark["kind"] for mark in event["marks"]] == ["prompt"]
    assert [stamp for stamp, presence in event["samples"] if presence] == [str(stamp_of(i)) for i in range(5, 25, 5)]


def test_time_jumps_back(robot: Robot, sam2: Sam2Node, page: DeskPage) -> None:
    """A looped bag: what was before is forgotten, and pictures go on."""
    watch(page, robot)
    for index in range(100, 112):
        show(page, robot, index)
    page.wait("presence", lambda event: event["samples"])
    before = len(page.events)
    meter = sam2.cameras[0].stream._meter
    for index in range(3):  # the node holds the first images back until it believes them
        count = meter["received"]
        robot.camera.publish(to_message(picture(index), "rgb8", header_of(index)))
        robot.wait_for(lambda: meter["received"] > count, "for the image")  # noqa: B023
        robot.wait_for(lambda: not sam2.cameras[0].stream._has_images, "for it to be taken")
    robot.wait_for(lambda: robot.masklets[-1].header == header_of(2), "for the jump")
    header, _ = show(page, robot, 3)
    assert header["stamp"] == str(stamp_of(3))
    whole = page.wait("presence", lambda event: event["whole"], before)
    assert int(whole["to"]) < stamp_of(100)


def test_paused_node(robot: Robot, sam2: Sam2Node, page: DeskPage, desk: Any) -> None:
    """Its pictures go on, without masklets; and what it refuses says that it is paused."""
    watch(page, robot)
    show(page, robot, 0)
    prompt(page, 0)
    assert page.request("pause", camera=CAMERA)["message"] == "paused; 1 object kept"
    told(page, lambda state: "paused: call ~/resume" in state["problem"])
    robot.wait_for(lambda: not desk.backend.cameras[CAMERA].expects_masklets, "for the desk to give the node up")
    before = len(page.pictures)
    robot.camera.publish(to_message(picture(1), "rgb8", header_of(1)))
    header, _ = page.picture(lambda header: header["stamp"] == str(stamp_of(1)), before)
    assert header["masklets"] is None
    with pytest.raises(Refused, match="paused"):
        prompt(page, 0)
    page.request("resume", camera=CAMERA)
    header, _ = show(page, robot, 2)
    assert [one["object_id"] for one in header["masklets"]] == [1]
    assert page.request("reset", camera=CAMERA)["message"].startswith("1 object forgotten")


def test_node_that_comes_goes_and_comes_back(
    graph: Graph, robot: Robot, make_sam2: Callable[..., Sam2Node], page: DeskPage
) -> None:
    assert page.wait("cameras")["cameras"] == []
    for life in range(2):
        node = make_sam2()
        watch(page, robot)
        show(page, robot, 10 * life)
        seen = len(page.events)
        graph.remove(node)
        gone = told(page, lambda state: not state["online"], seen)
        assert gone["problem"].startswith("the sam2 node is gone")
        with pytest.raises(Refused, match="the sam2 node of /sam2 is gone"):
            page.request("reset", camera=CAMERA)
        page.events.clear()


def test_recorded_masklets_are_no_camera(robot: Robot, sam2: Sam2Node, page: DeskPage) -> None:
    publisher = robot.create_publisher(msg.MaskletArray, "/recorded/masklets", 10)
    robot.create_client(srv.PromptObject, "/recorded/prompt")  # as a desk has one, of a node that has ended
    page.wait("cameras", lambda event: event["cameras"])
    publisher.publish(msg.MaskletArray())
    seen = len(page.events)
    for _ in range(3):
        assert [one["name"] for one in page.wait("cameras", after=seen)["cameras"]] == [CAMERA]
        seen = len(page.events)
    with pytest.raises(Refused, match="no such camera"):
        page.request("reset", camera="/recorded")


def test_several_cameras(graph: Graph, robot: Robot, make_sam2: Callable[..., Sam2Node], page: DeskPage) -> None:
    make_sam2(cameras=["front", "rear"])
    qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
    cameras = {name: robot.create_publisher(Image, f"/{name}/image", qos) for name in ("front", "rear")}
    page.wait("cameras", lambda event: len(event["cameras"]) == 2)
    page.request("watch", cameras=["/sam2/front", "/sam2/rear"], max_width=0)
    robot.wait_for(lambda: all(one.get_subscription_count() == 2 for one in cameras.values()), "for node and desk")
    for number, publisher in enumerate(cameras.values()):
        publisher.publish(to_message(picture(number), "rgb8", header_of(number)))
    for number, name in enumerate(cameras):
        header, _ = page.picture(
            lambda header, name=name: header["camera"] == f"/sam2/{name}" and header["masklets"] == []
        )
        assert (header["key"], header["stamp"]) == (f"/sam2/{name}", str(stamp_of(number)))
    assert told(page, lambda state: True, name="/sam2/rear")["title"] == "sam2/rear"
    before = len(page.pictures)
    page.request("watch", cameras=["/sam2/rear"], max_width=0)
    robot.wait_for(lambda: cameras["front"].get_subscription_count() == 1, "for the desk to unsubscribe", 30.0)
    assert cameras["rear"].get_subscription_count() == 2
    cameras["rear"].publish(to_message(picture(3), "rgb8", header_of(3)))
    page.picture(lambda header: header["stamp"] == str(stamp_of(3)) and header["masklets"] == [], before)


def test_camera_changes_its_resolution(robot: Robot, sam2: Sam2Node, page: DeskPage) -> None:
    watch(page, robot)
    show(page, robot, 0)
    header, pixels = show(page, robot, 1, picture(1, (192, 256)))
    assert (header["height"], header["width"]) == pixels.shape[:2] == (192, 256)
    answer = prompt(page, 1, clicks=[{"x": 200, "y": 150}])
    assert answer["masklet"]["mask"]["width"] == 256
    with pytest.raises(Refused, match="outside the image of 128 x 96 pixels"):
        prompt(page, 0, clicks=[{"x": 200, "y": 150}])


@pytest.mark.parametrize("transport", ["node", "raw"])
def test_jpegs_are_passed_on(
    robot: Robot, make_sam2: Callable[..., Sam2Node], make_desk: Callable[..., Any], transport: str
) -> None:
    """As they are; unless the desk is told to take the raw images beside them."""
    make_sam2(image_transport="compressed")
    desk = make_desk(picture_transport=transport)
    qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
    publisher = robot.create_publisher(CompressedImage, "/image/compressed", qos)
    message = to_jpeg(picture(0)[..., ::-1], header_of(0))
    with DeskPage(desk.server.url) as page:
        page.wait("cameras", lambda event: event["cameras"])
        page.request("watch", cameras=[CAMERA], max_width=0)
        expected = {"node": ("/image/compressed", 2), "raw": ("/image", 1)}[transport]
        robot.wait_for(lambda: robot.count_subscribers(expected[0]) == expected[1], "for the desk")
        robot.wait_for(lambda: publisher.get_subscription_count() == (2 if transport == "node" else 1), "for the desk")
        if transport == "raw":
            robot.wait_for(lambda: robot.camera.get_subscription_count() == 1, "for the desk")
            robot.camera.publish(to_message(picture(0), "rgb8", header_of(0)))
        publisher.publish(message)
        _, jpeg = page.picture(lambda header: header["masklets"] == [])
        assert (jpeg == bytes(message.data)) == (transport == "node")


def test_pages_may_have_smaller_pictures(
    graph: Graph, robot: Robot, sam2: Sam2Node, desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with DeskPage(desk.server.url) as large, DeskPage(desk.server.url) as small:
        watch(large, robot)
        small.wait("cameras", lambda event: event["cameras"])
        small.request("watch", cameras=[CAMERA], max_width=400)
        pixels = picture(0, (720, 1280))
        header, seen = show(large, robot, 0, pixels)
        assert seen.shape == pixels.shape
        header, seen = shown(small, 0)
        assert seen.shape == (270, 480, 3) and (header["height"], header["width"]) == (720, 1280)


def test_node_that_does_not_answer(graph: Graph, robot: Robot, page: DeskPage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody spins it, so that it is there and silent."""
    from rclpy.node import Node

    monkeypatch.setattr(camera, "ANSWER_TIMEOUT", 0.2)
    stuck = Node("sam2", context=graph.context)
    try:
        publisher = stuck.create_publisher(msg.MaskletArray, "~/masklets", 10)
        stuck.create_service(srv.RemoveObject, "~/remove", lambda request, response: response)
        stuck.create_service(srv.PromptObject, "~/prompt", lambda request, response: response)
        page.wait("cameras", lambda event: event["cameras"])
        with pytest.raises(Refused, match="the node has not processed any image yet"):
            prompt(page, 0)
        robot.wait_for(lambda: publisher.get_subscription_count() == 2, "for the desk")
        publisher.publish(msg.MaskletArray(header=header_of(0), height=SIZE[0], width=SIZE[1]))
        page.wait("cameras", lambda event: True, len(page.events))
        with pytest.raises(Refused, match=r"/sam2/remove has not answered for 0\.2 s"):
            page.request("remove", camera=CAMERA, object_id=1)
        with pytest.raises(Refused, match="there is no /sam2/reset: the node has ended, or is starting"):
            page.request("reset", camera=CAMERA)
    finally:
        stuck.destroy_node()


def test_bytes_that_are_no_messages_do_not_end_the_desk(robot: Robot, sam2: Sam2Node, page: DeskPage) -> None:
    watch(page, robot)
    show(page, robot, 0)
    broken = to_message(picture(1), "rgb8", Header(stamp=header_of(1).stamp))
    broken.data = broken.data[:100]
    robot.camera.publish(broken)
    told(page, lambda state: "cut off" in state["problem"])
    header, _ = show(page, robot, 2)
    assert header["stamp"] == str(stamp_of(2))
