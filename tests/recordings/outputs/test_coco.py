"""A run in the format of COCO, read back by pycocotools and by this package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from finished_runs import LABELS, make_run
from small_clips import make_clip

from sam2_ros.data import coco as reader
from sam2_ros.data.images import write_jpeg
from sam2_ros.recordings.open_recording import open_recording
from sam2_ros.recordings.outputs import coco


def test_pycocotools_reads_masks_scores_and_tracks(tmp_path: Path) -> None:
    COCO = pytest.importorskip("pycocotools.coco").COCO
    clip = make_clip()
    run = make_run(tmp_path, clip)
    assert coco.write(run, tmp_path / "coco") == []
    content = COCO(tmp_path / "coco/annotations.json")
    names = {category["id"]: category["name"] for category in content.loadCats(content.getCatIds())}
    assert set(names.values()) == {"cup", "object", "ball"}
    images = content.loadImgs(content.getImgIds())
    assert [image["file_name"] for image in images] == [f"source-{index:05d}.jpg" for index in range(9)]
    for index, image in enumerate(images):
        annotations = {one["track_id"]: one for one in content.loadAnns(content.getAnnIds(image["id"]))}
        assert sorted(annotations) == [1, 2] + [5] * (index >= 4)
        for object_id, annotation in annotations.items():
            mask = clip.masks[index][clip.object_ids.index(object_id)]
            np.testing.assert_array_equal(content.annToMask(annotation).astype(bool), mask)
            assert annotation["score"] == 0.125 * object_id and annotation["area"] == mask.sum()
            assert names[annotation["category_id"]] == (LABELS[object_id] or "object")


def test_damaged_images_are_left_out(tmp_path: Path) -> None:
    clip = make_clip(frames=5, ids=(1, 2))
    for index, frame in enumerate(clip.frames):
        write_jpeg(tmp_path / f"images/{index}.jpg", frame, 95)
    (tmp_path / "images/2.jpg").write_bytes(b"no image")
    run = make_run(tmp_path, clip, open_recording(tmp_path / "images"))
    coco.write(run, tmp_path / "coco")
    clips = reader.clips(tmp_path / "coco/annotations.json")
    assert len(clips) == 4
    for again, index in zip(clips, (0, 1, 3, 4), strict=True):
        np.testing.assert_array_equal(again.masks[0], clip.masks[index])
        assert np.abs(again.frames[0].astype(int) - clip.frames[index]).mean() < 3
