"""One page in a browser, seen from the server."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import count

from sam2_ros.desk.event import Event, to_json
from sam2_ros.desk.picture import Picture

MAX_WAITING_BYTES = 8 * 2**20
"""Events that wait for a page. One that leaves more of them unread is disconnected."""

MAX_UNSHOWN = 2
"""Pictures of one key that are under way: one is shown while the next comes."""


class Client:
    """Events and pictures for one page, never more than it takes.

    All methods return at once, in the server's event loop. The server sends what `take` gives. Without a server, as in
    tests of backends, `take` tells what a page would have got.
    """

    def __init__(self) -> None:
        self._events: dict[str | int, str] = {}  # by key, or by a number of their own; in the order in which they came
        self._numbers = count()
        self._pictures: dict[str, Picture] = {}  # by key; the one that waits longest is the first
        self._unshown: Counter[str] = Counter()
        self._waiting_bytes = 0
        self._ready = asyncio.Event()
        self.closed = False
        """The page is gone, or takes too little; what is sent to it is dropped."""
        self.reason = ""
        """Why the server has to disconnect the page; empty: it need not."""

    def send(self, event: Event, key: str = "") -> None:
        """Send an event. With a key, it takes the place of one with the same key that still waits.

        A page that leaves too many events unread is disconnected; it asks for everything again when it comes back.
        """
        if self.closed:
            return
        text = to_json(event)
        if key in self._events:
            self._waiting_bytes -= len(self._events[key])
        elif self._waiting_bytes > MAX_WAITING_BYTES:  # a single event may be longer
            self.disconnect("this page takes too little of what the desk sends; it connects again")
            return
        self._events[key or next(self._numbers)] = text
        self._waiting_bytes += len(text)
        self._ready.set()

    def send_picture(self, key: str, picture: Picture) -> None:
        """Send a picture. It takes the place of one with the same key that still waits.

        It leaves when the page has shown all but one of the earlier ones of this key (`shown`).
        """
        if not self.closed:
            self._pictures[key] = picture
            self._ready.set()

    def shown(self, key: str) -> None:
        """The page has shown a picture of this key."""
        if self._unshown[key] <= 1:
            del self._unshown[key]
        else:
            self._unshown[key] -= 1
        if key in self._pictures:
            self._ready.set()

    def disconnect(self, reason: str) -> None:
        """Drop everything that waits, and have the server close the connection."""
        self.closed = True
        self.reason = reason
        self._events.clear()
        self._pictures.clear()
        self._waiting_bytes = 0
        self._ready.set()

    def take(self) -> str | bytes | None:
        """The next message for the page, events before pictures; None: there is none that it may have now."""
        if self._events:
            text = self._events.pop(next(iter(self._events)))
            self._waiting_bytes -= len(text)
            return text
        for key in self._pictures:
            if self._unshown[key] < MAX_UNSHOWN:
                self._unshown[key] += 1
                return self._pictures.pop(key).message
        return None

    async def next(self) -> str | bytes | None:
        """Wait for the next message; None: the page is disconnected."""
        while not self.closed:
            self._ready.clear()
            if (message := self.take()) is not None:
                return message
            await self._ready.wait()
        return None
