"""Recalled frames and their ages."""

from dataclasses import replace

import torch

from sam2_ros.model import CONFIGS
from sam2_ros.tracking.memory_bank import MemoryBank, recall_all


def bank(prompted=(0,), tracked=range(1, 30), history=4, prompted_memories=4) -> MemoryBank:
    """A bank whose map and pointer of frame i hold the number i."""
    made = MemoryBank(CONFIGS["sam2.1_hiera_tiny"], history, prompted_memories)
    for index in sorted({*prompted, *tracked}):
        remember = made.remember_prompted if index in prompted else made.remember
        remember(index, torch.full((64, 2, 2), float(index)), torch.full((256,), float(index)))
    return made


def recalled(made: MemoryBank, index: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """(age, frame) of maps and of pointers."""
    maps, pointers = made.recall(index)
    return [(a, int(v.flatten()[0])) for a, v in maps], [(a, int(v[0])) for a, v in pointers]


def test_first_prompt_and_the_six_most_recent():
    maps, pointers = recalled(bank(), 30)
    assert maps == [(0, 0), (1, 29), (2, 28), (3, 27), (4, 26), (5, 25), (6, 24)]
    assert pointers == [(30, 0)] + [(age, 30 - age) for age in range(1, 16)]


def test_a_prompted_frame_among_the_recent_ones_counts_as_prompted_only():
    maps, pointers = recalled(bank(prompted=(0, 28)), 30)
    assert maps == [(0, 0), (0, 28), (1, 29), (3, 27), (4, 26), (5, 25), (6, 24)]
    assert pointers == [(30, 0), (2, 28), (1, 29)] + [(age, 30 - age) for age in range(3, 16)]


def test_recall_of_a_past_frame_ignores_later_ones():
    maps, pointers = recalled(bank(history=4), 26)
    assert maps == [(0, 0)] + [(age, 26 - age) for age in range(1, 7)]
    assert pointers == [(26, 0)] + [(age, 26 - age) for age in range(1, 16)]


def test_prompts_on_later_frames_give_maps_but_no_pointers():
    maps, pointers = recalled(bank(prompted=(0, 28)), 27)
    assert (0, 28) in maps
    assert 28 not in [frame for _, frame in pointers]


def test_first_and_latest_prompts_are_stored():
    made = bank(prompted=(0, 5, 10, 20, 29), prompted_memories=3)
    assert list(made.prompted) == [0, 20, 29]
    made.remember_prompted(18, *made.prompted[20])  # a late prompt is not dropped itself
    assert list(made.prompted) == [0, 18, 29]
    assert (10, 20) in recalled(made, 30)[1], "a prompted frame that had to go is still a recent one"


def gated_bank(stride=1) -> MemoryBank:
    """A bank, prompted on frame 0, that remembers no frame on which the object is absent."""
    config = replace(CONFIGS["sam2.1_hiera_tiny"], remembered_presence=0.0, memory_stride=stride)
    made = MemoryBank(config, history=4, prompted_memories=4)
    made.remember_prompted(0, torch.zeros(64, 2, 2), torch.zeros(256))
    return made


def track(made: MemoryBank, index: int, presence_logit: float) -> None:
    made.remember(index, torch.full((64, 2, 2), float(index)), torch.full((256,), float(index)), presence_logit)


def test_frames_with_the_object_absent_are_not_stored():
    made = gated_bank()
    for index in range(1, 10):
        track(made, index, presence_logit=2.0 if index < 6 else -1.0)
    maps = [(0, 0), (1, 5), (2, 4), (3, 3), (4, 2), (5, 1)]
    assert recalled(made, 10) == (maps, [(10, 0)] + [(age, 10 - age) for age in range(5, 10)])
    track(made, 5, presence_logit=-1.0)  # a late prompt has changed its presence
    assert recalled(made, 10)[0] == [(0, 0), (1, 4), (2, 3), (3, 2), (4, 1)]


def test_an_object_hidden_for_long_is_remembered_as_it_was_last():
    made = gated_bank()
    for index in range(1, 1000):
        track(made, index, presence_logit=2.0 if index < 31 else -1.0)
    assert recalled(made, 1000) == ([(0, 0)] + [(age, 31 - age) for age in range(1, 7)], [(1000, 0)])


def test_memories_some_frames_apart_reach_further_back():
    made = gated_bank(stride=3)
    for index in range(1, 30):
        track(made, index, presence_logit=2.0)
    assert recalled(made, 30)[0] == [(0, 0), (1, 29), (2, 27), (3, 24), (4, 21), (5, 18), (6, 15)]
    assert recalled(made, 26)[0] == [(0, 0), (1, 25), (2, 24), (3, 21), (4, 18), (5, 15), (6, 12)]
    for index in range(30, 1000):
        track(made, index, presence_logit=2.0 if index < 500 else -1.0)
    assert len(made.maps) == 12, "5 of the history, and 7 before it"
    assert recalled(made, 1000)[0] == [(0, 0), (1, 499), (2, 498), (3, 495), (4, 492), (5, 489), (6, 486)]


def test_shorter_memories_are_padded_and_masked():
    memories = recall_all([bank(), bank(prompted=(28,), tracked=(29,))], 30, (2, 2))
    assert memories.maps.shape == (2, 7, 64, 2, 2)
    assert memories.map_valid.tolist() == [[True] * 7, [True] * 2 + [False] * 5]
    assert memories.pointer_valid.tolist() == [[True] * 16, [True] * 2 + [False] * 14]
    assert memories.map_age[1, :2].tolist() == [0, 1]
    alike = recall_all([bank(), bank()], 30, (2, 2))
    assert alike.map_valid is None and alike.pointer_valid is None
    assert recall_all([bank(prompted=(3,), tracked=())], 3, (2, 2)) is None
