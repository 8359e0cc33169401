"""The web server of a desk."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
import time
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

from aiohttp import WSCloseCode, web

from sam2_ros.desk.access import SECURITY_HEADERS, Access
from sam2_ros.desk.address import BACKLOG, listening, outside_address
from sam2_ros.desk.backend import Backend
from sam2_ros.desk.client import Client
from sam2_ros.desk.connection import Connection
from sam2_ros.desk.page_files import PageFiles
from sam2_ros.desk.rate_limit import RateLimit

DEFAULT_PORT = 8642

ALIVE_SECONDS = 5
"""Pages and desk hear of each other at least so often; otherwise, each could take minutes to notice it is cut off."""

MAX_CLIENTS = 32
"""Pages that are open at the same time."""

MAX_CONNECTIONS = 256
"""Connections of any kind, so that nobody keeps the process from opening files. A browser has some for each page."""

MAX_OF_ADDRESS = 128
"""The same from one address, so that nobody keeps others from connecting."""

MAX_MESSAGE = 4 * 2**20
"""Bytes of a message from a page. Masks by hand are the largest, a few thousand bytes."""

QUIET_SECONDS = 15.0
"""A connection that neither asks nor takes anything for so long is closed."""

ANSWER_SECONDS = 60.0
"""What a page gets, such as a picture, may take so much longer."""

ADMITTED = (
    '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=/">'
    '<link rel="icon" href="data:,"><title>Desk</title>\n'  # without an icon browsers ask for /favicon.ico, in vain
)
"""Leads to the page. A redirect does not if a link of another site led here: browsers follow it without the cookie."""

_log = logging.getLogger(__name__)
_silent = logging.Logger("desk", logging.CRITICAL + 1)  # whoever sends garbage shall not fill the disk with our log


class Server:
    """Serves the page of a backend.

    Args:
        backend: what the desk is over.
        host: name or address to listen on; "0.0.0.0": every one of this machine, which needs a token.
        port: 0: any free one.
        token: see `Access`.
        page: the files of the page.
    """

    def __init__(
        self,
        backend: Backend,
        host: str = "127.0.0.1",
        port: int = DEFAULT_PORT,
        token: str | None = None,
        page: PageFiles | None = None,
    ) -> None:
        self.backend = backend
        self._page = page or PageFiles()
        self._socket = listening(host, port)
        self._address, self.port = self._socket.getsockname()[:2]
        self.access = Access(self._address, self.port, token)
        self._network_limit = RateLimit(20, 40)
        self._asked: dict[Any, float] = {}  # when each connection last asked for something
        self._connections: dict[Client, Connection] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._runner: web.AppRunner | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """What opens the page, also from other machines if they may. It holds the token."""
        address = outside_address() if self._address in ("0.0.0.0", "::") else self._address
        host = f"[{address}]" if ":" in address else address
        return f"http://{host}:{self.port}/" + (f"?token={self.access.token}" if self.access.token else "")

    # ------------------------------------------------------------------------------------------------------ its life

    def start(self) -> None:
        """Serve in a thread of its own, until `stop`. Returns when pages can be opened."""
        problems: list[BaseException] = []
        ready = threading.Event()

        async def serve() -> None:
            try:
                await self._start()
            except BaseException as problem:
                problems.append(problem)
                return
            finally:
                ready.set()
            await self._stopped.wait()
            await self._stop()

        self._thread = threading.Thread(target=lambda: asyncio.run(serve()), name="desk", daemon=True)
        self._thread.start()
        ready.wait()
        if problems:
            self._thread.join()
            raise problems[0]

    def stop(self) -> None:
        """End what `start` began: pages are told, the backend is stopped."""
        if self._thread is not None:
            self.call_soon(self._stopped.set)
            self._thread.join()
            self._thread = None
        self._socket.close()

    def call_soon(self, function: Callable[..., object], *arguments: object) -> None:
        """From any other thread: call something in the server's loop. Nothing happens if it has ended."""
        if self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(function, *arguments)
            except RuntimeError:  # the loop is closed
                return

    def run_forever(self, ready: Callable[[], object] = lambda: None) -> None:
        """Serve in this thread, the main one, until Ctrl-C, SIGTERM or SIGHUP.

        Args:
            ready: called when pages can be opened.
        """

        async def serve() -> None:
            await self._start()
            try:
                loop = asyncio.get_running_loop()
                for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                    loop.add_signal_handler(number, self._stopped.set)
                ready()
                await self._stopped.wait()
            finally:
                await self._stop()

        asyncio.run(serve())

    async def _start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        application = web.Application(middlewares=[self._guard], client_max_size=2**16)
        application.on_response_prepare.append(_add_headers)
        application.router.add_get("/", self._index)
        application.router.add_get("/page/{name:.+}", self._page_file)
        application.router.add_get("/socket", self._websocket)
        for route in self.backend.routes():
            if route.method != "GET":
                raise ValueError(f"{route.method} {route.path}: pages change things by requests, routes only GET")
        application.router.add_routes(self.backend.routes())
        self._runner = web.AppRunner(
            application, access_log=None, logger=_silent, handle_signals=False, shutdown_timeout=2.0, lingering_time=0.0
        )
        try:
            await self.backend.start()
            await self._runner.setup()
            self._listener = await self._loop.create_server(
                lambda: _Door(self._admit), sock=self._socket, backlog=BACKLOG
            )
        except BaseException:
            self._socket.close()
            raise
        self._watch = asyncio.create_task(self._close_quiet_connections())

    async def _stop(self) -> None:
        self._watch.cancel()
        self._listener.close()
        await asyncio.gather(
            *(connection.close(WSCloseCode.GOING_AWAY, "the desk ends") for connection in self._connections.values()),
            return_exceptions=True,
        )
        assert self._runner is not None
        await self._runner.cleanup()
        await self.backend.stop()

    # ---------------------------------------------------------------------------------------------------- connections

    def _admit(self, transport: asyncio.Transport) -> asyncio.Protocol | None:
        """Who answers on a new connection; None: there are too many."""
        assert self._runner is not None and self._runner.server is not None
        server = self._runner.server
        address = _address(transport)
        of_address = sum(
            other.transport is not None and _address(other.transport) == address for other in server.connections
        )
        if len(server.connections) >= MAX_CONNECTIONS or of_address >= MAX_OF_ADDRESS:
            return None
        protocol = server()
        self._asked[protocol] = time.monotonic()
        return protocol

    async def _close_quiet_connections(self) -> None:
        """Those that ask for nothing, or take nothing of what they asked for. Others hear that the desk is there."""
        for second in count():
            await asyncio.sleep(1)
            for connection in self._connections.values():
                if connection.is_stuck(QUIET_SECONDS):
                    connection.abort()
                elif second % ALIVE_SECONDS == 0:
                    connection.ping()
            assert self._runner is not None and self._runner.server is not None
            talking = {connection.protocol for connection in self._connections.values()}
            now, there = time.monotonic(), set(self._runner.server.connections)
            self._asked = {protocol: when for protocol, when in self._asked.items() if protocol in there}
            for protocol, when in self._asked.items():
                if now - when > QUIET_SECONDS and protocol not in talking and protocol.transport is not None:
                    protocol.transport.abort()

    # ------------------------------------------------------------------------------------------------------- requests

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        self._asked[request.protocol] = time.monotonic() + ANSWER_SECONDS
        try:
            return await self._answer(request, handler)
        except web.HTTPException:
            raise
        except Exception:
            _log.exception("desk: %.80r failed", request.path)
            return web.Response(status=500, text="the desk failed at this, its log says more")
        finally:
            self._asked[request.protocol] = time.monotonic()

    async def _answer(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        given = request.query.get("token")
        if given is not None and request.path == "/" and self.access.token and self.access.knows_token(given):
            response = web.Response(text=ADMITTED, content_type="text/html")
            response.set_cookie(self.access.cookie, self.access.token, httponly=True, samesite="Strict", path="/")
            return response
        is_socket = request.path == "/socket"
        problem = (self.access.socket_problem if is_socket else self.access.problem)(request.headers)
        if problem is not None:
            return web.Response(status=403, text=problem)
        return await handler(request)

    async def _index(self, request: web.Request) -> web.StreamResponse:
        return self._file(request, "index.html")

    async def _page_file(self, request: web.Request) -> web.StreamResponse:
        return self._file(request, request.match_info["name"])

    def _file(self, request: web.Request, name: str) -> web.StreamResponse:
        file = self._page.get(name)
        if file is None:
            return web.Response(status=404, text="the desk has no such file")
        response = web.Response(headers={"Cache-Control": "no-cache"})
        response.etag = file.etag
        if any(tag.value in (file.etag, "*") for tag in request.if_none_match or ()):
            response.set_status(304)
            return response
        response.body = file.content
        response.content_type = file.content_type
        if file.content_type.startswith("text/"):
            response.charset = "utf-8"
        return response

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(max_msg_size=MAX_MESSAGE, compress=False, autoping=False)
        try:
            await socket.prepare(request)
        except ValueError:  # of a key that is no ASCII
            return web.Response(status=400, text="this is no WebSocket")
        client = Client()
        connection = Connection(client, socket, request, self._network_limit)
        if len(self._connections) >= MAX_CLIENTS:
            reason = f"{MAX_CLIENTS} pages of this desk are open already; close one"
            await connection.close(WSCloseCode.TRY_AGAIN_LATER, reason)
            return socket
        self._connections[client] = connection
        try:
            client.send({**await self.backend.greet(client), "now_ms": time.time() * 1000})
            await connection.run(self.backend)
        except Exception:
            _log.exception("desk: a page failed")
        finally:
            client.closed = True
            del self._connections[client]
            try:
                await self.backend.left(client)
            finally:
                await connection.close(WSCloseCode.INTERNAL_ERROR, "the desk failed, its log says more")
        return socket


class _Door(asyncio.Protocol):
    """Where connections come in."""

    def __init__(self, admit: Callable[[asyncio.Transport], asyncio.Protocol | None]) -> None:
        self._admit = admit

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if (protocol := self._admit(transport)) is None:
            transport.abort()
        else:
            transport.set_protocol(protocol)
            protocol.connection_made(transport)


def _address(transport: asyncio.BaseTransport) -> str:
    """The other end's; empty: it is gone."""
    return (transport.get_extra_info("peername") or ("",))[0]


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(SECURITY_HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["Server"] = "sam2_ros"
