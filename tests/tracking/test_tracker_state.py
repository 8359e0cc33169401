"""A tracker that goes on, in another process, where another one was."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_network import default_network
from torch import Tensor

from sam2_ros.tracking import Box, Click, Frame, Prompt, PromptError, Tracker
from sam2_ros.tracking.history import StampError
from sam2_ros.tracking.tracker_state import State, StateError

MASK = np.zeros((60, 80), bool)
MASK[20:50, 10:40] = True
GOES_ON = 12
"""Number of images before the tracker is replaced."""
LATE = {
    2: Prompt(1, clicks=[Click(60, 50, False)]),
    4: Prompt(box=Box(5, 5, 30, 30)),
    6: Prompt(3, clicks=[Click(9, 9)]),
}
"""Prompts after that, by number of the image."""


def begin(tracker: Tracker, images: list[np.ndarray]) -> None:
    """Three objects that come at different times; one is prompted on more images than are remembered."""
    for index, image in enumerate(images[:GOES_ON]):
        tracker.step(image, 100 + index)
        if index == 0:
            tracker.prompt(Prompt(clicks=[Click(20, 30), Click(70, 50, False)], label="cup"))
        if index == 3:
            tracker.prompt(Prompt(7, mask=MASK))
        if index == GOES_ON - 1:
            tracker.prompt(Prompt(3, box=Box(30, 10, 20, 40), label="box"))
        if index in (2, 4, 5, 7, 9):
            tracker.prompt(Prompt(1, clicks=[Click(30, 30)]))


def go_on(tracker: Tracker, images: list[np.ndarray]) -> list[Frame]:
    frames = []
    for index, image in enumerate(images[GOES_ON:]):
        tracker.step(image, 200 + index)
        if index in LATE:
            tracker.prompt(LATE[index])
        frames.append(tracker.newest)
    return frames


def bits_of(frames: list[Frame]) -> list[object]:
    return [
        [frame.stamp, *((m.object_id, m.label, m.present, m.presence, m.iou, m.mask.tobytes()) for m in frame.masklets)]
        for frame in frames
    ]


def saved(state: State) -> bytes:
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def same(one: object, other: object) -> bool:
    """Whether states are equal, tensors bit by bit and with the same strides."""
    if isinstance(one, Tensor):
        return torch.equal(one, other) and one.stride() == other.stride() and one.dtype == other.dtype
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@pytest.mark.slow
def test_another_process_goes_on_bit_for_bit(images, tmp_path: Path) -> None:
    tracker = Tracker(default_network())
    begin(tracker, images)
    torch.save(tracker.state(), tmp_path / "state.pt")
    expected = bits_of(go_on(tracker, images))
    assert expected[-1][-1][0] == 8, "the last object got the next ID"
    np.save(tmp_path / "images.npy", np.stack(images))
    subprocess.run([sys.executable, __file__, str(tmp_path), str(torch.get_num_threads())], check=True)
    assert torch.load(tmp_path / "bits.pt", weights_only=True) == expected


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_state_is_the_whole_of_it(model, images, dtype: torch.dtype) -> None:
    tracker, other = Tracker(model, history=1, dtype=dtype), Tracker(model, history=1, dtype=dtype)
    begin(tracker, images)
    state = tracker.state()
    before = saved(state)
    other.step(images[0], 10**9)  # is forgotten
    other.prompt(Prompt(99, clicks=[Click(3, 3)]))
    other.restore(torch.load(io.BytesIO(before), weights_only=True))
    assert same(other.state(), state)
    assert other.labels == tracker.labels and other.next_id == tracker.next_id and other.newest is None
    assert bits_of(go_on(other, images)) == bits_of(go_on(tracker, images))
    assert saved(state) == before, "what the tracker does later changes nothing"
    assert len(before) < 1.2 * sum(tensor.nbytes for tensor in tensors_of(state)) + 100_000, "no whole batches"


def tensors_of(state: object) -> list[Tensor]:
    if isinstance(state, Tensor):
        return [state]
    parts = state.values() if isinstance(state, dict) else state if isinstance(state, list) else ()
    return [tensor for part in parts for tensor in tensors_of(part)]


def test_earlier_images_are_gone(model, images) -> None:
    tracker, other = Tracker(model), Tracker(model)
    begin(tracker, images)
    other.restore(tracker.state())
    with pytest.raises(PromptError, match="no image has been seen yet"):
        other.prompt(Prompt(1, clicks=[Click(20, 30)]))
    with pytest.raises(StampError, match="stamp 111 ns is not after 111 ns"):
        other.step(images[0], 111)
    assert other.step(images[0]).stamp == 112
    with pytest.raises(PromptError, match="older than the newest"):
        other.prompt(Prompt(1, clicks=[Click(20, 30)]), 111)


def test_another_network_refuses_a_state(model, images) -> None:
    tracker, other = Tracker(model), Tracker(model, dtype=torch.bfloat16)
    begin(tracker, images)
    begin(other, images)
    with pytest.raises(
        StateError, match=r"of the network default at 64 in torch.float32, not default at 64 in torch.bf"
    ):
        other.restore(tracker.state())
    with pytest.raises(StateError, match="has the form 0, not 1"):
        other.restore({"version": 0})
    assert len(other.objects) == 3


def test_an_adopted_object_is_tracked_as_by_its_tracker(model, images) -> None:
    """With the memories of the frames on which it was prompted, at the same age."""
    tracker, other = Tracker(model), Tracker(model, max_objects=1)
    tracker.step(images[0])
    tracker.prompt(Prompt(4, clicks=[Click(20, 30)], label="cup"))
    other.step(images[1])
    memories = [(1, *memory) for memory in tracker.objects[4].bank.prompted.values()]
    other.adopt(4, "cup", memories)
    assert bits_of([other.step(images[2], 50)]) == bits_of([tracker.step(images[2], 50)])
    with pytest.raises(PromptError, match="object 4 is tracked already"):
        other.adopt(4, "cup", memories)
    with pytest.raises(PromptError, match="limit of tracked objects"):
        other.adopt(5, "cup", memories)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    torch.set_num_threads(int(sys.argv[2]))
    resumed = Tracker(default_network())
    resumed.restore(torch.load(folder / "state.pt", weights_only=True))
    torch.save(bits_of(go_on(resumed, list(np.load(folder / "images.npy")))), folder / "bits.pt")
