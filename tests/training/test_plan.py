"""Plans of prompts: frequencies are those of the settings, and impossible settings are refused."""

from collections import Counter

import pytest
import torch

from sam2_ros.training.plan import FirstPrompt, Plan, Prompting
from sam2_ros.training.recipe import load


def plans(prompting: Prompting, frames: int, count: int = 3000) -> list[Plan]:
    generator = torch.Generator().manual_seed(0)
    return [Plan.draw(prompting, frames, generator) for _ in range(count)]


def share(values) -> float:
    values = list(values)
    return sum(values) / len(values)


def test_paper_plans_for_videos():
    drawn = plans(load("paper").prompting, 8)
    first = Counter(plan.prompts[0] for plan in drawn)
    assert first[FirstPrompt.MASK] / len(drawn) == pytest.approx(0.5, abs=0.03)
    assert first[FirstPrompt.BOX] / len(drawn) == pytest.approx(0.25, abs=0.03)
    assert first[FirstPrompt.CLICK] / len(drawn) == pytest.approx(0.25, abs=0.03)

    assert {len(plan.prompts) for plan in drawn} == {1, 2}
    assert share(len(plan.prompts) == 2 for plan in drawn) == pytest.approx(0.5, abs=0.03)
    assert {t for plan in drawn for t in plan.prompts} == set(range(8))

    masks = [plan for plan in drawn if plan.prompts[0] is FirstPrompt.MASK]
    points = [plan for plan in drawn if plan.prompts[0] is not FirstPrompt.MASK]
    assert all(set(plan.prompts.values()) == {FirstPrompt.MASK} and not plan.corrections for plan in masks)
    assert all(FirstPrompt.MASK not in plan.prompts.values() for plan in points)
    assert all(set(plan.prompts) <= set(plan.corrections) and len(plan.corrections) <= 2 for plan in points)
    assert share(len(plan.corrections) == 2 for plan in points) == pytest.approx(0.75, abs=0.04)  # 1/2 + 1/2 * 1/2
    assert {clicks for plan in points for clicks in plan.corrections.values()} == {7}
    assert {plan.ago for plan in drawn} == {0}


def test_paper_plans_for_still_images():
    drawn = plans(load("paper").prompting, 1)
    assert all(set(plan.prompts) == {0} and plan.corrections == {0: 7} for plan in drawn)
    assert share(plan.prompts[0] is FirstPrompt.BOX for plan in drawn) == pytest.approx(0.5, abs=0.03)
    assert not any(plan.prompts[0] is FirstPrompt.MASK for plan in drawn)


def test_one_frame_after_a_mask_is_always_tracked():
    prompting = Prompting(mask=1.0, box=0.0, prompted_frames=2)
    assert all(set(plan.prompts) == {0} for plan in plans(prompting, 2, 50))


def test_default_plans_correct_some_clips_and_age_some_prompts():
    drawn = plans(Prompting(), 8)
    assert all(set(plan.prompts) == {0} and len(plan.corrections) <= 2 for plan in drawn)
    assert {clicks for plan in drawn for clicks in plan.corrections.values()} == {1, 2}
    assert not any(0 in plan.corrections for plan in drawn if plan.prompts[0] is FirstPrompt.MASK)
    # Half are corrected; where the mask was given, only if a later frame is chosen.
    assert share(bool(plan.corrections) for plan in drawn) == pytest.approx(0.25 + 0.25 * 7 / 8, abs=0.03)
    assert share(plan.ago > 0 for plan in drawn) == pytest.approx(0.5, abs=0.03)
    assert 500 < max(plan.ago for plan in drawn) < 1100


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match="more than all first prompts"):
        Prompting(mask=0.8, box=0.3)
    with pytest.raises(ValueError, match="no range"):
        Prompting(min_corrections=3, max_corrections=2)
