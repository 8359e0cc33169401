"""Prompts in bags, against the messages that were written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer

from sam2_ros.data.bag_types import typestore
from sam2_ros.data.clips import ClipError
from sam2_ros.data.timed_prompt import Moment
from sam2_ros.recordings.bag_prompts import choose_topic, prompt_topics, read_bag_prompts
from sam2_ros.tracking.prompt import Box, Click

SECOND = 1_000_000_000
STAMPS = [10 * SECOND + 100_000_000 * index for index in range(10)]
TIMES = [stamp + 20_000_000 for stamp in STAMPS]
"""Images are recorded 20 ms after their stamps."""


def message(object_id: int = 0, **fields: Any) -> dict[str, Any]:
    """Fields of a Prompt; clicks as (x, y, positive), a box as (x, y, width, height), a mask as bool [H, W]."""
    return {"object_id": object_id, "clicks": [], "box": (0, 0, 0, 0), "mask": None, "encoding": "mono8"} | fields


def write(path: Path, arrays: Sequence[tuple[str, int, int, list[dict[str, Any]]]], plugin: str = "MCAP") -> Path:
    """A bag with PromptArrays: topic, log time, stamp, prompts."""
    store = typestore()
    types = store.types

    def prompt(fields: dict[str, Any]) -> Any:
        header = types["std_msgs/msg/Header"](types["builtin_interfaces/msg/Time"](0, 0), "")
        mask = fields["mask"]
        height, width = (0, 0) if mask is None else mask.shape
        data = np.zeros(0, np.uint8) if mask is None else 255 * mask.astype(np.uint8).reshape(-1)
        x, y, box_width, box_height = fields["box"]
        return types["sam2_ros/msg/Prompt"](
            object_id=fields["object_id"],
            label=fields.get("label", ""),
            clicks=[types["sam2_ros/msg/Click"](*click) for click in fields["clicks"]],
            box=types["sensor_msgs/msg/RegionOfInterest"](x, y, box_height, box_width, False),
            mask=types["sensor_msgs/msg/Image"](header, height, width, fields["encoding"], 0, width, data),
            replace=fields.get("replace", False),
        )

    with Writer(path, version=9, storage_plugin=StoragePlugin[plugin]) as writer:
        topics = {
            topic: writer.add_connection(topic, "sam2_ros/msg/PromptArray", typestore=store)
            for topic in dict.fromkeys(topic for topic, *_ in arrays)
        }
        for topic, time, stamp, prompts in arrays:
            header = types["std_msgs/msg/Header"](
                types["builtin_interfaces/msg/Time"](*divmod(stamp, SECOND)), "camera"
            )
            array = types["sam2_ros/msg/PromptArray"](header, [prompt(fields) for fields in prompts])
            writer.write(topics[topic], time, store.serialize_cdr(array, "sam2_ros/msg/PromptArray"))
    return path


@pytest.mark.parametrize("plugin", ["MCAP", "SQLITE3"])
def test_everything_in_the_messages_is_read(tmp_path: Path, plugin: str) -> None:
    mask = np.zeros((6, 8), bool)
    mask[2:4, 3:7] = True
    first = message(7, label="cup", clicks=[(3.5, 4.0, True), (5.0, 6.0, False)])
    second = message(0, box=(1, 2, 3, 4), replace=True)
    third = message(9, mask=mask)
    topic = "/sam2/applied_prompts"
    bag = write(
        tmp_path / "bag", [(topic, TIMES[3], STAMPS[3], [first, second]), (topic, 1, STAMPS[1], [third])], plugin
    )
    prompts, left_out = read_bag_prompts(bag, topic, STAMPS, TIMES)
    assert not left_out
    by_id = {timed.prompt.object_id: timed for timed in prompts}
    assert [timed.prompt.object_id for timed in prompts] == [9, 7, 0]  # as they were recorded
    assert [timed.moment for timed in prompts] == [Moment(STAMPS[index], "ns") for index in (1, 3, 3)]
    assert by_id[7].prompt.label == "cup"
    assert by_id[7].prompt.clicks == (Click(3.5, 4.0, True), Click(5.0, 6.0, False))
    assert by_id[7].prompt.box is None and by_id[7].prompt.mask is None and not by_id[7].prompt.replace
    assert by_id[0].prompt.box == Box(1, 2, 3, 4) and by_id[0].prompt.replace
    np.testing.assert_array_equal(np.asarray(by_id[9].prompt.mask) > 0, mask)
    assert [timed.name for timed in prompts] == [f"prompt {number} on {topic}" for number in (1, 2, 3)]


def test_without_a_stamp_it_is_the_newest_image_that_was_recorded(tmp_path: Path) -> None:
    click = [message(clicks=[(1.0, 1.0, True)])]
    late = TIMES[4] + 1
    bag = write(
        tmp_path / "bag",
        [("/sam2/prompts", time, 0, click) for time in (TIMES[0] - 1, TIMES[0], late, TIMES[-1] + 5 * SECOND)],
    )
    # the image of STAMPS[5] was recorded before that of STAMPS[4]
    times = [*TIMES[:4], TIMES[5], TIMES[4], *TIMES[6:]]
    prompts, _ = read_bag_prompts(bag, "/sam2/prompts", STAMPS, times)
    newest = [None, STAMPS[0], STAMPS[5], STAMPS[-1]]
    assert [timed.moment and timed.moment.value for timed in prompts] == newest


def test_mask_that_cannot_be_read_is_left_out_and_named(tmp_path: Path) -> None:
    damaged = message(mask=np.ones((2, 2), bool), encoding="rgb8")
    bag = write(tmp_path / "bag", [("/p", 1, STAMPS[0], [damaged, message(clicks=[(1.0, 1.0, True)])])])
    prompts, (problem,) = read_bag_prompts(bag, "/p", STAMPS, TIMES)
    assert [timed.name for timed in prompts] == ["prompt 2 on /p"]
    assert problem.startswith("prompt 1 on /p: the mask cannot be read: the encoding of a mask must be mono8")


def test_applied_prompts_are_preferred(tmp_path: Path) -> None:
    click = [message(clicks=[(1.0, 1.0, True)])]

    def bag(*topics: str) -> Path:
        return write(tmp_path / "-".join(topics).replace("/", "_"), [(topic, 1, STAMPS[0], click) for topic in topics])

    both = bag("/sam2/prompts", "/sam2/applied_prompts")
    assert prompt_topics(both) == ["/sam2/applied_prompts", "/sam2/prompts"]
    assert choose_topic(both) == "/sam2/applied_prompts"
    assert choose_topic(both, "/sam2/prompts") == "/sam2/prompts"
    assert choose_topic(bag("/left/prompts")) == "/left/prompts"
    with pytest.raises(
        ClipError, match=re.escape("no prompts on /no; topics with prompts: /sam2/applied_prompts, /sam2")
    ):
        choose_topic(both, "/no")
    two = bag("/left/applied_prompts", "/right/applied_prompts", "/left/prompts")
    with pytest.raises(
        ClipError, match="prompts on /left/applied_prompts, /right/applied_prompts; choose with --prompts"
    ):
        choose_topic(two)


def test_bag_without_prompts(tmp_path: Path) -> None:
    bag = write(tmp_path / "bag", [])
    assert choose_topic(bag) is None
    with pytest.raises(ClipError, match="no prompts on /p; topics with prompts: none"):
        choose_topic(bag, "/p")


def test_damaged_bag_is_one_line(tmp_path: Path) -> None:
    bag = write(tmp_path / "bag", [("/p", 1, STAMPS[0], [message(clicks=[(1.0, 1.0, True)])])])
    next(bag.glob("*.mcap")).write_bytes(b"no bag")
    with pytest.raises(ClipError, match=r"cannot be read: [^\n]+$"):
        choose_topic(bag)
