"""Automatic masklets of a clip with a thing that comes later: passes, both directions, and going on after a kill."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import cv2
import numpy as np
import pytest
from remembered_recording import RememberedRecording

from sam2_ros.checkpoints.load import load_model
from sam2_ros.recordings.everything import AutomaticMaskletSettings, track_everything
from sam2_ros.recordings.masklet_review import ReviewSettings
from sam2_ros.recordings.masklet_store import MaskletStore
from sam2_ros.tracking import Tracker
from sam2_ros.tracking.automatic_masks import EverythingSettings

FRAMES, PERIOD, SIZE = 12, 4, (96, 128)
MASKS = EverythingSettings(points_per_side=6, pred_iou_thresh=0.5, stability_score_thresh=0.5)
ALL = ReviewSettings(min_visible=0, min_iou=0, max_returns=1, max_jumps=1, duplicate_iou=1, max_filled=1)
"""Nothing is rejected."""


def things() -> tuple[list[np.ndarray], np.ndarray]:
    """Two discs on a dark ground, and one that comes in from the right: images and masks, bool [T, 3, H, W]."""
    images, masks = [], np.zeros((FRAMES, 3, *SIZE), np.uint8)
    rng = np.random.default_rng(0)
    ground = cv2.resize(rng.integers(20, 50, (6, 8, 3), np.uint8), SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    for t in range(FRAMES):
        image = ground.copy()
        discs = ((24 + t, 26, 15), (30, 70 - t, 16), (160 - 7 * t, 50, 17))
        colours = ((230, 60, 50), (60, 90, 230), (70, 220, 90))
        for row, ((x, y, radius), colour) in enumerate(zip(discs, colours, strict=True)):
            cv2.circle(masks[t, row], (x, y), radius, 1, -1)
            image[masks[t, row] > 0] = colour
        images.append(image)
    return images, masks > 0


IMAGES, TRUTH = things()


def tracker_of(max_objects: int) -> Tracker:
    return Tracker(load_model(device="cpu", image_size=128), history=1, max_objects=max_objects)


def settings(**changed: object) -> AutomaticMaskletSettings:
    return AutomaticMaskletSettings(**{"masks": MASKS, "period": PERIOD, "review": ALL, **changed})


def content(file: Path) -> list[list[tuple]]:
    tables = ("objects ORDER BY object_id", "frames ORDER BY frame", "masks ORDER BY frame, object_id", "rejected")
    with MaskletStore(file, {}) as store:
        return [store._database.execute(f"SELECT * FROM {table}").fetchall() for table in tables]


def everything(file: Path, max_objects: int = 32, how: AutomaticMaskletSettings | None = None, **more) -> MaskletStore:
    with MaskletStore(file, {}) as store:
        track_everything(RememberedRecording(IMAGES), tracker_of(max_objects), store, how or settings(), **more)
    return MaskletStore(file, {})


@pytest.fixture(scope="module")
def one_pass(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("one") / "masklets.db"
    everything(file).close()
    return file


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return (one & other).sum() / max((one | other).sum(), 1)


def test_x(one_pass: Path) -> None:
    with MaskletStore(one_pass, {}) as store:
        print(store.first_frames)
        for f in store.frames():
            print(f.frame, [(m.object_id, m.area, round(m.iou, 2), [round(float(iou(x.mask, t)), 2) for t in TRUTH[f.frame]]) for m, x in zip(f.masks, f.masklets({}))])
