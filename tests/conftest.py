"""Settings that every test needs before ROS starts."""

import os

os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")  # nobody else's graph, and nobody hears ours
