"""The state of a tracker between two images: plain values and tensors, which `torch.save` writes as they are."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sam2_ros.tracking.memory_bank import MemoryBank
from sam2_ros.tracking.object_ids import ObjectIds
from sam2_ros.tracking.prompt import Box, Click
from sam2_ros.tracking.tracked_object import TrackedObject

State = dict[str, Any]
"""Dicts, lists, numbers, texts, and tensors on the CPU: `torch.load(weights_only=True)` reads them."""

VERSION = 1
"""Of the state's form."""


class StateError(ValueError):
    """A state is of another form, or of another network."""


def object_state(tracked: TrackedObject) -> State:
    """All that is known of an object."""
    bank = tracked.bank
    return {
        "object_id": tracked.object_id,
        "label": tracked.label,
        "prompted": {index: [_stored(tensor) for tensor in memory] for index, memory in bank.prompted.items()},
        "maps": {index: _stored(map) for index, map in bank.maps.items()},
        "pointers": {index: _stored(pointer) for index, pointer in bank.pointers.items()},
        "prompts": {
            index: [None if box is None else list(box), [list(click) for click in clicks]]
            for index, (box, clicks) in tracked.prompts.items()
        },
        "untracked_frames": sorted(tracked.untracked_frames),
    }


def restored_object(state: State, bank: MemoryBank, device: torch.device) -> TrackedObject:
    """The object of a state.

    Args:
        bank: an empty memory bank, which is filled.
        device: of the network.
    """
    bank.prompted = {index: (map.to(device), pointer.to(device)) for index, (map, pointer) in state["prompted"].items()}
    bank.maps = {index: map.to(device) for index, map in state["maps"].items()}
    bank.pointers = {index: pointer.to(device) for index, pointer in state["pointers"].items()}
    prompts = {
        index: (None if box is None else Box(*box), tuple(Click(*click) for click in clicks))
        for index, (box, clicks) in state["prompts"].items()
    }
    return TrackedObject(state["object_id"], state["label"], bank, prompts, set(state["untracked_frames"]))


def ids_state(ids: ObjectIds) -> State:
    """Which IDs have been used."""
    return {"next": ids.next, "used": sorted(ids.used)}


def restored_ids(state: State) -> ObjectIds:
    """The allocation of IDs as it was."""
    ids = ObjectIds()
    ids.next, ids.used = state["next"], set(state["used"])
    return ids


def _stored(tensor: Tensor) -> Tensor:
    """A copy on the CPU with the same bits and strides. Of its own: a view would store the whole batch."""
    return tensor.detach().to("cpu", copy=True)
