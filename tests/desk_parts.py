"""A desk over nothing, and its page, for tests of the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from sam2_ros.desk.backend import Backend
from sam2_ros.desk.client import Client
from sam2_ros.desk.event import Event
from sam2_ros.desk.refusal import Refusal
from sam2_ros.desk.server import Server


class EchoBackend(Backend):
    """Answers `echo` with the request, refuses `refuse`, fails at `fail`, lets `wait` wait until it is released."""

    network_requests = frozenset({"prompt"})

    def __init__(self) -> None:
        self.clients: list[Client] = []
        self.requests: list[Event] = []
        self.running = False
        self.released = asyncio.Event()

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
        if request["type"] == "wait":
            await self.released.wait()
        return {"echo": request} if request["type"] == "echo" else {}

    def routes(self) -> Sequence[web.RouteDef]:
        return [web.get(r"/picture/{frame:\d+}", self._picture)]

    async def _picture(self, request: web.Request) -> web.Response:
        return web.Response(body=b"jpeg " + request.match_info["frame"].encode(), content_type="image/jpeg")


class Tab:
    """What the page does, in Python."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.events: list[Event] = []
        self.binary: list[bytes] = []
        self._ids = iter(range(1, 10**9))

    async def send(self, type: str, **fields: Any) -> int:
        """Send a request; its id."""
        number = next(self._ids)
        await self.socket.send_json({"type": type, "id": number, **fields})
        return number

    async def ask(self, type: str, **fields: Any) -> Event:
        """Send a request, and wait for its answer."""
        return await self.answer(await self.send(type, **fields))

    async def answer(self, number: int) -> Event:
        """The answer to a request; what comes before it is kept in `events` and `binary`."""
        while True:
            message = await self.socket.receive(timeout=20)
            if message.type is aiohttp.WSMsgType.BINARY:
                self.binary.append(message.data)
                continue
            assert message.type is aiohttp.WSMsgType.TEXT, f"{message.type!r} {message.data!r} {message.extra!r}"
            event = message.json()
            if event["type"] == "answer" and event["id"] == number:
                return event
            self.events.append(event)

    async def closed(self) -> tuple[int | None, str]:
        """Wait until the server closes the connection: the code and the reason."""
        while True:
            message = await self.socket.receive(timeout=20)
            if message.type is aiohttp.WSMsgType.CLOSE:
                return message.data, message.extra or ""
            if message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
                return self.socket.close_code, ""


@asynccontextmanager
async def open_tab(server: Server, **headers: str) -> AsyncIterator[Tab]:
    """A page of a server on this machine alone, after its hello."""
    address = server.url.partition("?")[0]
    async with aiohttp.ClientSession(address) as session:
        origin = {"Origin": address.rstrip("/"), **headers}
        async with session.ws_connect("/socket", headers=origin, max_msg_size=0) as socket:
            tab = Tab(socket)
            assert (await socket.receive_json(timeout=20))["type"] == "hello"
            yield tab


def write_page(folder: Path) -> Path:
    """A page of three files, and what must not be served beside them."""
    page = folder / "page"
    (page / "style").mkdir(parents=True)
    (page / "index.html").write_text('<!doctype html><title>desk</title><link rel="icon" href="data:,">')
    (page / "main.js").write_text("export const desk = 1;\n")
    (page / "style/look.css").write_text("body { margin: 0 }\n")
    (page / "notes.py").write_text("secret = 1\n")
    (folder / "secret.txt").write_text("secret")
    return page
