"""The specifications of parameters: accepted values, and arguments read from text."""

from __future__ import annotations

import pytest

from sam2_ros.data.compressed_image import MAX_PIXELS
from sam2_ros.ros.parameters import CAMERA_PARAMETERS, SAM2_PARAMETERS, ParameterSpec

SPECS = {spec.name: spec for spec in (*SAM2_PARAMETERS, *CAMERA_PARAMETERS)}


@pytest.mark.parametrize("spec", SPECS.values(), ids=lambda spec: spec.name)
def test_default_is_accepted(spec: ParameterSpec) -> None:
    spec.check(spec.default)
    assert spec.text.endswith((".", "..."))


def test_names_are_unique() -> None:
    assert len(SPECS) == len(SAM2_PARAMETERS) + len(CAMERA_PARAMETERS)


def test_max_image_pixels_is_that_of_the_decoder() -> None:
    """The decoder's constant cannot be imported by parameters.py, which does without OpenCV."""
    assert SPECS["max_image_pixels"].default == MAX_PIXELS


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("max_objects", "3", 3),
        ("prompt_timeout", "5", 5.0),
        ("keep_all", "True", True),
        ("accelerate", "0", False),
        ("source", "0", "0"),
    ],
)
def test_parse_gives_the_type_of_the_default(name: str, text: str, value: object) -> None:
    parsed = SPECS[name].parse(text)
    assert parsed == value and type(parsed) is type(SPECS[name].default)


@pytest.mark.parametrize("value", ["auto", "off", "graphs", "compile", 1])
def test_invalid_accelerate_error_names_accepted_values(value: object) -> None:
    with pytest.raises(ValueError, match=r"accelerate is .*; it must be true \(.*\) or false \(the plain network\)"):
        SPECS["accelerate"].check(value)


def test_number_of_a_webcam_is_accepted_as_source() -> None:
    SPECS["source"].check(0)
    with pytest.raises(ValueError, match="it must be a text or a number"):
        SPECS["source"].check(True)
