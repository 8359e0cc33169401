"""The fuzzer: a short run against a live node, and proof that it notices what goes wrong."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import message_packages
import pytest
from fuzz import scene
from fuzz.answers import UNTAGGED, Answers, tagged
from fuzz.campaign import Outcome
from fuzz.comparison import differences
from std_msgs.msg import Header

from sam2_ros import msg

FUZZER = Path(__file__).parents[2] / "benchmarks/fuzz.py"


@pytest.mark.slow
def test_600_hostile_messages_leave_the_node_undisturbed() -> None:
    environment = dict(os.environ)
    if importlib.util.find_spec("vision_msgs") is None:
        environment |= message_packages.environment_of(message_packages.cached("vision_msgs"))
    command = [sys.executable, FUZZER, "--messages", "600"]
    completed = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    for kind in ("images, raw", "images, compressed", "detections", "~/prompt", "bytes on the wire"):
        assert re.search(rf"^{kind} +[1-9]", completed.stdout, re.MULTILINE), kind


def refusal(tag: str) -> msg.PromptResult:
    return msg.PromptResult(header=Header(frame_id=tagged(tag, "\n")))


def test_missing_and_repeated_answers_are_noticed() -> None:
    answers = Answers()
    answers.expect("array 1", 2)
    answers.expect("array 2")
    answers.expect("dropped", at_most=True)
    answers.expect(UNTAGGED)
    for tag in ("array 1", "array 2", "array 2"):
        answers.receive(refusal(tag))
    answers.receive(msg.PromptResult(accepted=True))
    assert not answers.is_complete
    answers.receive(msg.PromptResult(accepted=True, masklet=msg.Masklet(label=tagged("array 1"))))
    assert answers.is_complete
    assert answers.settle() == (4, Counter(), Counter({"array 2": 1}))
    answers.expect("array 3")
    assert answers.settle() == (1, Counter({"array 3": 1}), Counter())


@pytest.mark.parametrize(
    ("seen", "violated"),
    [
        ({}, None),
        ({"death": "the victim has ended with status -11"}, "no crash"),
        ({"status": 1}, "no crash"),
        ({"tracebacks": 1}, "no crash"),
        ({"hangs": 1}, "no hang"),
        ({"unanswered": 1}, "one answer for each prompt"),
        ({"surplus": 1}, "one answer for each prompt"),
        ({"unanswered_calls": 1}, "one answer for each call"),
        ({"differences": 1}, "objects equal to the twin's"),
        ({"log_bytes": 10_001}, "log"),
    ],
)
def test_each_property_can_be_violated(seen: dict[str, object], violated: str | None) -> None:
    outcome = Outcome(**{"status": 0, "seconds": 10.0, **seen})
    assert [name for name, holds in outcome.checks.items() if not holds] == ([violated] if violated else [])


def frame(*masklets: msg.Masklet) -> msg.MaskletArray:
    return msg.MaskletArray(header=scene.header(0), height=4, width=4, masklets=list(masklets))


def masklet(object_id: int, *counts: int) -> msg.Masklet:
    return msg.Masklet(object_id=object_id, present=True, mask=msg.Mask(height=4, width=4, counts=counts))


def test_a_single_pixel_is_a_difference() -> None:
    good, other = scene.GOOD_IDS[0], masklet(3, 0, 16)
    twin = [frame(masklet(good, 3, 5, 8))]
    assert differences([frame(other, masklet(good, 3, 5, 8))], twin) == [], "objects of the attackers do not count"
    assert differences([frame(masklet(good, 3, 6, 7))], twin) == [
        f"image 0: object {good}: 1 pixels, with probabilities 0.0000000 and 0.0000000"
    ]
    assert differences([frame(masklet(good, 3, 6, 7))], twin, rounding=1) == []
    assert len(differences([frame(masklet(good, 3, 7, 6))], twin, rounding=1)) == 1
    assert len(differences([frame(other)], twin)) == 1
    assert len(differences([], twin)) == 1
