"""Pages of a live desk, without a browser: python desk_pages.py URL CAMERA --reading 7 --deaf 3

Those that read show each picture at once; the first of them prints the stamp of each and when it came, ns. Deaf ones
read nothing at all, and come again when the desk has given them up. Begins with an empty line when all are open.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import struct
import sys
import time

import aiohttp

DEAF_SECONDS = 25.0
"""The desk gives up a page after about so long."""


async def open_page(session: aiohttp.ClientSession, url: str, camera: str) -> aiohttp.ClientWebSocketResponse:
    """A page that watches the camera."""
    socket = await session.ws_connect("/socket", headers={"Origin": url.rstrip("/")}, max_msg_size=0)
    await socket.send_json({"type": "watch", "id": 1, "cameras": [camera], "max_width": 0})
    return socket


async def read(session: aiohttp.ClientSession, url: str, camera: str, opened: asyncio.Event, prints: bool) -> None:
    socket = await open_page(session, url, camera)
    opened.set()
    async for message in socket:
        if message.type is not aiohttp.WSMsgType.BINARY:
            continue
        now = time.time_ns()
        await socket.send_str(f'{{"type":"shown","key":"{camera}"}}')
        if prints:
            (length,) = struct.unpack(">I", message.data[:4])
            header = json.loads(message.data[4 : 4 + length])
            if header["masklets"] is not None:
                print(header["stamp"], now, flush=True)
    sys.exit(f"the desk closed a page that reads: {socket.close_code}")


async def be_deaf(session: aiohttp.ClientSession, url: str, camera: str, opened: asyncio.Event) -> None:
    while True:
        with contextlib.suppress(aiohttp.ClientError, ConnectionError):
            socket = await open_page(session, url, camera)
            connection = socket._response.connection
            assert connection is not None and connection.transport is not None
            transport = connection.transport
            transport.pause_reading()
            opened.set()
            await asyncio.sleep(DEAF_SECONDS)
            transport.abort()
        await asyncio.sleep(1)


async def run(url: str, camera: str, reading: int, deaf: int) -> None:
    async with aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0)) as session:
        opened = [asyncio.Event() for _ in range(reading + deaf)]
        pages = [
            read(session, url, camera, event, prints=index == 0)
            if index < reading
            else be_deaf(session, url, camera, event)
            for index, event in enumerate(opened)
        ]
        tasks = asyncio.gather(*pages)
        everybody = asyncio.gather(*(event.wait() for event in opened))
        await asyncio.wait([tasks, everybody], return_when=asyncio.FIRST_COMPLETED)
        print(flush=True)
        await tasks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("camera")
    parser.add_argument("--reading", type=int, default=1)
    parser.add_argument("--deaf", type=int, default=0)
    options = parser.parse_args()
    asyncio.run(run(options.url, options.camera, options.reading, options.deaf))


if __name__ == "__main__":
    main()
