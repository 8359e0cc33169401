"""A tracker that takes up the objects of another one from sightings, and settings that change while it tracks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

import sam2_ros
from sam2_ros.scenes.demo_scene import DUCK, demo_scene
from sam2_ros.tracking import Box, Click, Prompt, PromptError, Tracker
from sam2_ros.tracking.sighting import Sighting

MASK = np.zeros((60, 80), bool)
MASK[20:50, 10:40] = True


def sighting(image: np.ndarray, object_id: int, stamp: int = 1, prompted: bool = True, mask=MASK) -> Sighting:
    return Sighting(object_id, f"thing {object_id}", stamp, image, mask, prompted)


def test_objects_go_on_with_ids_and_labels(model, images) -> None:
    tracker = Tracker(model)
    tracker.step(images[0])
    tracker.prompt(Prompt(clicks=[Click(5, 5)]))
    resumed = [
        sighting(images[1], 7),
        sighting(images[1], 2),
        sighting(images[2], 7, stamp=5, prompted=False),
        sighting(images[3], 9, stamp=4, prompted=False),  # never seen prompted
    ]
    assert tracker.resume(resumed, next_id=12) == [2, 7, 9] == sorted(tracker.objects)
    assert tracker.labels == {2: "thing 2", 7: "thing 7", 9: "thing 9"}
    assert tracker.newest is None and not tracker.stamps, "no image of this stream has been seen"
    assert {i: len(tracked.bank.prompted) for i, tracked in tracker.objects.items()} == {2: 1, 7: 1, 9: 1}
    with pytest.raises(PromptError, match="no image has been seen yet"):
        tracker.prompt(Prompt(2, clicks=[Click(5, 5)]))
    frame = tracker.step(images[4], 3)  # the stamps of this stream are its own
    assert [masklet.object_id for masklet in frame.masklets] == [2, 7, 9]
    assert tracker.prompt(Prompt(clicks=[Click(5, 5)])).object_id == 12
    assert tracker.prompt(Prompt(7, clicks=[Click(20, 30)])).label == "thing 7"
    tracker.remove(9)
    tracker.step(images[5], 4)


def test_equal_to_a_prompted_object_on_the_next_image(model, images) -> None:
    """A sighting of full size is a mask prompt on its image."""
    followed, resumed = Tracker(model), Tracker(model)
    followed.step(images[0])
    followed.prompt(Prompt(3, mask=MASK, label="thing 3"))
    resumed.resume([sighting(images[0], 3)])
    one, other = (tracker.step(images[1], 10).masklets[0] for tracker in (followed, resumed))
    assert np.array_equal(one.mask, other.mask) and one.presence == pytest.approx(other.presence, abs=1e-5)


def test_what_cannot_be_taken_up_is_left_out(model, images, caplog: pytest.LogCaptureFixture) -> None:
    tracker = Tracker(model, max_objects=2)
    small = np.zeros((60, 80), bool)
    small[0, 0] = True
    resumed = [sighting(images[0], 1, mask=small), *(sighting(images[0], i) for i in (4, 3, 2))]
    assert tracker.resume(resumed) == [3, 4]
    assert "max_objects is 2: forgotten are the objects 2" in caplog.text
    assert tracker.resume([]) == [] and not tracker.objects


def test_settings_change_while_tracking(model, images) -> None:
    tracker = Tracker(model, max_objects=1)
    tracker.step(images[0])
    tracker.prompt(Prompt(mask=MASK))
    with pytest.raises(PromptError, match="limit of tracked objects"):
        tracker.prompt(Prompt(mask=MASK))
    tracker.max_objects = 2
    tracker.prompt(Prompt(mask=MASK))
    assert all(masklet.mask.any() for masklet in tracker.newest.masklets)
    tracker.non_overlap_masks = True
    first, second = (masklet.mask for masklet in tracker.newest.masklets)
    assert not (first & second).any() and (first | second).any()
    tracker.box_min_part = 0.5
    assert {masklet.box_min_part for masklet in tracker.newest.masklets} == {0.5}
    with pytest.raises(ValueError, match="a share from 0 to 1"):
        tracker.box_min_part = 2


@pytest.mark.slow
def test_default_model_finds_an_object_again_after_a_restart() -> None:
    """Half a second of the demo is missing, and the images were kept at the size of the network's input."""
    clip = demo_scene(18)
    duck = clip.masks[0][DUCK - 1]
    rows, columns = np.nonzero(duck)
    tracker = Tracker(sam2_ros.load_model())
    tracker.step(clip.frames[0])
    prompt = Prompt(5, box=Box.from_corners(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1), label="duck")
    first = tracker.prompt(prompt)
    for image in clip.frames[1:5]:
        last = tracker.step(image).masklets[0]
    height, width = tracker.network.config.shape(*duck.shape)
    kept = [cv2.resize(clip.frames[i], (width, height), interpolation=cv2.INTER_AREA) for i in (0, 4)]
    tracker.resume(
        [Sighting(5, "duck", 0, kept[0], first.mask, True), Sighting(5, "duck", 4, kept[1], last.mask, False)]
    )
    (masklet,) = tracker.step(clip.frames[17]).masklets
    truth = clip.masks[17][DUCK - 1]
    assert (masklet.object_id, masklet.label, masklet.present) == (5, "duck", True)
    assert (masklet.mask & truth).sum() / (masklet.mask | truth).sum() > 0.8
