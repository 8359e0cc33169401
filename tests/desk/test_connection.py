"""Attacks on the WebSocket of a desk: whoever sends them is refused, and others are served as before."""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import struct
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
from desk_parts import EchoBackend, Tab, open_tab, write_page

from sam2_ros.desk import server as server_module
from sam2_ros.desk.connection import MAX_UNDER_WAY
from sam2_ros.desk.page_files import PageFiles
from sam2_ros.desk.server import MAX_CLIENTS, MAX_CONNECTIONS, MAX_OF_ADDRESS, Server


@pytest.fixture
def backend() -> EchoBackend:
    return EchoBackend()


@pytest.fixture
def server(tmp_path: Path, backend: EchoBackend) -> Iterator[Server]:
    server = Server(backend, port=0, page=PageFiles(write_page(tmp_path)))
    server.start()
    yield server
    server.stop()


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@asynccontextmanager
async def raw_socket(server: Server) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A WebSocket whose frames are made by hand, after its handshake."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        f"GET /socket HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nOrigin: http://127.0.0.1:{server.port}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    assert b"101" in await reader.readuntil(b"\r\n\r\n")
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def frame(payload: bytes, opcode: int = 1, final: bool = True, length: int | None = None) -> bytes:
    """A masked frame; its mask is zero."""
    size = len(payload) if length is None else length
    return bytes([opcode | (0x80 if final else 0), 0x80 | 127]) + struct.pack(">Q", size) + bytes(4) + payload


