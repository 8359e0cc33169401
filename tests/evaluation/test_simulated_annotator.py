"""Ground truth that plays the person."""

import numpy as np
import pytest

from sam2_ros.evaluation.region_boundary import region_similarity
from sam2_ros.evaluation.simulated_annotator import Costs, SimulatedAnnotator


def box(left: int, top: int = 10, width: int = 20, height: int = 20) -> np.ndarray:
    mask = np.zeros((60, 80), bool)
    mask[top : top + height, left : left + width] = True
    return mask


NOTHING = np.zeros((60, 80), bool)


def test_a_mask_is_touched_below_one_iou_and_fine_from_another_on() -> None:
    person = SimulatedAnnotator(touch_iou=0.75, fine_iou=0.85)
    for shift, iou, touched, fine in ((1, 0.905, False, True), (2, 0.818, False, False), (4, 0.667, True, False)):
        assert region_similarity(box(10), box(10 + shift)) == pytest.approx(iou, abs=1e-3)
        assert person.touches(box(10), box(10 + shift)) == touched
        assert (person.correction(box(10), box(10 + shift), 1) is None) == fine


def test_clicks_are_at_the_centre_of_the_largest_error() -> None:
    person = SimulatedAnnotator()
    first = person.correction(box(10), NOTHING, 0)
    assert first.drawn is None and first.click.positive
    assert (first.click.x, first.click.y) == pytest.approx((19.5, 19.5), abs=1)
    too_much = person.correction(box(10, width=10), box(10, width=40), 1)
    assert not too_much.click.positive and too_much.click.x > 20


def test_a_mask_is_drawn_when_clicks_were_not_enough() -> None:
    person = SimulatedAnnotator(max_clicks=3)
    assert person.correction(box(10), box(40), 2).click is not None
    drawn = person.correction(box(10), box(40), 3)
    assert drawn.click is None and np.array_equal(drawn.drawn, box(10))
    assert np.array_equal(SimulatedAnnotator(max_clicks=0).correction(box(10), NOTHING, 0).drawn, box(10))


def test_an_object_that_is_not_visible_gets_an_empty_mask() -> None:
    person = SimulatedAnnotator()
    assert not person.touches(NOTHING, NOTHING) and person.correction(NOTHING, NOTHING, 0) is None
    assert person.touches(NOTHING, box(10)) and person.touches(box(10), NOTHING)
    assert not person.correction(NOTHING, box(10), 0).drawn.any()


def test_costs() -> None:
    person = SimulatedAnnotator(costs=Costs(look=1, click=2, further_click=0.5, draw=30))
    assert person.seconds(0) == 0
    assert person.seconds(1) == 2
    assert person.seconds(3) == 3
    assert person.seconds(3, box(10)) == 33
    assert person.seconds(0, NOTHING) == 2  # pressing "not visible"


def test_defaults_give_the_papers_third_phase() -> None:
    costs, edited, clicks = Costs(), 0.1904, 2.68
    assert costs.look + edited * (costs.click + (clicks - 1) * costs.further_click) == pytest.approx(4.5, abs=0.1)


@pytest.mark.parametrize(
    "settings", [{"touch_iou": 0.9}, {"fine_iou": 1.1}, {"max_clicks": -1}, {"costs": Costs(look=-1)}]
)
def test_impossible_settings_are_refused(settings: dict) -> None:
    with pytest.raises(ValueError, match="must"):
        SimulatedAnnotator(**settings)
