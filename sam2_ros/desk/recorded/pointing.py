"""What pages point at and draw: the network answers, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from sam2_ros.annotation.annotated_mask import AnnotatedMask
from sam2_ros.annotation.assistant import Assistant
from sam2_ros.annotation.project import Project
from sam2_ros.desk.event import Event
from sam2_ros.desk.recorded import wire
from sam2_ros.desk.recorded.asked import Asked
from sam2_ros.desk.recorded.shared_network import SharedNetwork
from sam2_ros.desk.recorded.worker import Worker
from sam2_ros.recordings.recording import Recording

T = TypeVar("T")


class Pointing:
    """A thread with an assistant, which all annotators of this desk share: its images are encoded once.

    Args:
        folder: of the project.
        recording: that of the project.
        network: loaded or not.
    """

    def __init__(self, folder: Path, recording: Recording, network: SharedNetwork) -> None:
        self._worker = Worker("pointing", folder)
        self._recording, self._network = recording, network
        self._assistant: Assistant | None = None

    async def stop(self) -> None:
        await self._worker.stop()

    async def point(self, asked: Asked) -> Event:
        """Answer one of `POINTING`, as soon as the network is loaded. Raises what loading it, or an assistant, does."""
        by, work = asked.by, POINTING[asked.request["type"]]
        network = await asyncio.shield(asyncio.wrap_future(self._network.loaded))

        def answer(project: Project) -> Event:
            if self._assistant is None:
                self._assistant = Assistant(project, self._recording, network, by)
            self._assistant.by = by
            with self._network.turn:
                return work(self._assistant, asked)

        return await self._worker.do(answer)

    async def change(self, work: Callable[[Project], T]) -> T:
        """What needs no network, after what was asked for before it."""
        return await self._worker.do(work)


def candidates(assistant: Assistant, asked: Asked) -> Event:
    """What a prompt may mean. Nothing is stored."""
    return {"candidates": wire.candidates_to_wire(assistant.candidates(asked.frame(), asked.prompt()))}


def begin(assistant: Assistant, asked: Asked) -> Event:
    """A new object with its first mask."""
    label, choice = asked.text("label"), asked.choice()
    mask = assistant.begin(asked.frame(), asked.prompt(), label, asked.phase(), asked.seconds(), choice)
    return _answer(assistant, mask)


def segment(assistant: Assistant, asked: Asked) -> Event:
    """On its frame alone."""
    object_id, frame, prompt, phase = asked.object_id(), asked.frame(), asked.prompt(), asked.phase()
    mask = assistant.segment(object_id, frame, prompt, phase, asked.seen(), asked.seconds(), asked.choice())
    return _answer(assistant, mask)


def correct(assistant: Assistant, asked: Asked) -> Event:
    """With memory of other frames."""
    object_id, frame, prompt = asked.object_id(), asked.frame(), asked.prompt()
    return _answer(assistant, assistant.correct(object_id, frame, prompt, asked.seen(), asked.seconds()))


def draw(assistant: Assistant, asked: Asked) -> Event:
    """By hand; an empty mask: it is not visible."""
    object_id, frame, mask, phase = asked.object_id(), asked.frame(), asked.mask(), asked.phase()
    return _answer(assistant, assistant.draw(object_id, frame, mask, phase, asked.seen(), asked.seconds()))


def _answer(assistant: Assistant, mask: AnnotatedMask) -> Event:
    prompts = assistant.project.prompts_on(mask.frame)
    return {"object_id": mask.object_id, "mask": wire.mask_to_wire(mask, prompts.get(mask.object_id))}


POINTING: Mapping[str, Callable[[Assistant, Asked], Event]] = {
    "candidates": candidates,
    "begin": begin,
    "segment": segment,
    "correct": correct,
    "draw": draw,
}
"""By the type of request."""
