"""What every test needs that starts ROS: a graph of its own."""

import itertools
import os

import pytest

os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as in the node: spinning threads lose all speed on a busy machine

_domains = itertools.count(os.getpid())


@pytest.fixture
def ros_domain(monkeypatch: pytest.MonkeyPatch) -> int:
    """A ROS_DOMAIN_ID that no other test uses, set in the environment (child processes inherit it)."""
    domain = next(_domains) % 101 + 1  # 1 .. 101: above, the ports of DDS meet those that Linux hands out
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
    return domain
