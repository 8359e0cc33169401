"""Times of messages as whole nanoseconds, the way the tracker counts."""

from builtin_interfaces.msg import Time


def nanoseconds(stamp: Time) -> int:
    """A message's time, ns. Unlike rclpy's own conversion it takes negative times too: nobody checks what is sent."""
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def time_message(nanoseconds: int) -> Time:
    """The opposite; the nearest that a message can hold."""
    nanoseconds = min(max(nanoseconds, -(2**31) * 1_000_000_000), 2**31 * 1_000_000_000 - 1)
    sec, nanosec = divmod(nanoseconds, 1_000_000_000)
    return Time(sec=sec, nanosec=nanosec)
