"""The history of pictures: pairs by stamp, bounded."""

from __future__ import annotations

from sensor_msgs.msg import Image

from sam2_ros.desk.live.camera_image import CameraImage, Encoded
from sam2_ros.desk.live.picture_history import MAX_UNPAIRED, PictureHistory
from sam2_ros.msg import MaskletArray

MASKLETS = MaskletArray()


def image(stamp: int, size: int = 10) -> CameraImage:
    return CameraImage(stamp, bytes(size), Image)


def test_picture_and_masklets_meet_in_either_order() -> None:
    history = PictureHistory(10, 1000)
    assert not history.add_picture(image(1)).is_pair
    assert history.add_masklets(1, MASKLETS, 5.0).is_pair
    assert not history.add_masklets(2, MASKLETS, 6.0).is_pair
    assert history.add_picture(image(2)).is_pair
    assert history.pairs == [1, 2] and history.newest_pair is history.get(2)


def test_pictures_that_the_node_left_out_are_forgotten() -> None:
    history = PictureHistory(10, 1000)
    for stamp in (1, 2, 3, 4):
        history.add_picture(image(stamp))
    history.add_masklets(3, MASKLETS, 0.0)
    assert history.pairs == [3] and history.get(1) is None and history.get(4) is not None


def test_numbers_are_bounded() -> None:
    history = PictureHistory(3, 10_000)
    for stamp in range(100):
        history.add_picture(image(stamp))
        if stamp < 50:
            history.add_masklets(stamp, MASKLETS, 0.0)
    assert history.pairs == [47, 48, 49] and len(history) == 3 + MAX_UNPAIRED
    masklets_alone = PictureHistory(3, 10_000)
    for stamp in range(100):
        masklets_alone.add_masklets(stamp, MASKLETS, 0.0)
    assert len(masklets_alone) == MAX_UNPAIRED


def test_bytes_are_bounded_but_the_newest_is_kept() -> None:
    history = PictureHistory(100, 1000)
    for stamp in range(20):
        history.add_picture(image(stamp, 300))
    assert history.size == 900 and history.get(19) is not None and history.get(16) is None
    history.add_picture(image(20, 5000))
    assert history.size == 5000 and len(history) == 1


def test_encoded_picture_takes_the_place_of_the_arrived() -> None:
    history = PictureHistory(10, 1000)
    moment = history.add_picture(image(1, 900))
    moment.encoded, moment.picture = Encoded(4, 6, {6: bytes(30), 3: bytes(10)}), None
    assert history.size == 40 and moment.has_picture


def test_time_that_jumps_and_images_that_the_node_has_forgotten() -> None:
    history = PictureHistory(10, 1000)
    for stamp in (10, 20, 30):
        history.add_picture(image(stamp))
        history.add_masklets(stamp, MASKLETS, 0.0)
    history.forget_before(20)
    assert history.pairs == [20, 30]
    history.forget_after(20)
    assert history.pairs == [20]
    history.clear()
    assert history.newest_pair is None and history.size == 0
