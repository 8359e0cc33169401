"""The web server, asked by a real client over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from desk_parts import EchoBackend, write_page

from sam2_ros.desk.page_files import PageFiles
from sam2_ros.desk.server import Server


@pytest.fixture
def page(tmp_path: Path) -> PageFiles:
    return PageFiles(write_page(tmp_path))


@pytest.fixture
def server(page: PageFiles) -> Iterator[Server]:
    server = Server(EchoBackend(), port=0, page=page)
    server.start()
    yield server
    server.stop()


def test_page_and_requests(server: Server) -> None:
    async def use() -> None:
        async with aiohttp.ClientSession(server.url) as session:
            async with session.get("/") as response:
                assert response.status == 200 and "<title>desk" in await response.text()
                print(response.headers)
            async with session.get("/page/main.js") as response:
                assert response.content_type == "text/javascript"
                tag = response.headers["ETag"]
            async with session.get("/page/main.js", headers={"If-None-Match": tag}) as response:
                assert response.status == 304
            async with session.ws_connect("/socket", headers={"Origin": server.url[:-1]}) as socket:
                assert (await socket.receive_json())["type"] == "hello"
                request = {"type": "echo", "id": 1, "text": "<b>"}
                await socket.send_json(request)
                assert await socket.receive_json() == {"type": "answer", "id": 1, "ok": True, "echo": request}

    asyncio.run(use())
