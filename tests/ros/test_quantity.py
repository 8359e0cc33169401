"""Numbers of things in messages for people."""

from __future__ import annotations

from sam2_ros.ros.quantity import quantity


def test_only_one_is_singular() -> None:
    assert [quantity(number, "object") for number in range(3)] == ["0 objects", "1 object", "2 objects"]
