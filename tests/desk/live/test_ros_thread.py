"""The thread of ROS: what the event loop has done in it, and its end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from robot import Graph

from sam2_ros.desk.live.ros_thread import RosThread
from sam2_ros.desk.refusal import Refusal

TIMEOUT = 60.0  # s


@pytest.fixture
def ros(ros_domain: int) -> Iterator[RosThread]:
    graph = Graph(ros_domain)
    node = Node("desk", context=graph.context)
    ros = RosThread(node, SingleThreadedExecutor(context=graph.context))
    yield ros
    ros.stop()
    node.destroy_node()
    graph.close()


def fail() -> None:
    raise ValueError("no")


def test_results_and_errors_come_back_from_its_thread(ros: RosThread) -> None:
    thread = threading.Thread(target=ros.spin)
    thread.start()
    assert asyncio.run(ros.run(threading.get_ident)) == thread.ident
    with pytest.raises(ValueError, match="no"):
        asyncio.run(ros.run(fail))
    ros.stop()
    thread.join(TIMEOUT)
    assert not thread.is_alive()


def test_nobody_waits_for_a_thread_that_has_ended(ros: RosThread) -> None:
    async def ask() -> None:
        waiting = asyncio.create_task(ros.run(lambda: 1))
        await asyncio.sleep(0)
        ros.stop()
        await asyncio.get_running_loop().run_in_executor(None, ros.spin)
        for question in (waiting, ros.run(lambda: 2)):
            with pytest.raises(Refusal, match="the desk is ending"):
                await asyncio.wait_for(question, TIMEOUT)

    asyncio.run(ask())
