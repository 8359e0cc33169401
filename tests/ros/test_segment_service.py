"""~/segment on the real graph."""

from __future__ import annotations

import threading

import node_log
import numpy as np
import pytest
from robot import CLICK, SIZE, TIMEOUT, Robot, header_of, picture, stamp_of
from sensor_msgs.msg import Image, RegionOfInterest
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from sam2_ros import msg, srv
from sam2_ros.ros.images import to_message
from sam2_ros.ros.node import Sam2Node
from sam2_ros.ros.segment_service import MAX_PROMPTS
from sam2_ros.ros.stamps import nanoseconds, time_message
from sam2_ros.tracking import rle
from sam2_ros.tracking.image_predictor import Candidates, ImagePredictor
from sam2_ros.tracking.prompt import Box, Click, Prompt

BOX = msg.Prompt(label="cup", box=RegionOfInterest(x_offset=16, y_offset=24, width=26, height=24))


def segment(robot: Robot, image: Image | None = None, *prompts: msg.Prompt) -> srv.SegmentImage.Response:
    return robot.call(srv.SegmentImage, "sam2/segment", image=image or Image(), prompts=list(prompts))


def masks(candidates: msg.Candidates) -> np.ndarray:
    return np.stack([rle.decode(m.mask.counts, m.mask.height, m.mask.width) for m in candidates.masklets])


def test_sent_image_is_segmented_and_nothing_is_tracked(robot: Robot, sam2: Sam2Node) -> None:
    own = np.rot90(picture(3)).copy()  # of another size than the camera's
    response = segment(robot, to_message(own[..., ::-1], "bgr8", header_of(77)), CLICK, BOX, msg.Prompt())
    assert response.success and not response.message and response.header == header_of(77)
    click, box, empty = response.results

    predictor = ImagePredictor(sam2.cameras[0].stream._session.tracker.network)
    predictor.set_image(own)
    expected = predictor.predict([Click(40, 36)])
    assert click.accepted and np.array_equal(masks(click), expected.masks)
    assert [masklet.iou for masklet in click.masklets] == pytest.approx(expected.iou.tolist())
    assert sorted(expected.iou, reverse=True) == expected.iou.tolist()
    assert box.accepted and np.array_equal(masks(box), predictor.segment(Prompt(box=Box(16, 24, 26, 24))).masks)
    assert (box.masklets[0].object_id, box.masklets[0].label, box.masklets[0].present) == (0, "cup", True)
    assert not empty.accepted and "the prompt is empty" in empty.message and not empty.masklets
    assert robot.call(srv.ListObjects, "sam2/list").objects == [] and not robot.results and not robot.masklets


def test_processed_images_are_segmented_by_stamp_without_disturbing_tracking(robot: Robot, sam2: Sam2Node) -> None:
    for index in range(3):
        robot.show(index)
    assert robot.prompt(BOX)[0].accepted
    before = robot.show(3)
    by_stamp = segment(robot, Image(header=Header(stamp=time_message(stamp_of(1)))), CLICK)
    newest = segment(robot, None, CLICK)
    assert by_stamp.header == header_of(1) and newest.header == header_of(3)
    same = segment(robot, to_message(picture(1), "rgb8", header_of(1)), CLICK)
    assert np.array_equal(masks(by_stamp.results[0]), masks(same.results[0]))
    assert masks(by_stamp.results[0]).shape == (3, *SIZE)
    assert robot.call(srv.ListObjects, "sam2/list").header == before.header

    old = segment(robot, Image(header=Header(stamp=time_message(stamp_of(-1)))), CLICK)
    assert not old.success and "older than the newest" in old.message and not old.results
    assert nanoseconds(old.header.stamp) == 0


def test_mask_is_corrected_by_clicks(robot: Robot, sam2: Sam2Node) -> None:
    robot.show(0)
    mask = np.zeros(SIZE, np.uint8)
    mask[24:48, 16:42] = 255
    message = to_message(mask, "mono8", Header())
    corrected, alone, elsewhere = segment(
        robot,
        None,
        msg.Prompt(clicks=CLICK.clicks, mask=message),
        msg.Prompt(mask=message),
        msg.Prompt(clicks=[msg.Click(x=500.0, y=2.0)]),
    ).results
    assert corrected.accepted and len(corrected.masklets) == 1
    assert not alone.accepted and "give the clicks or the box" in alone.message
    assert not elsewhere.accepted and "outside the image" in elsewhere.message


def test_cleanup_in_the_middle_of_a_request_is_no_error(
    robot: Robot, sam2: Sam2Node, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    stream = sam2.cameras[0].stream
    begun, closed = threading.Event(), threading.Event()
    original, close = ImagePredictor.segment, stream._calls.close

    def held(*arguments: object) -> Candidates:
        begun.set()
        assert closed.wait(TIMEOUT)
        return original(*arguments)

    monkeypatch.setattr(ImagePredictor, "segment", held)
    monkeypatch.setattr(stream._calls, "close", lambda reason: (close(reason), closed.set()))
    ending = threading.Thread(target=lambda: begun.wait(TIMEOUT) and sam2._release())
    ending.start()
    response = segment(robot, to_message(picture(0), "rgb8", header_of(0)), CLICK, CLICK)
    ending.join(TIMEOUT)
    assert not response.success and response.message == "the node is shutting down"
    assert "ERROR" not in node_log.written()


def test_requests_that_cannot_be_answered(robot: Robot, sam2: Sam2Node) -> None:
    def refusal(image: Image | None, *prompts: msg.Prompt) -> str:
        response = segment(robot, image, *prompts)
        assert not response.success and not response.results
        return response.message

    image = to_message(picture(0), "rgb8", header_of(0))
    assert "no image has been seen" in refusal(None, CLICK)
    assert "0 prompts; give 1 to 64" in refusal(image)
    assert f"{MAX_PROMPTS + 1} prompts" in refusal(image, *[CLICK] * (MAX_PROMPTS + 1))
    assert "the encoding 'hsv9' is not known" in refusal(Image(height=2, width=2, encoding="hsv9", data=b"1234"), CLICK)
    assert "has no size" in refusal(Image(encoding="rgb8", data=b"1234"), CLICK)
    image.data = image.data[:100]
    assert refusal(image, CLICK)
    assert robot.call(Trigger, "sam2/pause").success
    assert segment(robot, to_message(picture(0), "rgb8", header_of(0)), CLICK).success, (
        "it is asked for, also in a pause"
    )
    sam2.trigger_deactivate()
    assert "not active" in refusal(to_message(picture(0), "rgb8", header_of(0)), CLICK)
    sam2.trigger_cleanup()
    assert "not configured" in refusal(None, CLICK)
