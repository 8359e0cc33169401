"""Fixtures: the page's modules in a browser, and a played scene behind the whole page."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from browser import Visit
from desk_parts import EchoBackend
from playwright.sync_api import Page

from sam2_ros.desk.backend import Backend
from sam2_ros.desk.server import Server


@pytest.fixture
def play() -> Iterator[Callable[..., Server]]:
    """Starts a server of a backend."""
    servers: list[Server] = []

    def start(backend: Backend, port: int = 0) -> Server:
        servers.append(Server(backend, port=port))
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def visit(play: Callable[..., Server], visit: Callable[..., Visit]) -> Callable[..., Visit]:
    """As everywhere; pages are left before their server stops."""
    return visit


@pytest.fixture
def modules(visit: Callable[..., Visit], play: Callable[..., Server]) -> Page:
    """A page in which the page's modules can be imported from /page."""
    return visit(play(EchoBackend()).url).page
