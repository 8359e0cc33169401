"""Run lengths are COCO's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco

from sam2_ros.tracking import rle


@st.composite
def masks(draw):
    """Noise in some rows of a mask, nothing in the others."""
    mask = draw(arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))))
    rows = st.integers(0, len(mask))
    mask[: draw(rows)] = False
    mask[draw(rows) :] = False
    return mask


@given(masks(), st.sampled_from(["C", "F", "every second"]))
def test_round_trip_and_agreement_with_pycocotools(mask, layout):
    laid_out = np.repeat(mask, 2, axis=1)[:, ::2] if layout == "every second" else np.array(mask, order=layout)
    counts = rle.encode(laid_out)
    assert counts.dtype == np.uint32
    filled = np.flatnonzero(mask.any(axis=1))
    rows = slice(int(filled[0]), int(filled[-1]) + 1) if filled.size else slice(0, 0)
    assert np.array_equal(rle.encode(laid_out, rows), counts), "as when the rows are known"
    assert (rle.decode(counts, *mask.shape) == mask).all()
    theirs = coco.frPyObjects({"counts": counts.tolist(), "size": list(mask.shape)}, *mask.shape)
    assert (coco.decode(theirs).astype(bool) == mask).all()
    assert coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"] == theirs["counts"]


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_a_mask_without_pixels_is_one_run_of_none(shape):
    assert rle.encode(np.zeros(shape, bool)).tolist() == [0]


def test_wrong_counts_are_refused():
    with pytest.raises(ValueError, match="cover 5 pixels, but the mask has 3 x 2"):
        rle.decode(np.array([2, 3], dtype=np.uint32), 2, 3)
