"""~/save on the real graph."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from robot import BOX, TIMEOUT, Graph, Robot, header_of, picture
from std_srvs.srv import Trigger

from sam2_ros import srv
from sam2_ros.ros import saved_folder
from sam2_ros.tracking import rle


def test_tracked_objects_are_saved(graph: Graph, robot: Robot, checkpoint: Path, tmp_path: Path) -> None:
    node = graph.sam2(checkpoint=str(checkpoint), save_folder=str(tmp_path / "saved"))
    robot.wait_until_connected()
    early = robot.call(srv.SaveObjects, "sam2/save", folder="kitchen")
    assert not early.success and "no image has been processed yet" in early.message and not early.folder
    robot.show(0)
    assert robot.prompt(BOX)[0].accepted
    (masklet,) = robot.show(1).masklets

    saved = robot.call(srv.SaveObjects, "sam2/save", folder="kitchen")
    assert saved.success and saved.message == f"1 object saved in {saved.folder}"
    folder = Path(saved.folder)
    assert folder.parent == tmp_path / "saved/kitchen"
    described = json.loads((folder / "objects.json").read_text())
    assert described["frame_id"] == header_of(1).frame_id and described["objects"][0]["object_id"] == 1
    assert np.array_equal(np.asarray(Image.open(folder / "image.png")), picture(1))
    mask = rle.decode(np.array(masklet.mask.counts), masklet.mask.height, masklet.mask.width)
    assert np.array_equal(np.asarray(Image.open(folder / "mask_1.png")) > 0, mask)

    outside = robot.call(srv.SaveObjects, "sam2/save", folder="../elsewhere")
    assert not outside.success and "parameter save_folder" in outside.message
    assert robot.call(Trigger, "sam2/pause").success
    node.trigger_deactivate()
    assert robot.call(srv.SaveObjects, "sam2/save").success, "in every state that has objects"
    node.trigger_cleanup()
    gone = robot.call(srv.SaveObjects, "sam2/save")
    assert not gone.success and "not configured" in gone.message
    assert len([path for path in tmp_path.rglob("objects.json")]) == 2


def test_slow_disk_does_not_hold_up_images_and_prompts(
    graph: Graph, robot: Robot, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph.sam2(checkpoint=str(checkpoint), save_folder=str(tmp_path))
    robot.wait_until_connected()
    robot.show(0)
    writing, is_quick, original = threading.Event(), threading.Event(), saved_folder.write_pixels

    def write(*arguments: object) -> None:
        writing.set()
        assert is_quick.wait(TIMEOUT)
        original(*arguments)

    monkeypatch.setattr(saved_folder, "write_pixels", write)
    client = robot.create_client(srv.SaveObjects, "sam2/save")
    assert client.wait_for_service(TIMEOUT)
    answer = client.call_async(srv.SaveObjects.Request())
    assert writing.wait(TIMEOUT)
    robot.show(1)
    assert robot.call(srv.PromptObject, "sam2/prompt", prompt=BOX).result.accepted
    assert len(robot.show(2).masklets) == 1 and not answer.done()
    is_quick.set()
    robot.wait_for(answer.done, "for ~/save")
    described = json.loads(Path(answer.result().folder, "objects.json").read_text())
    assert described["objects"] == [], "what was tracked when it was called"
