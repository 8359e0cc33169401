"""Prompts made from the truth."""

import numpy as np

from sam2_ros.evaluation.prompts import error_click, prompt_object, tight_box
from sam2_ros.tracking.masklet import Masklet
from sam2_ros.tracking.prompt import Box, Click, SmallMaskError


def rectangle(x, y, width, height):
    mask = np.zeros((60, 80), bool)
    mask[y : y + height, x : x + width] = True
    return mask


NOTHING = np.zeros((60, 80), bool)


def test_positive_click_at_the_centre_of_false_negatives():
    assert error_click(NOTHING, rectangle(10, 20, 9, 9)) == Click(14, 24, True)
    # Of two missed parts, the click is on the deeper one, though the other has more pixels.
    assert error_click(NOTHING, rectangle(10, 20, 9, 9) | rectangle(0, 50, 80, 4)) == Click(14, 24, True)
    # The edge of the image is a rim: the middle is not at the edge.
    assert error_click(NOTHING, rectangle(0, 0, 9, 9)) == Click(4, 4, True)


def test_negative_click_on_false_positives():
    truth = rectangle(10, 10, 20, 20)
    assert error_click(truth | rectangle(50, 30, 11, 11), truth) == Click(55, 35, False)
    assert error_click(rectangle(50, 30, 11, 11), truth).positive, "the larger error first"


def test_no_click_on_a_perfect_mask():
    assert error_click(rectangle(10, 10, 20, 20), rectangle(10, 10, 20, 20)) is None
    assert error_click(NOTHING, NOTHING) is None


def test_tight_box():
    assert tight_box(rectangle(7, 9, 20, 30)) == Box(7, 9, 20, 30)


class Recorder:
    """Fake tracker, which answers prompts with given masks."""

    def __init__(self, *masks):
        self.masks, self.prompts = list(masks), []

    def prompt(self, prompt):
        self.prompts.append(prompt)
        return Masklet(prompt.object_id, "", True, 1.0, 1.0, self.masks.pop(0))


def test_each_click_corrects_the_last_mask():
    truth = rectangle(10, 10, 21, 21)
    tracker = Recorder(rectangle(10, 10, 21, 11), truth | rectangle(50, 30, 11, 11), truth)
    masklet = prompt_object(tracker, "5clicks", 7, truth)
    assert [prompt.clicks for prompt in tracker.prompts] == [
        (Click(20, 20, True),),
        (Click(14, 25, True),),
        (Click(55, 35, False),),
    ]  # and no more: the mask equals the truth
    assert {prompt.object_id for prompt in tracker.prompts} == {7}
    assert np.array_equal(masklet.mask, truth)


def test_box_replaces_a_mask_that_is_too_small():
    class Strict(Recorder):
        def prompt(self, prompt):
            if prompt.mask is not None:
                raise SmallMaskError
            return super().prompt(prompt)

    tracker = Strict(NOTHING)
    prompt_object(tracker, "mask", 1, rectangle(10, 10, 2, 1))
    assert [prompt.box for prompt in tracker.prompts] == [Box(10, 10, 2, 1)]


def test_box_and_mask_are_one_prompt():
    truth = rectangle(10, 10, 21, 21)
    for kind in ("box", "mask"):
        tracker = Recorder(truth)
        prompt_object(tracker, kind, 1, truth)
        (prompt,) = tracker.prompts
        assert not prompt.clicks
        assert prompt.box == (Box(10, 10, 21, 21) if kind == "box" else None)
        assert (prompt.mask is truth) == (kind == "mask")
