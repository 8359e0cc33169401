"""The queue of images."""

from __future__ import annotations

from sensor_msgs.msg import Image

from sam2_ros.ros.image_queue import ArrivedImage, ImageQueue


def images(number: int) -> list[ArrivedImage]:
    return [ArrivedImage(Image(), stamp) for stamp in range(number)]


def test_queue_of_one_keeps_the_newest_image() -> None:
    queue, (first, second) = ImageQueue(), images(2)
    assert queue.put(first) is None and queue.put(second) is first
    assert not queue.keeps_all and queue.waiting() == [second]
    assert queue.take() is second and queue.take() is None


def test_full_queue_drops_the_new_image() -> None:
    queue, (first, second, third) = ImageQueue(2), images(3)
    assert [queue.put(image) for image in (first, second, third)] == [None, None, third]
    assert queue.keeps_all and len(queue) == 2 and queue.take() is first
    queue.clear()
    assert not len(queue) and queue.take() is None