async def rest(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the server closes the connection."""
    received = b""
    try:
        while data := await asyncio.wait_for(reader.read(2**16), 20):
            received += data
    except ConnectionError:
        pass
    return received


async def served(server: Server) -> None:
    """Another page is served, at once."""
    start = time.monotonic()
    async with open_tab(server) as tab:
        assert (await tab.ask("echo"))["ok"]
    assert time.monotonic() - start < 5


# --------------------------------------------------------------------------------------------------- what is no request


@pytest.mark.parametrize(
    "text",
    [
        "garbage",
        "[]",
        "{}",
        '{"type": "echo"}',
        '{"type": "echo", "id": "1"}',
        '{"type": "echo", "id": NaN}',
        '{"type": "echo", "id": 1, "x": Infinity}',
        "[" * 3_000_000,
        '{"type": "echo", "id": 1, "x": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"type": "echo", "id": 1' + "0" * 100_000 + "}",
    ],
    ids=lambda text: text[:40],
)
def test_what_is_no_request(server: Server, backend: EchoBackend, text: str) -> None:
    async def use() -> None:
        async with open_tab(server) as tab:
            await tab.socket.send_str(text)
            code, reason = await tab.closed()
            assert code == 1008 and "reload" in reason
        assert not backend.requests
        await served(server)

    asyncio.run(use())


def test_binary(server: Server) -> None:
    async def use() -> None:
        async with open_tab(server) as tab:
            await tab.socket.send_bytes(os.urandom(1000))
            assert (await tab.closed())[0] == 1008
        await served(server)

    asyncio.run(use())


@pytest.mark.parametrize(
    "sent",
    [
        random.Random(5).randbytes(2000),
        frame(b"\xff\xfe\xfd"),
        frame(b"x", opcode=3),
        frame(b"x", opcode=0),
        frame(b"x" * 200, opcode=9),
        frame(b"\x00", opcode=8),
        bytes([0x81, 5]) + b"hello",
        bytes([0xF1, 0x80]) + bytes(4),
    ],
    ids=["noise", "no UTF-8", "opcode", "continuation", "long ping", "close", "unmasked", "reserved bits"],
)
def test_what_is_no_websocket(server: Server, sent: bytes) -> None:
    async def use() -> None:
        async with raw_socket(server) as (reader, writer):
            writer.write(sent)
            await rest(reader)
        await served(server)

    asyncio.run(use())


def test_label_with_markup_is_text(server: Server) -> None:
    label = "<img src=x onerror=alert(1)><script>alert(2)</script>"

    async def use() -> None:
        async with open_tab(server) as tab:
            assert (await tab.ask("echo", label=label))["echo"]["label"] == label

    asyncio.run(use())


# ------------------------------------------------------------------------------------------------------------- too much


@pytest.mark.parametrize("pieces", [1, 100, 100_000])
def test_frame_of_100_mb(server: Server, pieces: int) -> None:
    """Also in many pieces; no more of it is kept than a message may have."""
    total = 100 * 2**20

    async def use() -> None:
        await served(server)
        before = resident_bytes()
        most = before
        async with raw_socket(server) as (reader, writer):
            piece = total // pieces
            chunk = bytes(min(piece, 2**20))
            try:
                for number in range(pieces):
                    for start in range(0, piece, len(chunk)):
                        part = chunk[: piece - start]
                        opcode, final = 0 if number else 1, number == pieces - 1
                        writer.write(part if start else frame(part, opcode, final, piece))
                        await writer.drain()
                        most = max(most, resident_bytes())
            except ConnectionError:
                pass
            await rest(reader)
        assert most - before < 40 * 2**20
        await served(server)

    asyncio.run(use())


def test_huge_mask(server: Server, backend: EchoBackend) -> None:
    """As long as a message may be. Whether it fits the image is for the backend to say; many of them are too much."""
    request = {"type": "ok", "id": 1, "mask": {"height": 10**9, "width": 10**9, "counts": [1] * 1_000_000}}
    sent = frame(json.dumps(request).encode())

    async def use() -> None:
        start = time.monotonic()
        async with raw_socket(server) as (_, writer):
            with suppress(ConnectionError):
                while time.monotonic() - start < 3:
                    writer.write(sent)
                    await asyncio.wait_for(writer.drain(), 20)
        assert 1 <= len(backend.requests) <= (8 + 4 * (time.monotonic() - start)) * 2**20 / len(sent) + 1
        await served(server)

    asyncio.run(use())


async def flood(tab: Tab, type: str, rate: float, seconds: float) -> list[dict[str, object]]:
    """Send requests at this rate, whatever comes back; all answers."""
    answers: list[dict[str, object]] = []

    async def read() -> None:
        async for message in tab.socket:
            event = json.loads(message.data)
            if event["type"] == "answer":
                answers.append(event)

    reading = asyncio.create_task(read())
    start, sent = time.monotonic(), 0
    while (elapsed := time.monotonic() - start) < seconds:
        while sent < rate * elapsed:
            await tab.send(type)
            sent += 1
        await asyncio.sleep(0.005)
    while len(answers) < sent and not tab.socket.closed:
        await asyncio.sleep(0.01)
    reading.cancel()
    return answers


@pytest.mark.slow
def test_flood_of_prompts(server: Server, backend: EchoBackend) -> None:
    """Of 1,000 a second, as many pass as one page may make; every other is refused with its reason."""

    async def use() -> None:
        async with open_tab(server) as tab, open_tab(server) as other:
            start = time.monotonic()
            flooding = asyncio.create_task(flood(tab, "prompt", 1000, 2))
            while not flooding.done():
                assert (await other.ask("prompt"))["ok"], "others may prompt meanwhile"
                await asyncio.sleep(0.25)
            answers = await flooding
            seconds = time.monotonic() - start
            passed = [answer for answer in answers if answer["ok"]]
            assert len(answers) >= 1000, "all are answered"
            assert len(passed) <= 20 + 10 * seconds + 1
            reasons = {str(answer["message"]).split(":")[0] for answer in answers if not answer["ok"]}
            assert reasons <= {"too many prompts", "too many requests"} and reasons
            prompts = sum(request["type"] == "prompt" for request in backend.requests)
            assert prompts <= 40 + 20 * seconds + 1

    asyncio.run(use())


@pytest.mark.slow
def test_flood_of_many_pages(server: Server, backend: EchoBackend) -> None:
    """All together prompt no more than the network's limit."""

    async def use() -> None:
        tabs = [open_tab(server) for _ in range(10)]
        start = time.monotonic()
        opened = [await tab.__aenter__() for tab in tabs]
        await asyncio.gather(*(flood(tab, "prompt", 100, 2) for tab in opened))
        seconds = time.monotonic() - start
        assert 20 <= len(backend.requests) <= 40 + 20 * seconds + 1
        for tab in tabs:
            await tab.__aexit__(None, None, None)

    asyncio.run(use())


@pytest.mark.parametrize("opcode", [1, 9, 10])
def test_flood_without_end_is_disconnected(server: Server, opcode: int) -> None:
    """Of requests, pings, or answers to pings that were never sent: as fast as the connection takes them."""
    sent = frame(b'{"type": "shown", "key": "a"}', opcode) * 1000

    async def use() -> None:
        async with raw_socket(server) as (reader, writer):
            try:
                for _ in range(100):
                    writer.write(sent)
                    await writer.drain()
            except ConnectionError:
                pass
            await rest(reader)
        await served(server)

    asyncio.run(use())


def test_requests_that_wait_are_few(server: Server, backend: EchoBackend) -> None:
    async def use() -> None:
        async with open_tab(server) as tab:
            waiting = [await tab.send("wait") for _ in range(MAX_UNDER_WAY)]
            answer = await tab.ask("echo")
            assert not answer["ok"] and "wait for their answers" in answer["message"]
            server.call_soon(backend.released.set)
            for number in waiting:
                assert (await tab.answer(number))["ok"]
            assert (await tab.ask("echo"))["ok"]

    asyncio.run(use())


def test_request_of_a_page_that_is_gone_is_done(server: Server, backend: EchoBackend) -> None:
    """The page is told to have left when its last request is done."""

    async def use() -> None:
        async with open_tab(server) as tab:
            await tab.send("wait")
            while not backend.requests:
                await asyncio.sleep(0.01)
        await served(server)
        while len(backend.clients) > 1:
            await asyncio.sleep(0.01)
        server.call_soon(backend.released.set)
        while backend.clients:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(use(), 20))


