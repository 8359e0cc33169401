"""~/pause and ~/resume on the real graph."""

from __future__ import annotations

from pathlib import Path

import pytest
from detector import HERE, detection, message
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from robot import CLICK, TIMEOUT, Graph, Robot, header_of, picture
from std_srvs.srv import Trigger

from sam2_ros import msg, srv
from sam2_ros.data.image_message import ImageDecoder
from sam2_ros.ros.images import to_message
from sam2_ros.ros.node import Sam2Node
from sam2_ros.ros.prompt_applier import PromptApplier
from sam2_ros.ros.waiting_prompt import WaitingPrompt
from sam2_ros.tracking.image_encoder import ImageEncoder


def test_nothing_is_computed_while_paused(robot: Robot, sam2: Sam2Node, monkeypatch: pytest.MonkeyPatch) -> None:
    robot.show(0)
    assert robot.prompt(CLICK)[0].accepted
    done: list[str] = []
    for cls, name in ((ImageDecoder, "to_rgb"), (ImageEncoder, "encode")):
        original = getattr(cls, name)
        monkeypatch.setattr(cls, name, lambda *a, name=name, original=original: done.append(name) or original(*a))

    for _ in range(2):  # once more changes nothing
        answer = robot.call(Trigger, "sam2/pause")
        assert answer.success and answer.message == "paused; 1 object kept"
    diagnostics = robot.listen(DiagnosticArray, "/diagnostics")
    processed = len(robot.masklets)
    for index in range(1, 4):
        robot.camera.publish(to_message(picture(index), "rgb8", header_of(index)))
    assert not (refused := robot.prompt(CLICK)[0]).accepted and "paused; call ~/resume" in refused.message
    robot.wait_for(lambda: any("paused: call ~/resume; 1 object kept" in m.status[0].message for m in diagnostics))
    assert [masklet.object_id for masklet in robot.call(srv.ListObjects, "sam2/list").objects] == [1]
    assert not done and len(robot.masklets) == processed

    for _ in range(2):
        answer = robot.call(Trigger, "sam2/resume")
        assert answer.success and answer.message == "resumed with 1 object"
    assert [masklet.object_id for masklet in robot.show(9).masklets] == [1]
    assert robot.prompt(CLICK)[0].object_id == 2


def test_pause_survives_deactivation_and_ends_with_cleanup(robot: Robot, sam2: Sam2Node) -> None:
    def change(*transitions: int) -> None:
        for transition in transitions:
            assert robot.call(ChangeState, "sam2/change_state", transition=Transition(id=transition)).success

    assert robot.call(Trigger, "sam2/pause").success
    change(Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVATE)
    assert sam2.cameras[0].stream.paused
    change(Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP)
    for name in ("pause", "resume"):
        answer = robot.call(Trigger, f"sam2/{name}")
        assert not answer.success and answer.message == "the node is not configured"
    change(Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)
    robot.wait_until_connected()
    robot.show(0)


def test_detections_that_are_decided_on_meanwhile_start_nothing(
    graph: Graph, robot: Robot, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = graph.sam2(checkpoint=str(checkpoint), detection_confirm=1, detection_confirm_within=1)
    robot.wait_until_connected()
    robot.show(0)
    stream, decide, decided = node.cameras[0].stream, PromptApplier.decide, []

    def paused_meanwhile(*arguments: object) -> tuple[list[WaitingPrompt], bool]:
        following, changed = decide(*arguments)
        decided.extend(following)
        stream.pause()
        return following, changed

    monkeypatch.setattr(PromptApplier, "decide", paused_meanwhile)
    node.cameras[0].inbox.put_detections(message(0, detection(HERE, 0.9)))
    robot.wait_for(lambda: len(decided), "for the decision")
    assert stream.newest().result(TIMEOUT) is not None  # once the loop has gone on
    assert stream.newest().result(TIMEOUT) is not None
    assert stream.objects == 0 and not len(stream._prompts)


def test_prompts_that_wait_are_refused_by_a_pause(graph: Graph, robot: Robot, sam2: Sam2Node) -> None:
    robot.show(0)
    robot.prompts.publish(msg.PromptArray(header=header_of(5), prompts=[CLICK]))
    robot.wait_for(lambda: len(sam2.cameras[0].stream._prompts), "for the prompt")
    assert robot.call(Trigger, "sam2/pause").success
    (result,) = robot.next_results(0)
    assert not result.accepted and "paused" in result.message
