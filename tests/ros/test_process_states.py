"""The end of the node by a signal in each lifecycle state: within seconds, without a traceback, with status 0."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from robot import CLICK, TIMEOUT, Robot, header_of, picture

from sam2_ros import srv
from sam2_ros.ros.images import to_message

LIMIT = 3.0  # s; on a busy machine, the time that the start took
STATES = {
    "unconfigured": [],
    "inactive": [Transition.TRANSITION_CONFIGURE],
    "active": [Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE],
    "finalized": [Transition.TRANSITION_UNCONFIGURED_SHUTDOWN],
}
"""States and the transitions to them."""

SIGNALS = {"interrupted": signal.SIGINT, "terminated": signal.SIGTERM}
"""Signals by the names of the nodes that get them."""


@pytest.fixture
def nodes(ros_domain: int, robot: Robot, checkpoint: Path) -> Iterator[dict[str, Process]]:
    """Two unconfigured nodes in processes of their own, by name."""
    start = time.monotonic()
    with ExitStack() as stack:
        running = {}
        for name in SIGNALS:
            command = [sys.executable, "-m", "sam2_ros.ros.node", "--ros-args", "-r", f"__node:={name}"]
            command += ["-p", f"checkpoint:={checkpoint}", "-p", "autostart:=false"]
            process = stack.enter_context(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
            stack.callback(process.kill)
            running[name] = Process(process)
        for name, process in running.items():
            assert state_of(robot, name) == "unconfigured"
            process.started_in = time.monotonic() - start
        yield running


@dataclass
class Process:
    """A running node."""

    process: subprocess.Popen
    started_in: float = 0.0
    """Seconds until it answered."""

    def end(self, kind: signal.Signals) -> None:
        """Sends a signal, and checks how the process ends."""
        start = time.monotonic()
        self.process.send_signal(kind)
        _, log = self.process.communicate(timeout=TIMEOUT)
        assert time.monotonic() - start < max(LIMIT, self.started_in)
        assert self.process.returncode == 0 and "Traceback" not in log and "Error" not in log, log


def state_of(robot: Robot, name: str) -> str:
    return robot.call(GetState, f"{name}/get_state").current_state.label


@pytest.mark.parametrize("state", STATES)
def test_signals_end_the_node_in_each_state(robot: Robot, nodes: dict[str, Process], state: str) -> None:
    for name in nodes:
        for transition in STATES[state]:
            assert robot.call(ChangeState, f"{name}/change_state", transition=Transition(id=transition)).success
        assert state_of(robot, name) == state
    for name, node in nodes.items():
        node.end(SIGNALS[name])


def test_signals_end_the_node_while_it_works(robot: Robot, nodes: dict[str, Process]) -> None:
    """Images arrive, and calls of ~/prompt wait for theirs."""
    for name in nodes:
        for transition in STATES["active"]:
            assert robot.call(ChangeState, f"{name}/change_state", transition=Transition(id=transition)).success
        client = robot.create_client(srv.PromptObject, f"{name}/prompt")
        assert client.wait_for_service(TIMEOUT)
        client.call_async(srv.PromptObject.Request(header=header_of(1000), prompt=CLICK))
    robot.wait_for(lambda: robot.camera.get_subscription_count() == len(nodes), "for the nodes")
    for name, node in nodes.items():
        for index in range(8):
            robot.camera.publish(to_message(picture(index), "rgb8", header_of(index)))
            time.sleep(0.02)
        node.end(SIGNALS[name])
