"""Fixtures: the page's modules in a browser, and a played scene behind the whole page."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from browser import Visit
from desk_parts import EchoBackend
from played_desk import PlayedDesk
from playwright.sync_api import Page

from sam2_ros.desk.server import Server


@pytest.fixture
def modules(visit: Callable[..., Visit]) -> Iterator[Page]:
    """A page in which the page's modules can be imported from /page."""
    server = Server(EchoBackend(), port=0)
    server.start()
    yield visit(server.url).page
    server.stop()


@pytest.fixture
def play() -> Iterator[Callable[..., Server]]:
    """Starts a server of a `PlayedDesk`."""
    servers: list[Server] = []

    def start(desk: PlayedDesk, port: int = 0) -> Server:
        servers.append(Server(desk, port=port))
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        server.stop()
