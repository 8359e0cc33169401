"""What a page asks of a project, checked field by field as it is used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sam2_ros.desk import requests, wire_mask, wire_prompt
from sam2_ros.desk.event import Event
from sam2_ros.desk.refusal import Refusal
from sam2_ros.tracking.prompt import MAX_LABEL, MAX_OBJECT_ID, Prompt

LONGEST = 24 * 3600.0
"""Seconds that an action can take a person."""


@dataclass(frozen=True)
class Asked:
    """A request. All methods raise Refusal if it does not say what they give, or something that cannot be."""

    request: Event
    name: str
    """Of the annotator; empty: not said yet."""
    span: range
    """The frames that there are."""
    size: tuple[int, int] = (0, 0)
    """Height and width of its frame, for prompts and masks."""

    @property
    def by(self) -> str:
        """The annotator."""
        if not self.name:
            raise Refusal("say who you are first")
        return self.name

    def has(self, name: str) -> bool:
        return self.request.get(name) is not None

    def frame(self, name: str = "frame") -> int:
        return requests.whole(self.request, name, self.span[0], self.span[-1])

    def object_id(self) -> int:
        return requests.whole(self.request, "object_id", 1, MAX_OBJECT_ID)

    def object_ids(self) -> list[int] | None:
        """None: all."""
        if not self.has("object_ids"):
            return None
        given = self.request["object_ids"]
        if not isinstance(given, list) or len(given) > MAX_OBJECT_ID:
            raise Refusal("object_ids must be a list of IDs")
        return [requests.whole({"an object's ID": one}, "an object's ID", 1, MAX_OBJECT_ID) for one in given]

    def phase(self, least: int = 1, default: int = 1) -> int:
        return requests.whole(self.request, "phase", least, 3, default)

    def prompt(self) -> Prompt:
        return wire_prompt.prompt(self.request.get("prompt"), self.size)

    def mask(self) -> np.ndarray:
        """bool [H, W]."""
        return wire_mask.mask(self.request.get("mask"), self.size)

    def choice(self) -> int | None:
        """Place of one of the candidates; None: the best one."""
        return requests.whole(self.request, "choice", 0, 9) if self.has("choice") else None

    def text(self, name: str) -> str:
        """Empty if it is left out."""
        return requests.text(self.request, name, MAX_LABEL, "")

    def attributes(self) -> dict[str, str] | None:
        """None: they stay."""
        if not self.has("attributes"):
            return None
        given = requests.mapping(self.request, "attributes")
        return {name: requests.text(given, name, MAX_LABEL) for name in given}

    def seen(self) -> int | None:
        """The last action that the page knew of; None: it has seen the newest."""
        return requests.whole(self.request, "seen", 0, requests.MAX_ID) if self.has("seen") else None

    def seconds(self) -> float:
        """How long it took the person."""
        return requests.number(self.request, "seconds", 0.0, LONGEST, 0.0)
