"""A recording, live and offline: the same masklets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from robot import BOX, CLICK, PERIOD, Graph, Robot, picture
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from sam2_ros import msg
from sam2_ros.checkpoints.load import load_model
from sam2_ros.data.bag import write
from sam2_ros.data.clip import Clip
from sam2_ros.recordings.masklet_store import MaskletStore
from sam2_ros.recordings.open_recording import open_recording
from sam2_ros.recordings.prompts import ScheduledPrompt
from sam2_ros.recordings.track import track
from sam2_ros.ros.images import to_message
from sam2_ros.ros.prompts import from_message
from sam2_ros.ros.stamps import time_message
from sam2_ros.tracking.tracker import Tracker

FRAMES = 10
SHAPE = (picture(3)[..., 0] > 200).astype(np.uint8) * 255
PROMPTS = {
    2: [CLICK, BOX],
    4: [msg.Prompt(mask=to_message(SHAPE, "mono8", Header()), label="square")],
    5: [msg.Prompt(object_id=2, clicks=[msg.Click(x=100.0, y=80.0, positive=False), *CLICK.clicks])],
    7: [msg.Prompt(object_id=1, box=BOX.box, replace=True), msg.Prompt(clicks=[msg.Click(x=9.0, y=9.0)])],
}
"""By image: four objects that come one after the other, two of which are prompted again."""


def test_live_and_offline_are_equal(graph: Graph, robot: Robot, checkpoint: Path, tmp_path: Path) -> None:
    frames = [picture(index) for index in range(FRAMES)]
    write(Clip("moving", frames, (), [None] * FRAMES, 1e9 / PERIOD), tmp_path / "bag")
    recording = open_recording(tmp_path / "bag")

    node = graph.sam2(checkpoint=str(checkpoint), keep_all=True)
    robot.wait_until_connected()
    for frame, prompts in PROMPTS.items():
        robot.prompts.publish(msg.PromptArray(header=header(recording.stamps[frame]), prompts=prompts))
    waiting = sum(map(len, PROMPTS.values()))
    robot.wait_for(lambda: len(node.cameras[0].stream._prompts) == waiting, "for the prompts to arrive")
    for image in recording.images():
        message: Image = to_message(image.pixels, "rgb8", header(image.stamp))
        robot.camera.publish(message)
    robot.wait_for(lambda: len(robot.masklets) == FRAMES, "for masklets")
    assert all(result.accepted for result in robot.results) and len(robot.results) == waiting
    assert [len(array.masklets) for array in robot.masklets] == [0, 0, 2, 2, 3, 3, 3, 4, 4, 4]

    results = iter(robot.results)  # in the order of prompts
    scheduled = []
    for frame, prompts in PROMPTS.items():
        for message in prompts:
            prompt = replace(from_message(message), object_id=next(results).object_id)
            scheduled.append(ScheduledPrompt(frame, prompt))
    tracker = Tracker(load_model(checkpoint=checkpoint), history=1)
    for attempt in ("once", "again"):
        with MaskletStore(tmp_path / f"{attempt}.db", {}) as store:
            track(recording, scheduled, tracker, store, backward=False)
            assert store.labels == {masklet.object_id: masklet.label for masklet in robot.masklets[-1].masklets}
            for stored, live in zip(store.frames(), robot.masklets, strict=True):
                assert header(stored.stamp) == live.header and len(stored.masks) == len(live.masklets)
                for mask, masklet in zip(stored.masks, live.masklets, strict=True):
                    assert mask.object_id == masklet.object_id
                    assert mask.present == masklet.present and np.array_equal(mask.counts, masklet.mask.counts)
                    assert np.float32(mask.presence) == np.float32(masklet.presence)
                    assert np.float32(mask.iou) == np.float32(masklet.iou)


def header(stamp: int) -> Header:
    return Header(stamp=time_message(stamp), frame_id="camera")
