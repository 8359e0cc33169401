"""A desk over nothing, and its page, for tests of the server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from sam2_ros.desk.backend import Backend
from sam2_ros.desk.client import Client
from sam2_ros.desk.event import Event
from sam2_ros.desk.refusal import Refusal


class EchoBackend(Backend):
    """Answers `echo` with the request, refuses `refuse`, fails at `fail`, and counts what it is asked."""

    network_requests = frozenset({"prompt"})

    def __init__(self) -> None:
        self.clients: list[Client] = []
        self.requests: list[Event] = []
        self.running = False

    async def start(self) -> None:
        self.running = True

    async def stop(self) -> None:
        self.running = False

    async def greet(self, client: Client) -> Event:
        self.clients.append(client)
        return {"type": "hello", "mode": "live", "version": "0"}

    async def left(self, client: Client) -> None:
        self.clients.remove(client)

    async def handle(self, client: Client, request: Event) -> Event:
        self.requests.append(request)
        if request["type"] == "refuse":
            raise Refusal("not now; try later")
        if request["type"] == "fail":
            raise RuntimeError("a bug")
        return {"echo": request}

    def routes(self) -> Sequence[web.RouteDef]:
        return [web.get(r"/picture/{frame:\d+}", self._picture)]

    async def _picture(self, request: web.Request) -> web.Response:
        return web.Response(body=b"jpeg " + request.match_info["frame"].encode(), content_type="image/jpeg")


def write_page(folder: Path) -> Path:
    """A page of three files, and what must not be served beside them."""
    page = folder / "page"
    (page / "style").mkdir(parents=True)
    (page / "index.html").write_text("<!doctype html><title>desk</title>")
    (page / "main.js").write_text("export const desk = 1;\n")
    (page / "style/look.css").write_text("body { margin: 0 }\n")
    (page / "notes.py").write_text("secret = 1\n")
    (folder / "secret.txt").write_text("secret")
    return page
