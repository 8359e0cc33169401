"""The newest image, and images after a jump of time. Stamps are milliseconds here."""

from __future__ import annotations

import pytest
from stream_parts import MS, image_stamps

from sam2_ros.ros.image_stamps import ImageStamps


@pytest.mark.parametrize(
    ("images", "newest_pending", "newest"),
    [
        (image_stamps(), None, None),
        (image_stamps((100, 200)), None, 200),
        (image_stamps((100, 200), (300, 400)), 400, 400),
        (image_stamps((9000,), (9100,), (10, 20)), 20, 9100),
        (image_stamps((), (5,)), 5, 5),
    ],
)
def test_newest_stamps(images: ImageStamps, newest_pending: int | None, newest: int | None) -> None:
    assert (images.newest_pending, images.newest) == tuple(n if n is None else n * MS for n in (newest_pending, newest))


def test_images_after_a_time_jump() -> None:
    assert image_stamps((9000,), (9100, 8900)).after_jump == (), "one was overtaken in transit"
    assert image_stamps((), (10,)).after_jump == (), "no image before it was processed"
    jumped = image_stamps((8900, 9000), (9100, 30, 40), (10, 20))
    assert jumped.after_jump == (10 * MS, 20 * MS, 30 * MS, 40 * MS)
    assert [jumped.is_after_jump(stamp * MS) for stamp in (10, 25, 5, 8900, 8950, 9100)] == [True] * 3 + [False] * 3
    assert not image_stamps((8900, 9000)).is_after_jump(10 * MS)


def test_stamps_of_another_clock_are_foreign() -> None:
    images = image_stamps((100, 200), (300,))
    assert [images.is_foreign(stamp * MS) for stamp in (-5, 50, 100, 150, 300, 400)] == [True, True, *3 * [False], True]
    assert image_stamps((100, 200)).is_foreign(300 * MS)
    assert not image_stamps().is_foreign(50 * MS) and image_stamps().is_foreign(-1), (
        "before the first image, any stamp is possible"
    )
