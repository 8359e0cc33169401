"""What images are resized to."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2_ros.model.config import CONFIGS

DEFAULT = CONFIGS["default"]
sides = st.integers(1, 4000)


def test_the_default_model_keeps_the_aspect_of_what_cameras_give():
    shapes = {(480, 640): (384, 512), (720, 1280): (320, 576), (640, 480): (512, 384), (500, 500): (448, 448)}
    assert {size: DEFAULT.shape(*size) for size in shapes} == shapes


def test_released_models_see_squares():
    assert CONFIGS["sam2.1_hiera_tiny"].shape(720, 1280) == (1024, 1024)


def test_a_given_aspect_is_that_of_all_images():
    wide = DEFAULT.at(aspect="1280x720")
    assert wide.shape(640, 480) == wide.shape(1, 1) == DEFAULT.at(aspect="16:9").shape(1, 1) == (320, 576)


@given(sides, sides, st.integers(1, 12).map(lambda n: 32 * n))
def test_no_other_rectangle_would_be_closer(height, width, image_size):
    def squeezed(rows: int, columns: int) -> float:
        return abs(math.log(columns / rows) - math.log(width / height))

    rows, columns = DEFAULT.at(image_size).shape(height, width)
    assert rows % 32 == columns % 32 == 0 and abs(rows * columns - image_size**2) <= 0.1 * image_size**2
    for other in range(32, image_size**2 // 32 + 1, 32):
        for beside in range(32, int(1.1 * image_size**2 / other) + 1, 32):
            if other * beside >= 0.9 * image_size**2:
                assert squeezed(rows, columns) <= squeezed(other, beside) + 1e-9


def test_a_square_is_the_square():
    for image_size in range(32, 2049, 32):
        assert DEFAULT.at(image_size, "1:1").shape(720, 1280) == (image_size, image_size)


@pytest.mark.parametrize("wrong", [{"image_size": 8192}, {"image_size": 10**9}, {"aspect": "1:" + "9" * 400}])
def test_sizes_that_no_computer_could_hold_are_refused(wrong):
    with pytest.raises(ValueError, match=r"up to 4096|expected an aspect like 16:9"):
        DEFAULT.at(**wrong)
