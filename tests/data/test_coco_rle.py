"""Run lengths and polygons against pycocotools."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as pycocotools
from pycocotools.coco import COCO

from sam2_ros.data import coco_rle
from sam2_ros.data.coco import segment

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools' own


@st.composite
def masks(draw) -> np.ndarray:
    """Noise of any density, also long runs: pixels are enlarged."""
    height, width, block = draw(st.integers(1, 12)), draw(st.integers(1, 12)), draw(st.sampled_from([1, 3, 40]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    small = rng.random((height, width)) < draw(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]))
    return small.repeat(block, 0).repeat(block, 1)


@settings(max_examples=200)
@given(masks())
def test_masks_agree_with_pycocotools(mask):
    """Encoders and decoders agree, for packed and for unpacked counts."""
    theirs = pycocotools.encode(np.asfortranarray(mask.astype(np.uint8)))
    ours = coco_rle.encode(mask)
    assert ours == {"size": list(mask.shape), "counts": theirs["counts"].decode()}
    np.testing.assert_array_equal(pycocotools.decode(ours), mask)
    np.testing.assert_array_equal(coco_rle.decode(ours, mask.shape), mask)
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = ([0] if flat[0] else []) + np.diff([0, *edges, flat.size]).tolist()
    listed = {"size": list(mask.shape), "counts": counts}
    np.testing.assert_array_equal(coco_rle.decode(listed, mask.shape), mask)
    loose = {"size": list(map(float, mask.shape)), "counts": [str(count) for count in counts]}  # as some tools do
    np.testing.assert_array_equal(coco_rle.decode(loose, mask.shape), mask)
    np.testing.assert_array_equal(coco_rle.decode({"counts": counts}, mask.shape), mask)
    np.testing.assert_array_equal(pycocotools.decode(pycocotools.frPyObjects(listed, *mask.shape)), mask)


@given(st.lists(st.lists(st.floats(-5, 70), min_size=6, max_size=16), min_size=1, max_size=3))
def test_polygons_agree_with_pycocotools(polygons):
    polygons = [polygon[: len(polygon) // 2 * 2] for polygon in polygons]
    coco = COCO()
    coco.imgs = {1: {"height": 48, "width": 64}}
    expected = coco.annToMask({"image_id": 1, "segmentation": polygons})
    np.testing.assert_array_equal(segment(polygons, (48, 64)), expected)


GOOD = coco_rle.encode(np.eye(6, 8, dtype=bool))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (GOOD | {"size": [8, 6]}, r"size \[8, 6\] instead of \[6, 8\]"),
        (GOOD | {"counts": GOOD["counts"][:-1]}, "do not add up"),
        (GOOD | {"counts": GOOD["counts"] + "1"}, "do not add up"),
        (GOOD | {"counts": GOOD["counts"] + "o"}, "cut off"),
        (GOOD | {"counts": "~é"}, "character '~'"),
        (GOOD | {"counts": ""}, "do not add up"),
        (GOOD | {"counts": [20, 40, -12]}, "do not add up"),
        (GOOD | {"counts": [20.5, 27.5]}, "list of whole numbers"),
        (GOOD | {"counts": None}, "list of whole numbers"),
        ({"size": [6, 8]}, "run lengths must be"),
        (GOOD | {"size": ["6", "eight"]}, "instead of"),
        (GOOD | {"counts": "o" * 30 + "0"}, "more than 55 bits"),
        ([[1, 1, 5, 5]], "list of polygons"),  # pycocotools takes it for a box
        ([[1, 1, 5, 1, 5]], "list of polygons"),
        ([[1, 1, 5, 1, 5, float("nan")]], "not a number"),  # pycocotools crashes
        ([[1, 1, 5, 1, 5, "5"]], "not a number"),
        ([], "no polygon"),
        ("polygon", "list of polygons"),
    ],
)
def test_invalid_masks(value, reason):
    with pytest.raises(ValueError, match=reason):
        segment(value, (6, 8))
