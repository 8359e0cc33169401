"""Automatic masks beside the truth: what is found, and what is false."""

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_clips import make_clip

from sam2_ros.data.clip import Clip
from sam2_ros.evaluation.everything import SearchScore, everything_report, overlaps, search
from sam2_ros.evaluation.gallery import SearchedGallery
from sam2_ros.evaluation.report import Rows
from sam2_ros.model import SAM2
from sam2_ros.tracking import AutomaticMask, AutomaticMaskGenerator, EverythingSettings, rle
from sam2_ros.tracking.crops import Crop

HEIGHT, WIDTH = 40, 60


def rectangle(x: int, y: int, width: int, height: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y : y + height, x : x + width] = True
    return mask


NOTHING = rectangle(0, 0, 0, 0)


class FakeGenerator:
    """Gives the same masks for every image, and keeps the first value of each."""

    def __init__(self, *masks: np.ndarray) -> None:
        whole = Crop(0, 0, WIDTH, HEIGHT)
        self.masks = [AutomaticMask(HEIGHT, WIDTH, rle.encode(mask), 0.5, 0.9, (1, 1), whole) for mask in masks]
        self.images: list[int] = []

    def generate(self, image: np.ndarray) -> list[AutomaticMask]:
        self.images.append(int(image[0, 0, 0]))
        return self.masks


def clip_of(*masks: Sequence[np.ndarray] | None, known: np.ndarray | None = None) -> Clip:
    """Two objects; None where not annotated. An image's first value is its index."""
    images = [np.full((HEIGHT, WIDTH, 3), index, np.uint8) for index in range(len(masks))]
    return Clip("clip", images, (3, 7), [None if pair is None else np.stack(pair) for pair in masks], known=known)


def test_found_and_false_by_hand() -> None:
    first, second = rectangle(10, 10, 20, 10), rectangle(40, 10, 10, 10)
    masks = [
        rectangle(10, 10, 20, 8),  # 0.8 of the first
        rectangle(10, 10, 15, 10),  # 0.75 of the first: neither found twice nor false
        rectangle(10, 10, 14, 10),  # 0.7 of the first: just too little
        rectangle(40, 10, 10, 6),  # 0.6 of the second
        rectangle(0, 0, 5, 5),
    ]
    (one,) = search(FakeGenerator(*masks), clip_of((first, second)))  # type: ignore[arg-type]
    np.testing.assert_allclose(one.score.iou, [[0.8, 0], [0.75, 0], [0.7, 0], [0, 0.6], [0, 0]])
    np.testing.assert_allclose(one.score.best, [0.8, 0.6])
    assert (one.score.found, one.score.false) == (1, 3)
    assert one.score.object_ids == (3, 7) and one.score.predicted_iou == [0.5] * 5 and one.score.seconds > 0


def test_nothing_is_found_by_no_masks() -> None:
    (one,) = search(FakeGenerator(), clip_of((rectangle(1, 1, 5, 5), rectangle(9, 9, 5, 5))))  # type: ignore[arg-type]
    assert one.score.best.tolist() == [0, 0] and (one.score.found, one.score.false) == (0, 0)


def test_overlaps_are_those_of_whole_masks() -> None:
    rng = np.random.default_rng(0)
    masks, truth = rng.random((2, 3, HEIGHT, WIDTH)) > 0.6
    expected = [[(a & b).sum() / (a | b).sum() for b in truth] for a in masks]
    np.testing.assert_allclose(overlaps(list(masks), truth), expected)
    assert overlaps([NOTHING], NOTHING[None]).tolist() == [[0.0]]


def test_frames_and_objects_that_count() -> None:
    """Every second annotated frame that shows an object whose mask is known."""
    thing, other = rectangle(5, 5, 9, 9), rectangle(30, 5, 9, 9)
    clip = clip_of((thing, NOTHING), None, (thing, other), (thing, other), None, (NOTHING, NOTHING), (thing, other))
    generator = FakeGenerator(thing)
    assert [one.score.object_ids for one in search(generator, clip)] == [(3,), (3, 7), (3, 7), (3, 7)]  # type: ignore[arg-type]
    assert generator.images == [0, 2, 3, 6]
    assert [one.frame for one in search(generator, clip, every=2)] == [0, 3, 6]  # type: ignore[arg-type]
    known = np.ones((7, 2), bool)
    known[[0, 3], 0] = False
    clip = clip_of(*clip.masks, known=known)
    kept = [(one.frame, one.score.object_ids) for one in search(generator, clip)]  # type: ignore[arg-type]
    assert kept == [(2, (3, 7)), (3, (7,)), (6, (3, 7))]


def test_report_by_hand() -> None:
    def score(*iou: Sequence[float], seconds: float) -> SearchScore:
        table = np.array(iou)
        return SearchScore(tuple(range(1, table.shape[1] + 1)), table, [0.5] * len(table), seconds)

    scores = {
        "motion-0": {0: score((0.9, 0), (0, 0.72), (0, 0.1), seconds=0.1), 5: score((0.6,), seconds=0.3)},
        "small-0": {0: score((0.2,), (0.8,), seconds=0.2)},
    }
    report = everything_report({}, scores, Rows(["motion-0", "small-0"], {"motion-0": "motion", "small-0": "small"}))
    clips, challenges = report.tables
    assert clips.rows[0] == ("motion-0", ["2", "3", "66.7", "74.0", "2.0", "1.0", "200"])
    assert clips.rows[2] == ("all", ["3", "4", "75.0", "75.5", "2.0", "1.0", "200"])
    assert challenges.rows[1] == ("small", ["1", "1", "100.0", "80.0", "2.0", "1.0", "200"])
    assert report.curves.lines["motion"][1] == pytest.approx([1, 1, *[2 / 3] * 3, *[1 / 3] * 3, 0, 0])
    data = json.loads(report.json())
    assert (data["found"], data["false_masks_per_image"], data["ms_per_image"]) == (0.75, 1.0, 200.0)
    assert data["images"][0] | {"ms": 100} == {
        "clip": "motion-0",
        "frame": 0,
        "object_ids": [1, 2],
        "best_iou": [0.9, 0.72],
        "masks": 3,
        "false_masks": 1,
        "predicted_iou": [0.5] * 3,
        "iou": [0.9, 0.72, 0.1],
        "ms": 100,
    }


def test_pictures_with_a_network(model: SAM2, tmp_path: Path) -> None:
    """The contact sheet has three rows, with no masks as well; overlays have the image's size."""
    clip = make_clip(frames=6)
    for threshold in (0.0, 1.0):
        settings = EverythingSettings(points_per_side=2, pred_iou_thresh=threshold, stability_score_thresh=0)
        gallery = SearchedGallery(clip, tmp_path, overlays=True)
        for searched in search(AutomaticMaskGenerator(model, settings), clip, every=5):
            assert bool(searched.masks) == (threshold == 0)
            gallery.add(searched)
        gallery.save()
        sheet = cv2.imread(str(tmp_path / "walk.png"))
        assert sheet.shape[0] > 3 * 200 and sheet.shape[1] > 2 * 300
        assert cv2.imread(str(tmp_path / "overlays/walk/00005.png")).shape == (48, 64, 3)
