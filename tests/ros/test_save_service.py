"""~/save on the real graph."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image
from robot import BOX, Graph, Robot, header_of, picture
from std_srvs.srv import Trigger

from sam2_ros import srv
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
    assert saved.success and saved.message == f"1 objects are saved in {saved.folder}"
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
