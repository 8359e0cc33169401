"""Run lengths are COCO's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco

from sam2_ros.tracking import rle


@given(arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_round_trip_and_agreement_with_pycocotools(mask):
    counts = rle.encode(mask)
    assert (rle.decode(counts, *mask.shape) == mask).all()
    theirs = coco.frPyObjects({"counts": counts.tolist(), "size": list(mask.shape)}, *mask.shape)
    assert (coco.decode(theirs).astype(bool) == mask).all()
    assert coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"] == theirs["counts"]


def test_wrong_counts_are_refused():
    with pytest.raises(ValueError, match="cover 5 pixels, but the mask has 3 x 2"):
        rle.decode(np.array([2, 3], dtype=np.uint32), 2, 3)
