"""What pages point at and draw: requests that the network answers, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sam2_ros.acceleration import Network
from sam2_ros.annotation.assistant import Assistant
from sam2_ros.annotation.project import Project
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

    async def assist(self, by: str, work: Callable[[Assistant], T]) -> T:
        """What the work returns or raises, with the assistant of an annotator; as soon as the network is loaded."""
        network = await asyncio.shield(asyncio.wrap_future(self._network.loaded))

        def with_assistant(project: Project) -> T:
            assistant = self._assistant_of(project, network, by)
            with self._network.turn:
                return work(assistant)

        return await self._worker.do(with_assistant)

    async def change(self, work: Callable[[Project], T]) -> T:
        """The same without the network: after what was asked for before."""
        return await self._worker.do(work)

    def _assistant_of(self, project: Project, network: Network, by: str) -> Assistant:
        if self._assistant is None:
            self._assistant = Assistant(project, self._recording, network, by)
        self._assistant.by = by
        return self._assistant
