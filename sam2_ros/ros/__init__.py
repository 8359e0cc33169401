"""The ROS 2 nodes: messages in, messages out. Needs rclpy and the generated messages."""

import os
import signal
import sys

# `python -m sam2_ros.ros.node` imports this first, before other imports that take seconds. With the default handler,
# Ctrl-C then ends the process immediately, as SIGTERM does, where Python would raise KeyboardInterrupt in the middle of
# an import. (commands/main.py does the same for `ros2 run`. Process 1 of a container would ignore the signal.)
if sys.argv[:1] == ["-m"] and os.getpid() > 1 and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

try:
    import rclpy  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"sam2_ros.ros needs ROS 2, and rclpy could not be imported ({error}). On a robot: `source"
        " /opt/ros/<distribution>/setup.bash`. Without ROS the Python API works: `import sam2_ros; sam2_ros.Tracker`."
    ) from error

try:
    import sam2_ros.msg
    import sam2_ros.srv  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"ROS 2 is here, but the messages of sam2_ros are not ({error}). With colcon: build the package and `source"
        " install/setup.bash`. With pip: install sam2_ros once more now that ROS 2 is found (`pip install"
        " --force-reinstall --no-deps .` in its source folder)."
    ) from error
