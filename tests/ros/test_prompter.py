"""`prompt`: results of prompts, and one-line errors with a remedy."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.duration import Duration
from rclpy.parameter import Parameter
from robot import BOX, TIMEOUT, Graph, Robot, header_of, picture
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from sam2_ros.ros import prompter as prompter_module
from sam2_ros.ros.images import to_message
from sam2_ros.ros.node import Sam2Node
from sam2_ros.ros.prompter import Prompter


def prompt(*arguments: object) -> tuple[int, str]:
    """Exit status and output."""
    command = [sys.executable, "-m", "sam2_ros.ros.prompter", *map(str, arguments)]
    completed = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, env=os.environ)
    return completed.returncode, completed.stdout + completed.stderr


@pytest.fixture
def clicker(ros_domain: int) -> Iterator[type[Prompter]]:
    """Makes prompters with an rclpy context of their own, as in `prompt`."""
    rclpy.init(domain_id=ros_domain)
    made: list[Prompter] = []

    def make(name: str, graph: Graph) -> Prompter:
        made.append(Prompter(name))
        for node in graph.executor.get_nodes():  # waits for discovery, however busy the machine is
            discovered = made[-1]._spin_until(lambda node=node: node.get_name() in made[-1].get_node_names(), TIMEOUT)
            assert discovered, f"{node.get_name()} was not discovered"
        return made[-1]

    yield make
    for prompter in made:
        prompter.destroy_node()
    rclpy.shutdown()


def test_wrong_node_name_lists_existing_nodes(graph: Graph, clicker) -> None:
    graph.sam2(autostart=False)
    prompter = clicker("cam/sam2", graph)
    assert prompter._spin_until(lambda: prompter.count_services("/sam2/prompt"), TIMEOUT)
    with pytest.raises(TimeoutError, match=r"no node /cam/sam2, but /sam2: --node /sam2"):
        prompter.connect(0.1)


def test_missing_node_names_the_domain(ros_domain: int) -> None:
    status, output = prompt("--click", "3,4", "--wait", 0.5)
    assert status == 1
    assert f"no sam2 node can be found (ROS_DOMAIN_ID is {ros_domain})" in output, output


def test_inactive_node_error_names_the_lifecycle_transition(graph: Graph, checkpoint: Path, clicker) -> None:
    graph.sam2(autostart=False, checkpoint=str(checkpoint))
    prompter = clicker("sam2", graph)
    with pytest.raises(TimeoutError, match=r"/sam2 is not configured, .* `ros2 lifecycle set /sam2 configure`"):
        prompter.connect(0.1)
    request = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_CONFIGURE))
    client = graph.robot.create_client(ChangeState, "sam2/change_state")
    assert client.wait_for_service(TIMEOUT)
    graph.robot.wait_for(client.call_async(request).done, "for configure")
    with pytest.raises(TimeoutError, match=r"/sam2 is paused \(inactive\); `ros2 lifecycle set /sam2 activate`"):
        prompter.connect(0.1)


def test_missing_images_error_names_topics_with_images(
    graph: Graph, checkpoint: Path, clicker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompter_module, "REDISCOVERY_TIMEOUT", 0.1)
    overrides = [Parameter("checkpoint", value=str(checkpoint))]
    remap = ["--ros-args", "-r", "image:=/front"]
    graph.add(Sam2Node(context=graph.context, cli_args=remap, parameter_overrides=overrides))
    prompter = clicker("sam2", graph)
    prompter.connect(TIMEOUT)
    for discovered in (lambda: prompter.count_publishers("/image"), prompter._image_topics):  # the robot's camera
        assert prompter._spin_until(discovered, TIMEOUT)
    with pytest.raises(TimeoutError, match=r"there is no publisher on /front, .* images on /image: .* image:=/image"):
        prompter.find_images(0.1)


def test_earlier_image_can_be_prompted_without_a_camera(sam2, graph: Graph, clicker) -> None:
    graph.robot.show(0)
    prompter = clicker("sam2", graph)
    prompter.connect(TIMEOUT)
    graph.robot.destroy_publisher(graph.robot.camera)
    assert prompter._spin_until(lambda: not prompter.count_publishers("/image"), TIMEOUT)
    prompter.find_images(0.1)
    result = prompter.send(BOX, Header(), TIMEOUT)
    assert result.accepted and result.header.stamp == header_of(0).stamp


def test_object_is_renamed(sam2, robot: Robot) -> None:
    robot.show(0)
    robot.prompt(BOX)
    status, output = prompt("--object-id", 1, "--label", "mug", "--wait", TIMEOUT)
    assert status == 0 and output.splitlines()[-1].startswith("object 1 (mug): "), output
    assert robot.show(1).masklets[0].label == "mug"


def test_first_image_is_not_pushed_out_of_the_queue(robot: Robot, ros_domain: int) -> None:
    """Even if more images arrive before the first is read."""
    frames = robot.create_publisher(Image, "frames", 10)

    class Busy(Prompter):
        def create_subscription(self, kind: type, topic: str, *arguments, **options):
            subscription = super().create_subscription(kind, topic, *arguments, **options)
            if topic == "/frames":
                robot.wait_for(frames.get_subscription_count, "for the prompter")
                for index in range(3):
                    frames.publish(to_message(picture(index), "rgb8", header_of(index)))
                assert frames.wait_for_all_acked(Duration(seconds=TIMEOUT))
            return subscription

    rclpy.init(domain_id=ros_domain)
    try:
        prompter = Busy()
        assert prompter.first_image("/frames", TIMEOUT, TIMEOUT) == header_of(0)
        prompter.destroy_node()
    finally:
        rclpy.shutdown()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "say what to point at"),
        (("--label", "mug"), "say what to point at"),
        (("--click", "3"), "X,Y"),
        (("--click", "3,4", "--node", "no name"), "'no name' is not the name of a node"),
        (("--mask", "/no/mask.png"), "/no/mask.png cannot be read"),
    ],
)
def test_invalid_arguments_are_one_line(ros_domain: int, arguments, reason: str) -> None:
    status, output = prompt(*arguments)
    assert status != 0 and reason in output.splitlines()[-1] and "Traceback" not in output, output
