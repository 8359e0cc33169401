"""The fuzzer: a short run against a live node, and proof that it notices what goes wrong."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from fuzz import scene
from fuzz.answers import UNTAGGED, Answers, tagged
from fuzz.comparison import differences
from std_msgs.msg import Header

from sam2_ros import msg

FUZZER = Path(__file__).parents[2] / "benchmarks/fuzz.py"


@pytest.mark.slow
def test_600_hostile_messages_leave_the_node_undisturbed() -> None:
    completed = subprocess.run(
        [sys.executable, FUZZER, "--messages", "600"], capture_output=True, text=True, timeout=600
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    assert "0 without an answer" in completed.stdout and "0 differences" in completed.stdout


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


def frame(*masklets: msg.Masklet) -> msg.MaskletArray:
    return msg.MaskletArray(header=scene.header(0), height=4, width=4, masklets=list(masklets))


def masklet(object_id: int, *counts: int) -> msg.Masklet:
    return msg.Masklet(object_id=object_id, present=True, mask=msg.Mask(height=4, width=4, counts=counts))


def test_a_single_pixel_is_a_difference() -> None:
    good, other = scene.GOOD_IDS[0], masklet(3, 0, 16)
    twin = [frame(masklet(good, 3, 5, 8))]
    assert differences([frame(other, masklet(good, 3, 5, 8))], twin) == [], "objects of the attackers do not count"
    assert differences([frame(masklet(good, 3, 6, 7))], twin) == [f"image 0: object {good} differs"]
    assert len(differences([frame(other)], twin)) == 1
    assert len(differences([], twin)) == 1
