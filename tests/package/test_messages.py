"""The messages over real DDS, to another process and back."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
import rclpy
from builtin_interfaces.msg import Time
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image, RegionOfInterest
from std_msgs.msg import Header

from sam2_ros.msg import Click, Mask, Masklet, MaskletArray, Prompt, PromptArray, PromptResult
from sam2_ros.srv import PromptObject

TIMEOUT = 30.0

# Returns every message unchanged, and answers a prompt with its content.
PEER = """
import rclpy
from rclpy.node import Node
from sam2_ros.msg import MaskletArray, PromptArray
from sam2_ros.srv import PromptObject

def answer(request, response):
    response.result.header = request.header
    response.result.object_id = request.prompt.object_id
    response.result.message = f"{len(request.prompt.clicks)} clicks"
    response.result.accepted = request.prompt.replace
    return response

rclpy.init()
node = Node("peer")
masklets = node.create_publisher(MaskletArray, "masklets_back", 10)
prompts = node.create_publisher(PromptArray, "prompts_back", 10)
node.create_subscription(MaskletArray, "masklets", masklets.publish, 10)
node.create_subscription(PromptArray, "prompts", prompts.publish, 10)
node.create_service(PromptObject, "prompt", answer)
try:
    rclpy.spin(node)
except (KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
    pass
"""

HEADER = Header(stamp=Time(sec=1_700_000_000, nanosec=123_456_789), frame_id="camera_optical")


@pytest.fixture
def node(ros_domain: int) -> Iterator[Node]:
    peer = subprocess.Popen([sys.executable, "-c", PEER])
    context = rclpy.Context()
    rclpy.init(context=context)
    node = Node("test_messages", context=context)
    yield node
    node.destroy_node()
    rclpy.shutdown(context=context)
    peer.terminate()
    try:
        peer.wait(TIMEOUT)
    except subprocess.TimeoutExpired:
        peer.kill()
        peer.wait()


def round_trip(node: Node, kind: type, topic: str, message: object) -> object:
    """Publishes a message once the peer is connected both ways, and returns its reply."""
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    received = rclpy.Future()
    publisher = node.create_publisher(kind, topic, 10)
    back = node.create_subscription(kind, f"{topic}_back", received.set_result, 10)
    ticks = node.create_timer(0.05, lambda: None)  # so that spin_once returns while the peer is still starting
    deadline = node.get_clock().now().nanoseconds + TIMEOUT * 1e9
    while not (publisher.get_subscription_count() and node.count_publishers(back.topic_name)):
        assert node.get_clock().now().nanoseconds < deadline, "the peer was not discovered"
        executor.spin_once()
    while not received.done():  # the first reply is lost if the peer discovers us later than we it
        assert node.get_clock().now().nanoseconds < deadline, "nothing came back"
        publisher.publish(message)
        executor.spin_until_future_complete(received, 1.0)
    node.destroy_timer(ticks)
    return received.result()


def test_masklets_round_trip_through_another_process(node: Node) -> None:
    visible = Masklet(
        object_id=3,
        label="tässe ☕",
        present=True,
        presence=0.75,
        iou=0.5,
        box=RegionOfInterest(x_offset=10, y_offset=20, width=300, height=400),
        mask=Mask(height=1080, width=1920, counts=[0, 5, 2**32 - 1]),
    )
    gone = Masklet(object_id=7, presence=0.125)
    message = MaskletArray(header=HEADER, height=1080, width=1920, masklets=[visible, gone])
    assert round_trip(node, MaskletArray, "masklets", message) == message


def test_prompts_round_trip_through_another_process(node: Node) -> None:
    everything = Prompt(
        object_id=1,
        label="cup",
        clicks=[Click(x=1.5, y=2.25), Click(x=0.0, y=7.0, positive=False)],
        box=RegionOfInterest(x_offset=1, y_offset=2, width=3, height=4),
        mask=Image(height=2, width=3, encoding="mono8", step=3, data=bytes(range(6))),
        replace=True,
    )
    message = PromptArray(header=HEADER, prompts=[everything, Prompt()])
    assert round_trip(node, PromptArray, "prompts", message) == message


def test_click_is_positive_by_default() -> None:
    assert Click().positive


def test_prompt_service_round_trip(node: Node) -> None:
    client = node.create_client(PromptObject, "prompt")
    assert client.wait_for_service(TIMEOUT), "the peer was not discovered"
    request = PromptObject.Request(header=HEADER, prompt=Prompt(object_id=9, clicks=[Click(), Click()], replace=True))
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    answer = client.call_async(request)
    executor.spin_until_future_complete(answer, TIMEOUT)
    assert answer.result().result == PromptResult(header=HEADER, object_id=9, accepted=True, message="2 clicks")
