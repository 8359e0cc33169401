"""The account of prompts and calls: who was answered how often."""

from __future__ import annotations

import threading
from collections import Counter

from sam2_ros import msg

UNTAGGED = ""
"""Account of the prompts that cannot carry a tag: clicks from viewers. Only their number is checked."""


def tagged(tag: str, junk: str = "") -> str:
    """A frame_id or a label that begins with a tag. Answers cut long texts in their middle."""
    return f"{tag}|{junk}"


class Answers:
    """Counts answers to prompts by the tags that they carry. Thread-safe.

    A refusal carries the frame_id of its prompt, an accepted prompt its label.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._expected: Counter[str] = Counter()
        self._received: Counter[str] = Counter()
        self._at_most: set[str] = set()  # tags whose prompts may be dropped

    def expect(self, tag: str, number: int = 1, at_most: bool = False) -> None:
        """Note that prompts are about to be sent. `at_most`: they may be dropped, as detections are."""
        with self._lock:
            self._expected[tag] += number
            if at_most:
                self._at_most.add(tag)

    def receive(self, result: msg.PromptResult) -> None:
        text = result.masklet.label if result.accepted else result.header.frame_id
        tag = text.partition("|")[0] if "|" in text else UNTAGGED
        with self._lock:
            self._received[tag if tag in self._expected else UNTAGGED] += 1

    @property
    def is_complete(self) -> bool:
        """Whether every prompt has its answer."""
        with self._lock:
            return not self._missing()

    def settle(self) -> tuple[int, Counter[str], Counter[str]]:
        """Closes the account. Returns the number of prompts that need an answer; by tag, how many have none; and how
        many answers belong to no prompt."""
        with self._lock:
            prompts = sum(number for tag, number in self._expected.items() if tag not in self._at_most)
            missing, surplus = self._missing(), self._received - self._expected
            for account in (self._expected, self._received):  # what may be dropped may also come later
                for tag in account.keys() - self._at_most:
                    del account[tag]
        return prompts, missing, surplus

    def _missing(self) -> Counter[str]:
        missing = self._expected - self._received
        return Counter({tag: number for tag, number in missing.items() if tag not in self._at_most})
