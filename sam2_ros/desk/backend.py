"""What a desk is over: the cameras of a robot, or a recording."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from aiohttp import web

from sam2_ros.desk.client import Client
from sam2_ros.desk.event import Event


class Backend(ABC):
    """Answers the requests of pages, and tells them what changes. All methods run in the server's event loop."""

    network_requests: frozenset[str] = frozenset()
    """The types of requests that make the network work. All pages together may make only so many a second."""

    @abstractmethod
    async def start(self) -> None:
        """Called once, before the first page."""

    @abstractmethod
    async def stop(self) -> None:
        """Called once, after the last page."""

    @abstractmethod
    async def greet(self, client: Client) -> Event:
        """What a new page is told first: an event of type `hello`, with `mode`."""

    @abstractmethod
    async def left(self, client: Client) -> None:
        """A page is gone."""

    @abstractmethod
    async def handle(self, client: Client, request: Event) -> Event:
        """Do what a page asks for, and answer. Several requests of a page may be under way; they begin in their order.

        Args:
            request: with `type` and what the type needs; nothing of it is checked yet (see `desk.requests`).

        Returns:
            What the answer says beside `type: answer`, `id` and `ok: true`.

        Raises:
            Refusal: it cannot be followed; nothing has changed.
        """

    def routes(self) -> Sequence[web.RouteDef]:
        """What the page can get beside its own files, such as pictures. GET only; access is checked already."""
        return ()