# ------------------------------------------------------------------------------------------------------- connections


@pytest.mark.slow
def test_500_pages_at_once(server: Server, backend: EchoBackend) -> None:
    async def one(session: aiohttp.ClientSession) -> str:
        try:
            async with session.ws_connect("/socket", headers={"Origin": server.url[:-1]}) as socket:
                message = await socket.receive(timeout=20)
                if message.type is aiohttp.WSMsgType.TEXT:
                    await asyncio.sleep(2)
                    return "open"
                return f"closed {message.data}"
        except (aiohttp.ClientError, ConnectionError):
            return "refused"

    async def use() -> None:
        async with (
            open_tab(server) as tab,
            aiohttp.ClientSession(server.url, connector=aiohttp.TCPConnector(limit=0)) as session,
        ):
            storm = asyncio.gather(*(one(session) for _ in range(500)))
            while not storm.done():
                assert (await tab.ask("echo"))["ok"]
                await asyncio.sleep(0.1)
            results = await storm
            assert results.count("open") == MAX_CLIENTS - 1
            assert set(results) <= {"open", "closed 1013", "refused"}
        while backend.clients:
            await asyncio.sleep(0.01)
        await served(server)

    asyncio.run(asyncio.wait_for(use(), 60))


@pytest.mark.slow
def test_connections_that_ask_nothing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are closed after a while; also those that begin to ask, and never end. Open pages are not."""
    monkeypatch.setattr(server_module, "QUIET_SECONDS", 1.0)

    async def silent(begin: bytes) -> bytes:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(begin)
            received = await reader.read()
            writer.close()
            return received
        except ConnectionError:
            return b""

    async def use() -> None:
        async with open_tab(server) as tab:
            begin = [b"", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "] * (MAX_CONNECTIONS // 2 + 20)
            waiting = asyncio.gather(*(silent(sent) for sent in begin))
            while not waiting.done():
                assert (await tab.ask("echo"))["ok"]
                await asyncio.sleep(0.1)
            assert set(await waiting) == {b""}
            assert (await tab.ask("echo"))["ok"]
        await served(server)

    asyncio.run(asyncio.wait_for(use(), 60))


@pytest.mark.slow
def test_connections_of_one_address_leave_room_for_others(server: Server) -> None:
    async def use() -> None:
        opened = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(MAX_OF_ADDRESS + 20)]
        while True:  # until those that are too many are closed
            ends = [asyncio.create_task(reader.read(1)) for reader, _ in opened]
            closed, waiting = await asyncio.wait(ends, timeout=0.5)
            for task in waiting:
                task.cancel()
            if len(closed) == 20:
                break
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, local_addr=("127.0.0.2", 0))
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200 OK" in await asyncio.wait_for(reader.readline(), 20)
        for _, other in [*opened, (reader, writer)]:
            other.transport.abort()

    asyncio.run(asyncio.wait_for(use(), 60))
