"""J and F: by hand, by a second method, and against a public evaluation tool."""

import cv2
import numpy as np
import pytest
from scipy.spatial import cKDTree
from skimage import data, measure, morphology
from skimage.filters import threshold_otsu

from sam2_ros.evaluation.region_boundary import boundary_accuracy, region_similarity


def rectangle(x, y, width, height, size=(100, 100)):
    mask = np.zeros(size, bool)
    mask[y : y + height, x : x + width] = True
    return mask


NOTHING, ALL = np.zeros((100, 100), bool), np.ones((100, 100), bool)


@pytest.mark.parametrize(
    ("mask", "truth", "j", "f"),
    [
        (NOTHING, NOTHING, 1, 1),
        (NOTHING, rectangle(10, 10, 20, 20), 0, 0),
        (rectangle(10, 10, 20, 20), NOTHING, 0, 0),
        (rectangle(10, 10, 20, 20), rectangle(10, 10, 20, 20), 1, 1),
        (ALL, ALL, 1, 1),
        (ALL, NOTHING, 0, 1),  # a full image has no outline either
        (rectangle(10, 10, 20, 20), rectangle(50, 50, 20, 20), 0, 0),
        # Half of the square, from its left edge. The tolerance is 2 pixels (0.008 * 141.4 rounded up).
        (rectangle(10, 10, 10, 20), rectangle(10, 10, 20, 20), 0.5, None),
        (rectangle(12, 10, 20, 20), rectangle(10, 10, 20, 20), 18 / 22, 1),  # 2 pixels off: within the tolerance
    ],
)
def test_small_masks(mask, truth, j, f):
    assert region_similarity(mask, truth) == pytest.approx(j)
    if f is not None:
        assert boundary_accuracy(mask, truth) == pytest.approx(f)


def test_outline_of_a_small_mask():
    # One straight edge each, from top to bottom: 100 outline pixels, 2 apart from each other (match) or 3 (no match).
    truth = rectangle(0, 0, 50, 100)
    assert boundary_accuracy(rectangle(0, 0, 52, 100), truth) == 1
    assert boundary_accuracy(rectangle(0, 0, 53, 100), truth) == 0
    # The upper half of the edge is 10 pixels away, joined by a step of 10 pixels in row 49. Outline: 50 pixels in
    # column 59 (rows 0 .. 49), 9 more in row 49 (columns 50 .. 58), and column 49 from row 49 on, 51 pixels: 110.
    # Precision: of those, the column (51) and the step's next 2 pixels are within 2 pixels of the true edge.
    # Recall: of the true 100 pixels, rows 47 .. 99 are within 2 pixels of column 49: 53.
    mask = truth.copy()
    mask[:50, 50:60] = True
    precision, recall = 53 / 110, 53 / 100
    assert boundary_accuracy(mask, truth) == pytest.approx(2 * precision * recall / (precision + recall))


def pairs():
    """Noise, blobs, grains, and a shape against its moved, shrunk and grown self, in several sizes."""
    rng = np.random.default_rng(0)
    for index in range(72):
        height, width = [(48, 64), (120, 90), (240, 427), (480, 854)][index % 4]
        kind = index % 6
        if kind == 0:
            mask, truth = rng.random((2, height, width)) < rng.random()
        else:
            field = rng.standard_normal((height, width)).astype(np.float32)
            field = cv2.GaussianBlur(field, (0, 0), rng.uniform(1, 0.08 * width))
            truth = field > np.quantile(field, rng.uniform(0.3, 0.99))
            moved = cv2.warpAffine(
                truth.view(np.uint8),
                cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-6, 6), rng.uniform(0.95, 1.05)),
                (width, height),
            ).astype(bool)
            mask = [moved, truth, moved & (rng.random(truth.shape) < 0.98), np.zeros_like(truth), ~moved][kind - 1]
        yield mask, truth


def real_pairs():
    """Outlines of real things, segmented in three ways from photographs, against themselves moved and roughened."""
    rng = np.random.default_rng(0)
    coins, camera = data.coins(), data.camera()
    things = [
        ~data.horse().astype(bool),
        coins > threshold_otsu(coins),
        measure.label(morphology.closing(coins > 110, np.ones((3, 3)))) == 4,
        camera < 60,  # the photographer
        data.cell() > 90,
    ]
    for index in range(50):
        truth = np.ascontiguousarray(things[index % len(things)])
        height, width = truth.shape
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-4, 4), rng.uniform(0.97, 1.03))
        turn[:, 2] += rng.uniform(-4, 4, 2)
        mask = cv2.warpAffine(truth.view(np.uint8), turn, (width, height))
        kernel = np.ones(rng.integers(1, 6, 2), np.uint8)
        mask = [cv2.dilate, cv2.erode][index % 2](mask, kernel).astype(bool)
        if index % 3 == 0:  # half of the object is missed
            mask[:, width // 2 :] = False
        yield mask, truth


def f_by_distances(mask, truth):
    """F from the distances between the outlines as sets of points."""

    def outline(mask):
        points = []
        for y, x in np.ndindex(mask.shape):
            around = mask[y : y + 2, x : x + 2]
            if around.any() and not around.all():
                points.append((y, x))
        return np.array(points).reshape(-1, 2)

    radius = np.ceil(0.008 * np.linalg.norm(mask.shape))
    ours, true = outline(mask), outline(truth)
    if not len(ours) or not len(true):
        return float(len(ours) == len(true))
    precision = np.mean(cKDTree(true).query(ours)[0] <= radius)
    recall = np.mean(cKDTree(ours).query(true)[0] <= radius)
    return 2 * precision * recall / max(precision + recall, 1e-12)


def test_equals_nearest_neighbour_search():
    for mask, truth in pairs():
        if mask.size > 20000:
            continue
        assert boundary_accuracy(mask, truth) == pytest.approx(f_by_distances(mask, truth), abs=1e-9)


@pytest.mark.parametrize("pairs", [pairs, real_pairs])
def test_equals_public_tool(pairs):
    """The SA-V tool is derived from vos-benchmark, whose boundary measure is that of DAVIS 2017."""
    evaluator = pytest.importorskip("vos_benchmark.evaluator")
    values = []
    for mask, truth in pairs():
        tool = evaluator.Evaluator()
        tool.objects_in_gt = {1}
        tool.feed_frame(mask.astype(np.uint8), truth.astype(np.uint8))
        j, f = region_similarity(mask, truth), boundary_accuracy(mask, truth)
        assert j == pytest.approx(tool.object_iou[1][0], abs=1e-6)
        assert f == pytest.approx(tool.boundary_f[1][0], abs=1e-6)
        values.append(f)
    assert len(values) >= 50
    assert len(set(values)) > 30  # the pairs are not all trivial


def test_errors():
    with pytest.raises(ValueError, match="one size"):
        region_similarity(np.zeros((4, 4), bool), np.zeros((4, 5), bool))
    with pytest.raises(ValueError, match="bool"):
        boundary_accuracy(np.zeros((4, 4), np.uint8), np.zeros((4, 4), bool))
