"""Hostile prompts, by topic and by service."""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import RegionOfInterest
from std_msgs.msg import Header

from fuzz import scene
from fuzz.answers import tagged
from fuzz.attack import Attack, number, odd_time, text
from fuzz.images import MAX_SIDE
from fuzz.rig import Rig
from sam2_ros import msg, srv
from sam2_ros.ros.images import to_message
from sam2_ros.ros.stamps import time_message


def invalid(random: np.random.Generator) -> tuple[msg.Prompt, str]:
    """A prompt that has to be refused, mostly for a good object. Returns what is wrong, too."""
    ids = [0, *scene.GOOD_IDS, *scene.GOOD_IDS, 1, 2, 77, 65_535]
    prompt = msg.Prompt(object_id=ids[random.integers(len(ids))], replace=bool(random.integers(2)))
    inside = msg.Click(x=80.0, y=60.0)
    wrong = [
        "nothing",
        "only negative",
        "number",
        "outside",
        "many clicks",
        "object ID",
        "label",
        "flat box",
        "box outside",
        "mask of another size",
        "mask of another encoding",
        "mask cut off",
        "empty mask",
        "mask without size",
        "faint mask",
    ][random.integers(15)]
    mask = np.full((scene.HEIGHT, scene.WIDTH), 255, np.uint8)
    if wrong == "only negative":
        prompt.clicks, prompt.replace = [msg.Click(x=80.0, y=60.0, positive=False)], True
    elif wrong == "number":
        prompt.clicks = [inside, msg.Click(x=float32(number(random)), y=60.0)]
    elif wrong == "outside":
        column = float(random.choice([-0.01, -1.0, MAX_SIDE, 1e6]))
        prompt.clicks = [msg.Click(x=column, y=float(random.choice([-1.0, 5.0])), positive=bool(random.integers(2)))]
    elif wrong == "many clicks":
        prompt.clicks = [inside] * int(random.choice([65, 1000, 20_000]))
    elif wrong == "object ID":
        prompt.object_id, prompt.clicks = int(random.choice([65_536, 2**31, 2**32 - 1])), [inside]
    elif wrong == "label":
        prompt.label, prompt.clicks = "é" * int(random.choice([257, 5000, 300_000])), [inside]
    elif wrong == "flat box":
        prompt.box = RegionOfInterest(x_offset=5, y_offset=5, width=int(random.choice([1, 50, 2**32 - 1])), height=0)
    elif wrong == "box outside":
        offset = int(random.choice([MAX_SIDE, 2**31, 2**32 - 1]))
        prompt.box = RegionOfInterest(x_offset=offset, y_offset=5, width=int(random.choice([1, 2**32 - 1])), height=9)
    elif wrong.startswith("mask of"):
        prompt.mask = to_message(mask, "mono8", Header())
        if wrong.endswith("size"):
            prompt.mask.height = int(random.integers(1, scene.HEIGHT))
        else:
            prompt.mask.encoding = str(random.choice(["", "mono16", "8UC3", "rgb8", "m" * 10_000]))
    elif wrong == "mask cut off":
        prompt.mask = to_message(mask, "mono8", Header())
        prompt.mask.data = prompt.mask.data[: int(random.integers(1, mask.size))]
    elif wrong == "empty mask":
        prompt.mask = to_message(np.zeros_like(mask), "mono8", Header())
    elif wrong == "mask without size":
        prompt.mask = to_message(mask, "mono8", Header())
        prompt.mask.width = 0
    elif wrong == "faint mask":
        prompt.mask = to_message(np.linspace(1, 255, mask.size).reshape(mask.shape).astype(np.uint8), "mono8", Header())
    return prompt, wrong


def valid(random: np.random.Generator, tag: str) -> msg.Prompt:
    """A prompt for something of its own."""
    prompt = msg.Prompt(object_id=int(random.choice([0, 0, 1, 2, 3, 77])), label=tagged(tag, "é\n%s"))
    x, y = int(random.integers(scene.WIDTH - 20)), int(random.integers(scene.HEIGHT - 20))
    if random.random() < 0.5:
        prompt.clicks = [msg.Click(x=float(x), y=float(y))]
    else:
        prompt.box = RegionOfInterest(x_offset=x, y_offset=y, width=int(random.integers(2, 400)), height=18)
    prompt.replace = bool(random.integers(2))
    return prompt


def when(random: np.random.Generator, index: int) -> Time:
    """The stamp of an image: of any in the history, none, or one that no image has."""
    choice = random.random()
    if choice < 0.4:
        return time_message(scene.stamp(index))
    if choice < 0.55:
        return Time()
    if choice < 0.8:
        return time_message(scene.stamp(index) + int(random.integers(-30, 15)) * scene.PERIOD // 2)
    return odd_time(random)


def float32(value: float) -> float:
    """The nearest number of a message's float32 field."""
    with np.errstate(over="ignore"):
        return float(np.float32(value))


class Prompts(Attack):
    """Arrays of prompts on ~/prompts, most of them invalid."""

    name = "prompts"
    share = 3.0

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig)
        self._prompts = rig.victim.prompts
        self._sent = 0

    def send(self, random: np.random.Generator) -> str:
        tag = f"array {(number := self._sent)}"
        self._sent += 1
        header = Header(stamp=when(random, self.rig.index), frame_id=tagged(tag, text(random)))
        count = int(random.choice([0, 1, 1, 1, 2, 5, 150], p=[0.05, 0.3, 0.3, 0.2, 0.1, 0.045, 0.005]))
        array, wrongs = msg.PromptArray(header=header), []
        for _ in range(count):
            if random.random() < 0.08 and count <= 5:
                prompt, wrong = valid(random, tag), "valid"
            else:
                prompt, wrong = invalid(random)
            array.prompts.append(prompt)
            wrongs.append(wrong)
        self.rig.answers.expect(tag, count)
        self._prompts.publish(array)
        return f"prompt array {number}: {', '.join(wrongs[:5])}"


class PromptCalls(Attack):
    """Calls of ~/prompt."""

    name = "~/prompt"
    while_inactive = True

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig)
        self._client = rig.client(srv.PromptObject, "prompt")
        self._sent = 0

    def send(self, random: np.random.Generator) -> str:
        tag = f"call {self._sent}"
        self._sent += 1
        prompt, wrong = (valid(random, tag), "valid") if random.random() < 0.1 else invalid(random)
        header = Header(stamp=when(random, self.rig.index), frame_id=tagged(tag, text(random)))
        self.rig.answers.expect(tag)
        self.rig.call(self._client, srv.PromptObject.Request(header=header, prompt=prompt))
        return f"{tag} of ~/prompt: {wrong}"
