"""What every test needs that starts ROS: a graph of its own."""

import os

import pytest

os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as in the node: spinning threads lose all speed on a busy machine


@pytest.fixture
def ros_domain(monkeypatch: pytest.MonkeyPatch) -> int:
    """A ROS_DOMAIN_ID that nobody else on this machine uses, set in the environment (child processes inherit it)."""
    from sam2_ros.ros.graph import free_domain  # not above: tests of the Python API need no ROS

    domain = free_domain()
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
    return domain
