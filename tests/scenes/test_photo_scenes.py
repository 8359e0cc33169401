"""Scenes of photographs are reproducible; masks lie on the things of the photographs."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from small_clips import digest
from small_photographs import photograph

from sam2_ros.scenes.photo_scenes import PhotoScenes
from sam2_ros.scenes.photographs import Photograph
from sam2_ros.scenes.pictures import Pictures
from sam2_ros.scenes.synthetic import SceneSettings

CALM = SceneSettings(
    height=72, width=96, frames=6, camera_speed=(0.0, 3.0), occlusion=0.0, lighting=0.0, blur=0.0, noise=0.0
)


PHOTOGRAPHS = [photograph(number) for number in range(3)]


def test_same_seed_same_clip_in_any_order() -> None:
    scenes = PhotoScenes(CALM, PHOTOGRAPHS)
    first = digest(scenes.scene(5))
    assert digest(scenes.scene(6)) != first
    assert digest(scenes.scene(5)) == digest(PhotoScenes(CALM, PHOTOGRAPHS).scene(5)) == first


@pytest.mark.parametrize("frames", [1, 6])
def test_masks_lie_on_what_the_photographs_show(frames: int) -> None:
    scenes = PhotoScenes(replace(CALM, frames=frames, vanishing=0.5), PHOTOGRAPHS)
    for seed in range(12):
        clip = scenes.scene(seed)
        assert len(clip) == frames and clip.frames[0].shape == (72, 96, 3)
        masks = np.stack(clip.masks)
        assert masks[0].any() and masks.any(axis=(0, 2, 3)).all() and masks.sum(1).max() == 1
        for image, here in zip(clip.frames, masks, strict=True):
            colourful = np.ptp(image.astype(int), axis=2) > 40
            if not colourful.any():  # a camera that sees no colours
                continue
            for mask in here:
                inner = cv2.erode(mask.view(np.uint8), np.ones((5, 5))) > 0
                assert not inner.any() or colourful[inner].mean() > 0.9


def test_things_move_leave_and_are_hidden() -> None:
    scenes = PhotoScenes(replace(CALM, frames=10, occlusion=1.0, vanishing=0.3), PHOTOGRAPHS)
    moved = returned = 0
    for seed in range(12):
        seen = np.stack(scenes.scene(seed).masks)
        moved += int((seen[0] != seen[-1]).mean() > 0.02)
        for visible in seen.any(axis=(2, 3)).T:
            gone = np.flatnonzero(~visible)
            returned += bool(gone.size and visible[: gone[0]].any() and visible[gone[0] :].any())
    assert moved > 3 and returned > 0


def test_other_backgrounds_are_used() -> None:
    blue = np.full((100, 100, 3), (0, 0, 255), np.uint8)
    scenes = PhotoScenes(replace(CALM, frames=1), PHOTOGRAPHS, Pictures([[blue]]))
    hues = [scenes.scene(seed).frames[0].astype(int) for seed in range(20)]
    assert 1 <= sum(np.median(image[..., 2] - image[..., 0]) > 100 for image in hues) <= 12


def test_photographs_without_anything_whole_are_an_error() -> None:
    empty = Photograph("empty", np.zeros((50, 50, 3), np.uint8), np.zeros((50, 50), np.uint8))
    with pytest.raises(ValueError, match="hardly anything whole"):
        PhotoScenes(CALM, [empty]).scene(0)
