"""Stamps of messages as integer nanoseconds, which the tracker uses."""

from builtin_interfaces.msg import Time


def nanoseconds(stamp: Time) -> int:
    """A stamp in ns. Unlike rclpy's own conversion, it accepts negative times, which messages may contain."""
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def time_message(nanoseconds: int) -> Time:
    """A stamp from ns, limited to the range of a message."""
    nanoseconds = min(max(nanoseconds, -(2**31) * 1_000_000_000), 2**31 * 1_000_000_000 - 1)
    sec, nanosec = divmod(nanoseconds, 1_000_000_000)
    return Time(sec=sec, nanosec=nanosec)
