"""Messages that are not of their topic's type: ignored, with one line."""

from __future__ import annotations

import threading

import node_log
import pytest
import rclpy
from geometry_msgs.msg import Point, PointStamped
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import QoSProfile
from robot import TIMEOUT

from sam2_ros.ros.executor import Executor
from sam2_ros.ros.log import Log

MANY = 20
GOOD = PointStamped(point=Point(x=2.0)), Point(x=1.0)


class Receiver(Node):
    def __init__(self, context: Context) -> None:
        super().__init__("receiver", context=context)
        self.read: list[object] = []
        self.done = threading.Event()
        self.create_subscription(Point, "points", self._on_message, QoSProfile(depth=100))
        self.create_subscription(PointStamped, "clicks", self._on_message, QoSProfile(depth=100))

    def _on_message(self, message: object) -> None:
        self.read.append(message)
        if len(self.read) == 2:
            self.done.set()


def test_unreadable_messages_are_named_once(ros_domain: int, capfd: pytest.CaptureFixture[str]) -> None:
    context = Context()
    rclpy.init(context=context, domain_id=ros_domain)
    receiver, sender = Receiver(context), rclpy.create_node("sender", context=context)
    executor = Executor(4, Log(receiver.get_logger()), context)
    executor.add_node(receiver)
    thread = threading.Thread(target=executor.spin)
    thread.start()
    try:
        publishers = [
            sender.create_publisher(kind, name, 100) for kind, name in ((PointStamped, "clicks"), (Point, "points"))
        ]
        while not all(publisher.get_subscription_count() for publisher in publishers):
            assert thread.is_alive()
        for _ in range(MANY):
            for publisher in publishers:
                publisher.publish(b"\x00\x01\x00\x00cut off")
        for publisher, message in zip(publishers, GOOD, strict=True):
            publisher.publish(message)
        assert receiver.done.wait(TIMEOUT), "good messages still arrive"
    finally:
        rclpy.shutdown(context=context)
        thread.join(TIMEOUT)
        receiver.destroy_node()
        sender.destroy_node()
    assert all(message in receiver.read for message in GOOD)
    log = node_log.written()
    assert log.count("A message on /points cannot be read") == 1
    assert log.count("another definition of geometry_msgs/PointStamped;") == 1
    assert ">>> [rcutils" not in log
