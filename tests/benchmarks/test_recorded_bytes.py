"""The benchmark of recorded bytes, on a few small images."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import recorded_bytes
from rosbags.highlevel import AnyReader

from sam2_ros.data.bag_writer import BagWriter
from sam2_ros.tracking import rle

pytestmark = pytest.mark.slow


def test_all_bags_hold_the_same_masks(tmp_path) -> None:
    masks = np.zeros((2, 48, 64), bool)
    masks[0, 10:20, 5:25] = masks[1, 30:34, 40:60] = True
    names = recorded_bytes.OURS, recorded_bytes.LABELS, recorded_bytes.MASKS
    recordings = {
        name: recorded_bytes.Recording(BagWriter(tmp_path / name.replace(" ", "_")))
        for name in (*names, recorded_bytes.LABELS_PNG, recorded_bytes.MASKS_PNG)
    }
    recorded_bytes.record(recorded_bytes.frame_of(masks, recorded_bytes.START), recordings)
    read: dict[str, np.ndarray] = {}
    for recording in recordings.values():
        recording.bag.close()
        with AnyReader([recording.bag.folder]) as reader:
            for connection, _, data in reader.messages():
                message = reader.deserialize(data, connection.msgtype)
                if connection.topic == "/sam2/masklets":
                    read |= {each.object_id: rle.decode(each.mask.counts, 48, 64) for each in message.masklets}
                elif "compressed" not in connection.topic:
                    kind = "<u2" if message.encoding == "mono16" else "u1"
                    read[connection.topic] = message.data.view(kind).reshape(48, 64)
    for number, mask in enumerate(masks, 1):
        assert np.array_equal(read[number], mask)
        assert np.array_equal(read[f"/sam2/masks/object_{number}"], mask * np.uint8(255))
        assert np.array_equal(read["/sam2/labels"] == number, mask)


def test_table_and_tracked_bytes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--seconds", "0.1", "--objects", "2", "--size", "160x120", "--tracked", "2"]
    monkeypatch.setattr(sys, "argv", ["recorded_bytes.py", *arguments])
    assert recorded_bytes.main() == 0
    printed = capsys.readouterr().out
    assert "3 images of 160x120, 2 objects" in printed and "tracked by" in printed
    assert "mono8 masks, PNG" in printed
