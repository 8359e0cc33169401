"""The pipeline that decodes and encodes images in order, optionally one ahead."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest
from robot import TIMEOUT, header_of, picture, stamp_of
from sensor_msgs.msg import Image

from sam2_ros.data.image_message import ImageDecoder, ImageError
from sam2_ros.ros.image_pipeline import ImagePipeline
from sam2_ros.ros.image_queue import ArrivedImage, ImageQueue
from sam2_ros.ros.images import to_message


class Encoder:
    """An encoder whose features are the sum of the pixels, with a semaphore to wait for it."""

    def __init__(self) -> None:
        self.threads: list[str] = []
        self.encoded = threading.Semaphore(0)

    def __call__(self, pixels: np.ndarray) -> int:
        self.threads.append(threading.current_thread().name)
        self.encoded.release()
        return int(pixels.sum())


def arrived(index: int) -> ArrivedImage:
    return ArrivedImage(to_message(picture(index), "rgb8", header_of(index)), stamp_of(index))


def pipeline(encoder: Encoder, ahead: bool, limit: int = 8) -> ImagePipeline:
    return ImagePipeline(ImageQueue(limit), ImageDecoder(), encoder, ahead)


@pytest.mark.parametrize("ahead", [False, True])
def test_pipeline_preserves_order(ahead: bool) -> None:
    images = pipeline(Encoder(), ahead)
    assert images.next() is None
    for index in range(4):
        assert images.put(arrived(index)) is None
    assert len(images) == 4 and images.stamps == tuple(stamp_of(index) for index in range(4))
    for index in range(4):
        image = images.next()
        assert image.stamp == stamp_of(index) and np.array_equal(image.pixels, picture(index))
        assert image.encoded == picture(index).sum()
        assert images.stamps == tuple(stamp_of(later) for later in range(index + 1, 4))
    assert images.next() is None and not len(images)
    images.close()


@pytest.mark.parametrize("ahead", [False, True])
def test_unreadable_images_are_freed_at_once(ahead: bool) -> None:
    """Rather than when Python looks for circles, which may be many images later."""
    images = pipeline(Encoder(), ahead)
    images.put(arrived(0))
    unreadable = arrived(1)
    unreadable.message.encoding = "hsv9"
    remembered = weakref.ref(unreadable)
    images.put(unreadable)
    del unreadable
    gc.disable()
    try:
        assert images.next().stamp == stamp_of(0)
        with pytest.raises(ImageError):
            images.next()
        images.close()
        assert remembered() is None
    finally:
        gc.enable()


def test_next_image_is_encoded_ahead() -> None:
    encoder = Encoder()
    images = pipeline(encoder, ahead=True)
    images.put(arrived(0))
    assert not encoder.threads, "no image is processed yet"
    assert images.next().stamp == stamp_of(0)
    images.put(arrived(1))
    assert all(encoder.encoded.acquire(timeout=TIMEOUT) for _ in range(2))
    assert encoder.threads[0] == threading.current_thread().name != encoder.threads[1]
    images.next()
    images.idle()
    images.put(arrived(2))
    assert len(images) == 1 and images.next().stamp == stamp_of(2)
    assert encoder.threads[2] == threading.current_thread().name
    images.close()


def test_newest_image_waits_behind_the_one_encoded_ahead() -> None:
    images = pipeline(Encoder(), ahead=True, limit=1)
    images.put(arrived(0))
    images.next()
    assert images.put(arrived(1)) is None, "it is encoded ahead"
    assert images.put(arrived(2)) is None
    assert images.put(arrived(3)).stamp == stamp_of(2)
    assert images.stamps == (stamp_of(1), stamp_of(3))
    images.clear()
    assert images.next() is None
    images.close()


@pytest.mark.parametrize("ahead", [False, True])
def test_unreadable_image_raises_in_order(ahead: bool) -> None:
    images = pipeline(Encoder(), ahead)
    for image in (arrived(0), ArrivedImage(Image(header=header_of(1)), stamp_of(1)), arrived(2)):
        images.put(image)
    assert images.next().stamp == stamp_of(0)
    with pytest.raises(ImageError):
        images.next()
    assert images.next().stamp == stamp_of(2)
    images.close()
