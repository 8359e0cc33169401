"""A small network with random weights."""

import pytest
from small_network import default_network

from sam2_ros.model import SAM2


@pytest.fixture(scope="session")
def model() -> SAM2:
    return default_network()
