"""A page of a desk without a browser: what it asks for, and what it is told, over real sockets."""

from __future__ import annotations

import asyncio
import json
import struct
import time
from collections.abc import Callable, Coroutine
from itertools import count
from types import TracebackType
from typing import Any, TypeVar

import aiohttp

from sam2_ros.desk.event import Event

TIMEOUT = 30.0  # s; generous, because the machine may be busy: only failures take so long

T = TypeVar("T")


class Refused(Exception):
    """The desk has refused a request."""


class DeskPage:
    """A context manager.

    Args:
        url: of the desk.
        annotator: who it is; empty: not said.
    """

    def __init__(self, url: str, annotator: str = "") -> None:
        self.url = url
        self.hello: Event = {}
        self.events: list[Event] = []
        """All that it was told so far, beside answers."""
        self.pictures: list[tuple[Event, bytes]] = []
        """All pictures so far: headers and JPEGs."""
        self._annotator = annotator
        self._numbers = count(1)
        self._answers: dict[int, Event] = {}
        self._loop = asyncio.new_event_loop()

    def request(self, type: str, **fields: Any) -> Event:
        """The answer. Raises Refused."""
        return self.answer(self.begin(type, **fields))

    def begin(self, type: str, **fields: Any) -> int:
        """Ask for something, without waiting for its answer. Returns the request's number."""
        number = next(self._numbers)
        self._run(self._socket.send_json({**fields, "id": number, "type": type}))
        return number

    def answer(self, number: int) -> Event:
        """The answer to a request. Raises Refused."""
        while number not in self._answers:
            self._receive()
        answer = self._answers.pop(number)
        if not answer["ok"]:
            raise Refused(answer["message"])
        return answer

    def wait(self, type: str, where: Callable[[Event], bool] = lambda event: True, after: int = 0) -> Event:
        """The first event of a type for which this is true.

        Args:
            after: so many events are not looked at.
        """
        looked, deadline = after, time.monotonic() + TIMEOUT
        while True:
            for event in self.events[looked:]:
                if event["type"] == type and where(event):
                    return event
            looked = len(self.events)
            assert time.monotonic() < deadline, f"no such event {type}; the last: {self.events[-1]}"
            self._receive()

    def picture(self, where: Callable[[Event], bool] = lambda header: True, after: int = 0) -> tuple[Event, bytes]:
        """The first picture for whose header this is true.

        Args:
            after: so many pictures are not looked at.
        """
        looked, deadline = after, time.monotonic() + TIMEOUT
        while True:
            for picture in self.pictures[looked:]:
                if where(picture[0]):
                    return picture
            looked = max(looked, len(self.pictures))
            assert time.monotonic() < deadline, f"no such picture; {len(self.pictures)} others"
            self._receive()

    def ended(self, job: int) -> Event:
        """The last event of a job."""
        return self.wait("job", lambda event: event["job"] == job and event["state"] != "running")

    def get(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body."""

        async def get() -> tuple[int, dict[str, str], bytes]:
            async with self._session.get(self.url.rstrip("/") + path) as response:
                return response.status, dict(response.headers), await response.read()

        return self._run(get())

    def __enter__(self) -> DeskPage:
        async def connect() -> None:
            self._session = aiohttp.ClientSession()
            self._socket = await self._session.ws_connect(
                self.url.rstrip("/") + "/socket", max_msg_size=0, headers={"Origin": self.url.rstrip("/")}
            )

        self._run(connect())
        self._receive()
        self.hello = self.events[0]
        if self._annotator:
            self.request("annotator", name=self._annotator)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._run(self._session.close())
        self._loop.close()

    def _receive(self) -> None:
        message = self._run(self._socket.receive())
        if message.type is aiohttp.WSMsgType.BINARY:
            (length,) = struct.unpack_from(">I", message.data)
            header = json.loads(message.data[4 : 4 + length])
            self.pictures.append((header, message.data[4 + length :]))
            self._run(self._socket.send_json({"type": "shown", "key": header["key"]}))
            return
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise ConnectionError(f"the desk has closed the page: {message}")
        event = json.loads(message.data)
        if event["type"] == "answer":
            self._answers[event["id"]] = event
        else:
            self.events.append(event)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(asyncio.wait_for(work, TIMEOUT))
