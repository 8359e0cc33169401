"""The web server, asked by real clients over real sockets."""

from __future__ import annotations

import asyncio
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from desk_parts import EchoBackend, Tab, open_tab, write_page

from sam2_ros.desk import server as server_module
from sam2_ros.desk.address import CannotListen
from sam2_ros.desk.page_files import PageFiles
from sam2_ros.desk.picture import Picture
from sam2_ros.desk.server import MAX_CLIENTS, Server

TOKEN = "correct-horse-battery"


@pytest.fixture
def page(tmp_path: Path) -> PageFiles:
    return PageFiles(write_page(tmp_path))


@pytest.fixture
def backend() -> EchoBackend:
    return EchoBackend()


@pytest.fixture
def server(page: PageFiles, backend: EchoBackend) -> Iterator[Server]:
    server = Server(backend, port=0, page=page)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def guarded(page: PageFiles, backend: EchoBackend) -> Iterator[Server]:
    """A server that others may reach, so that it needs its token."""
    server = Server(backend, host="0.0.0.0", port=0, token=TOKEN, page=page)
    server.start()
    yield server
    server.stop()


def get(server: Server, path: str, method: str = "GET", **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Status, headers and body of a request whose path is sent as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    try:
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def transport_of(tab: Tab) -> asyncio.Transport:
    connection = tab.socket._response.connection
    assert connection is not None and connection.transport is not None
    return connection.transport


# ------------------------------------------------------------------------------------------------------------ the page


def test_page_and_its_files(server: Server) -> None:
    status, headers, body = get(server, "/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8") and b"<title>desk" in body
    status, headers, _ = get(server, "/page/main.js")
    assert (status, headers["Content-Type"]) == (200, "text/javascript; charset=utf-8")
    assert headers["Cache-Control"] == "no-cache"
    assert get(server, "/page/style/look.css")[0] == 200
    status, _, body = get(server, "/page/main.js", If_None_Match=headers["ETag"])
    assert (status, body) == (304, b"")
    assert get(server, "/page/main.js", If_None_Match='"another"')[0] == 200


def test_own_page_is_served() -> None:
    """The page of the package, if it is installed as a whole."""
    server = Server(EchoBackend(), port=0)
    server.start()
    try:
        assert get(server, "/page/notes.py")[0] == 404
    finally:
        server.stop()


def test_what_the_backend_adds(server: Server) -> None:
    assert get(server, "/picture/7")[2] == b"jpeg 7"
    assert get(server, "/picture/seven")[0] == 404


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/page/none.js", "/none", "/picture/7"])
def test_every_answer_is_guarded(server: Server, path: str) -> None:
    _, headers, _ = get(server, path)
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["X-Frame-Options"] == "DENY"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize(
    "path",
    [
        "/page/../secret.txt",
        "/page/../../secret.txt",
        "/page/%2e%2e/secret.txt",
        "/page/%2e%2e%2fsecret.txt",
        "/page/..%5csecret.txt",
        "/page/%252e%252e/secret.txt",
        "/page/style/..%2f..%2fsecret.txt",
        "/page//etc/passwd",
        "/page/%2fetc%2fpasswd",
        "/page/notes.py",
        "/page/",
        "/page/main.js%00.html",
        "/page/\xff\xfe",
        "/../secret.txt",
        "//etc/passwd",
        "/page/" + "a/" * 3000,
        "file:///etc/passwd",
        "/picture/../secret.txt",
        "/picture/" + "9" * 5000 + "/x",
    ],
    ids=lambda path: ascii(path)[:32],
)
def test_nothing_but_the_page_can_be_read(server: Server, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection._validate_path = lambda url: None  # type: ignore[attr-defined]
    connection._encode_request = lambda request: request.encode("latin-1")  # type: ignore[attr-defined]
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    assert response.status in (400, 403, 404) and b"secret" not in body and b"root:" not in body
    assert get(server, "/")[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_nothing_is_changed_but_by_requests(server: Server, method: str) -> None:
    assert get(server, "/", method)[0] == 405
    assert get(server, "/socket", method, Origin=server.url[:-1])[0] == 405


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\r\n\r\n",
        b"GET http://a:b/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.com\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: x\r\n" * 10_000 + b"\r\n",
        b"GET /socket HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n\r\n",
        b"GET /socket HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \xff\r\n\r\n",
    ],
    ids=["TLS", "port", "version", "two hosts", "length", "long header", "many headers", "no upgrade", "key"],
)
def test_what_is_no_http(server: Server, sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """It does not fill the log, either."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection, suppress(ConnectionError):
        connection.sendall(sent)
        assert connection.recv(100).split(b" ")[1] == b"400"
    assert get(server, "/")[0] == 200
    assert not caplog.records


@pytest.mark.parametrize("body", [b"x" * 2**16, b"1\r\nx\r\n" * 20_000], ids=["long", "in pieces"])
def test_bodies_are_not_read(server: Server, body: bytes) -> None:
    length = b"Transfer-Encoding: chunked" if body[:1] == b"1" else b"Content-Length: 1000000000"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection, suppress(ConnectionError):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + length + b"\r\n\r\n")
        for _ in range(1000):
            connection.sendall(body)
        raise AssertionError("all was read")
    assert get(server, "/")[0] == 200


def test_backend_may_only_add_what_is_got(page: PageFiles) -> None:
    class Posting(EchoBackend):
        def routes(self) -> list[web.RouteDef]:
            return [web.post("/change", self._picture)]

    with pytest.raises(ValueError, match="only GET"):
        Server(Posting(), port=0, page=page).start()


# --------------------------------------------------------------------------------------------------------------- access


async def refused(server: Server, **headers: str) -> int:
    """The status with which a WebSocket is refused; 101: it is not."""
    async with aiohttp.ClientSession() as session:
        try:
            async with session.ws_connect(f"http://127.0.0.1:{server.port}/socket", headers=headers):
                return 101
        except aiohttp.WSServerHandshakeError as error:
            return error.status


def test_another_host_is_refused(server: Server) -> None:
    for path in ("/", "/page/main.js", "/picture/7", "/none"):
        status, _, body = get(server, path, Host=f"evil.com:{server.port}")
        assert status == 403 and b"this machine only" in body
    assert asyncio.run(refused(server, Host="evil.com", Origin="http://evil.com")) == 403


def test_another_origin_is_refused(server: Server) -> None:
    assert asyncio.run(refused(server, Origin="http://evil.com")) == 403
    assert asyncio.run(refused(server, Origin="null")) == 403
    assert asyncio.run(refused(server)) == 403
    assert asyncio.run(refused(server, Origin=server.url[:-1])) == 101


def test_no_token_and_a_wrong_one_are_refused(guarded: Server, backend: EchoBackend) -> None:
    origin = f"http://127.0.0.1:{guarded.port}"
    for path in ("/", "/?token=wrong", "/?token=", "/?token=%ff", "/page/main.js", f"/page/main.js?token={TOKEN}"):
        status, headers, body = get(guarded, path)
        assert status == 403 and b"token" in body and "Set-Cookie" not in headers
    assert get(guarded, "/", Cookie=f"{guarded.access.cookie}=wrong")[0] == 403
    assert get(guarded, "/picture/7")[0] == 403
    assert asyncio.run(refused(guarded, Origin=origin)) == 403
    assert asyncio.run(refused(guarded, Origin=origin, Cookie=f"{guarded.access.cookie}=wrong")) == 403
    assert asyncio.run(refused(guarded, Origin="http://evil.com", Cookie=f"{guarded.access.cookie}={TOKEN}")) == 403
    assert not backend.clients


def test_token_opens_the_page(guarded: Server) -> None:
    status, headers, body = get(guarded, f"/?token={TOKEN}")
    assert status == 200 and b"url=/" in body and TOKEN.encode() not in body
    assert b'rel="icon"' in body  # or browsers ask for /favicon.ico
    cookie = headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Path=/" in cookie
    cookie = cookie.partition(";")[0]
    assert get(guarded, "/", Cookie=cookie)[0] == 200
    assert get(guarded, "/page/main.js", Cookie=cookie)[0] == 200
    assert asyncio.run(refused(guarded, Origin=f"http://127.0.0.1:{guarded.port}", Cookie=cookie)) == 101


def test_url_of_every_address_leads_here(guarded: Server) -> None:
    host, _, token = guarded.url.removeprefix("http://").partition(f":{guarded.port}/?token=")
    assert token == TOKEN and host not in ("", "0.0.0.0")


# ------------------------------------------------------------------------------------------------------------- requests


def test_requests_are_answered(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    async def use() -> None:
        async with open_tab(server) as tab:
            answer = await tab.ask("echo", text="<b>")
            assert answer["ok"] and answer["echo"]["text"] == "<b>" and answer["now_ms"] > 1e12
            answer = await tab.ask("refuse")
            assert (answer["ok"], answer["message"]) == (False, "not now; try later")
            answer = await tab.ask("fail")
            assert not answer["ok"] and "its log says more" in answer["message"]
            assert (await tab.ask("echo"))["ok"]

    asyncio.run(use())
    assert "a bug" in caplog.text


def test_many_tabs(server: Server, backend: EchoBackend) -> None:
    """All are told; one too many is told why it is not; a place that is free again is given."""

    async def use() -> None:
        async with AsyncExitStack() as tabs:
            opened = [await tabs.enter_async_context(open_tab(server)) for _ in range(MAX_CLIENTS)]
            server.call_soon(lambda: [client.send({"type": "project"}) for client in backend.clients])
            for tab in opened:
                await tab.ask("echo")
                assert {"type": "project"} in tab.events
            async with (
                aiohttp.ClientSession(server.url) as session,
                session.ws_connect("/socket", headers={"Origin": server.url[:-1]}) as one_more,
            ):
                message = await one_more.receive(timeout=10)
                assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1013)
                assert "close one" in message.extra
            await opened[0].socket.close()
            while len(backend.clients) == MAX_CLIENTS:
                await asyncio.sleep(0.01)
            async with open_tab(server) as tab:
                assert (await tab.ask("echo"))["ok"]

    asyncio.run(use())


def test_pages_are_told_that_the_desk_ends(server: Server, backend: EchoBackend) -> None:
    async def use() -> None:
        async with open_tab(server) as tab:
            waiting = asyncio.create_task(tab.closed())
            await asyncio.to_thread(server.stop)
            assert await waiting == (1001, "the desk ends")
        assert not backend.running and not backend.clients

    asyncio.run(use())


def test_pages_hear_that_the_desk_is_there(
    server: Server, backend: EchoBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "ALIVE_SECONDS", 1)

    async def use() -> None:
        async with open_tab(server) as tab:
            assert await tab.socket.receive_json(timeout=20) == {"type": "alive"}

    asyncio.run(use())


def test_page_that_is_gone_is_forgotten(server: Server, backend: EchoBackend) -> None:
    async def use() -> None:
        async with open_tab(server) as tab:
            (client,) = backend.clients
            transport_of(tab).abort()
        while backend.clients:
            await asyncio.sleep(0.01)
        assert client.closed

    asyncio.run(use())


# --------------------------------------------------------------------------------------------------------- slow clients


def test_page_that_shows_nothing_gets_two_pictures_and_all_events(server: Server, backend: EchoBackend) -> None:
    async def use() -> None:
        async with open_tab(server) as tab:
            for number in range(20):
                picture = Picture({"type": "frame", "number": number}, b"jpeg")
                server.call_soon(backend.clients[0].send_picture, "camera", picture)
                await tab.ask("echo")
            assert len(tab.binary) == 2
            await tab.socket.send_json({"type": "shown", "key": "camera"})
            await tab.ask("echo")
            await tab.ask("echo")
            assert len(tab.binary) == 3 and b'"number":19' in tab.binary[-1]

    asyncio.run(use())


@pytest.mark.slow
def test_page_that_reads_nothing_of_much_is_disconnected(server: Server, backend: EchoBackend) -> None:
    """Its memory is free again, while another page is served as before."""
    event = {"type": "changed", "text": "x" * 2**19}

    async def use() -> None:
        async with open_tab(server) as deaf, open_tab(server) as tab:
            client = backend.clients[0]
            transport = transport_of(deaf)
            transport.pause_reading()
            while client in backend.clients:
                server.call_soon(client.send, event)
                assert (await tab.ask("echo"))["ok"]
                await asyncio.sleep(0.02)
            assert "too little" in client.reason and client.take() is None
            transport.abort()

    asyncio.run(asyncio.wait_for(use(), 60))


@pytest.mark.slow
def test_page_that_reads_nothing_of_little_is_disconnected(
    server: Server, backend: EchoBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not answer when it is asked whether it is there."""
    monkeypatch.setattr(server_module, "QUIET_SECONDS", 1.5)
    monkeypatch.setattr(server_module, "ALIVE_SECONDS", 1)

    async def use() -> None:
        async with open_tab(server) as deaf, open_tab(server) as tab:
            client = backend.clients[0]
            transport = transport_of(deaf)
            transport.pause_reading()
            while client in backend.clients:
                assert (await tab.ask("echo"))["ok"]
                await asyncio.sleep(0.02)
            transport.abort()

    asyncio.run(asyncio.wait_for(use(), 60))


@pytest.mark.slow
def test_page_that_says_it_shows_what_it_does_not_read_is_disconnected(
    server: Server, backend: EchoBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "QUIET_SECONDS", 1.0)
    picture = Picture({"type": "frame"}, bytes(2**20))

    async def use() -> None:
        async with open_tab(server) as deaf:
            (client,) = backend.clients
            transport = transport_of(deaf)
            transport.pause_reading()
            with suppress(ConnectionError):
                while client in backend.clients:
                    server.call_soon(client.send_picture, "camera", picture)
                    await deaf.socket.send_json({"type": "shown", "key": "camera"})
                    await asyncio.sleep(0.02)
            while client in backend.clients:
                await asyncio.sleep(0.02)
            transport.abort()

    asyncio.run(asyncio.wait_for(use(), 60))


@pytest.mark.slow
def test_slow_page_gets_a_long_answer(server: Server, backend: EchoBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes longer than a page may be silent, and answers no ping meanwhile."""
    monkeypatch.setattr(server_module, "QUIET_SECONDS", 3.0)
    monkeypatch.setattr(server_module, "ALIVE_SECONDS", 1)
    event = {"type": "masks", "text": "x" * (24 * 2**20)}

    async def use() -> None:
        async with open_tab(server) as tab:
            server.call_soon(backend.clients[0].send, event)
            transport, start = transport_of(tab), time.monotonic()
            receiving = asyncio.create_task(tab.socket.receive_json(timeout=60))
            while time.monotonic() - start < 8:  # the kernel frees a megabyte at a time
                transport.pause_reading()
                await asyncio.sleep(0.2)
                transport.resume_reading()
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            assert not receiving.done(), "it is slow"
            while (received := await receiving)["type"] == "alive":
                receiving = asyncio.create_task(tab.socket.receive_json(timeout=60))
            assert received == event
            assert (await tab.ask("echo"))["ok"]

    asyncio.run(asyncio.wait_for(use(), 60))


# ------------------------------------------------------------------------------------------------------------- its life


@pytest.mark.slow
def test_pages_that_read_nothing_and_requests_without_end_do_not_keep_it_running(
    server: Server, backend: EchoBackend
) -> None:

    async def use() -> None:
        async with open_tab(server) as deaf, open_tab(server) as tab:
            transport_of(deaf).pause_reading()
            for _ in range(14):
                server.call_soon(backend.clients[0].send, {"type": "changed", "text": "x" * 2**19})
            await tab.send("wait")
            while not backend.requests:
                await asyncio.sleep(0.01)
            start = time.monotonic()
            await asyncio.to_thread(server.stop)
            assert time.monotonic() - start < 12
            transport_of(deaf).abort()

    asyncio.run(use())
    assert not backend.running and not backend.clients
    server.call_soon(print)  # which does nothing now


def test_port_that_is_in_use(server: Server, page: PageFiles) -> None:
    with pytest.raises(CannotListen, match=f"port {server.port} is in use"):
        Server(EchoBackend(), port=server.port, page=page)


def test_port_is_free_again_at_once(page: PageFiles) -> None:
    server = Server(EchoBackend(), port=0, page=page)
    for _ in range(3):
        server.start()
        assert get(server, "/")[0] == 200
        server.stop()
        server = Server(EchoBackend(), port=server.port, page=page)
    server.stop()


def test_loopback_of_ipv6(page: PageFiles) -> None:
    server = Server(EchoBackend(), host="::1", port=0, page=page)
    server.start()
    try:
        assert server.url == f"http://[::1]:{server.port}/"

        async def use() -> None:
            async with open_tab(server) as tab:
                assert (await tab.ask("echo"))["ok"]

        asyncio.run(use())
    finally:
        server.stop()


def test_backend_that_cannot_start(page: PageFiles) -> None:
    class Broken(EchoBackend):
        async def start(self) -> None:
            raise OSError("no recording")

    server = Server(Broken(), port=0, page=page)
    with pytest.raises(OSError, match="no recording"):
        server.start()
    Server(EchoBackend(), port=server.port, page=page).stop()


PROGRAM = """
import sys
from pathlib import Path
from desk_parts import EchoBackend
from sam2_ros.desk.page_files import PageFiles
from sam2_ros.desk.server import Server
server = Server(EchoBackend(), port=int(sys.argv[1]), page=PageFiles(Path(sys.argv[2])))
server.run_forever(lambda: print(server.port, flush=True))
print("ended", server.backend.running, flush=True)
"""


def run_server(port: int, page: Path) -> tuple[subprocess.Popen[str], int]:
    """A server in a process of its own, once it can be asked: the process, and the port."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(port), str(page)], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


@pytest.mark.slow
def test_killed_and_started_again(tmp_path: Path) -> None:
    """On the same port, while the pages of the killed one are still open."""
    folder = write_page(tmp_path)
    process, port = run_server(0, folder)

    class There:
        url = f"http://127.0.0.1:{port}/"

    there: Any = There()

    async def use() -> None:
        nonlocal process
        async with open_tab(there) as tab:
            await tab.ask("echo")
            process.kill()
            process.wait()
            process, again = await asyncio.to_thread(run_server, port, folder)
            assert again == port
            async with open_tab(there) as other:
                assert (await other.ask("echo"))["ok"]
            await tab.closed()

    try:
        asyncio.run(use())
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_it(tmp_path: Path, number: signal.Signals) -> None:
    process, _ = run_server(0, write_page(tmp_path))
    process.send_signal(number)
    output, _ = process.communicate(timeout=20)
    assert (output, process.returncode) == ("ended False\n", 0)
