"""The WebSocket of one page."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

from aiohttp import WSCloseCode, WSMsgType, web

from sam2_ros.desk import requests
from sam2_ros.desk.backend import Backend
from sam2_ros.desk.client import Client
from sam2_ros.desk.event import Event
from sam2_ros.desk.rate_limit import RateLimit
from sam2_ros.desk.refusal import Refusal

MAX_UNDER_WAY = 16
"""Requests of a page that wait for their answers."""

BYTES_AS_ONE = 2048
"""Long messages count as several."""

CLOSE_SECONDS = 2.0
"""What a page has to say that it has read the reason."""

MAX_REASON = 123
"""Bytes of the reason that WebSockets have room for."""

_log = logging.getLogger(__name__)


class Connection:
    """Takes the requests of one page, and sends what waits for it.

    Args:
        network_limit: of what all pages together ask of the network.
    """

    def __init__(
        self, client: Client, socket: web.WebSocketResponse, request: web.Request, network_limit: RateLimit
    ) -> None:
        self.client = client
        self.protocol = request.protocol
        self._socket = socket
        self._transport = request.transport
        self._messages = RateLimit(2000, 4000)
        self._requests = RateLimit(50, 100)
        self._network = RateLimit(network_limit.rate / 2, network_limit.burst / 2)  # one page leaves the others half
        self._all_network = network_limit
        self._under_way: set[asyncio.Task[None]] = set()
        self._ping: asyncio.Task[None] | None = None
        now = time.monotonic()
        self._heard = now  # when something came from the page
        self._took = now  # when it took something of a message that was leaving
        self._left = 0  # bytes of it
        self._sends_since: float | None = None

    async def run(self, backend: Backend) -> None:
        """Until the page or the desk closes it, and the last request is done."""
        sender = asyncio.create_task(self._send())
        try:
            async for message in self._socket:
                self._heard = time.monotonic()
                if message.type is WSMsgType.ERROR:  # too long, or no UTF-8; the page is told already
                    break
                if not self._messages.allows(1 + len(message.data) / BYTES_AS_ONE):
                    self.client.disconnect("this page sends too much; reload it")
                elif message.type is WSMsgType.PING:
                    await self._socket.pong(message.data)
                elif message.type is WSMsgType.BINARY:
                    self.client.disconnect("pages send text only; reload it")
                elif message.type is WSMsgType.TEXT and not self._take(message.data, backend):
                    await asyncio.sleep(0)  # a flood shall not keep others from their turn
                if self.client.closed:
                    break
        finally:
            self.client.disconnect(self.client.reason)
            own = [sender] if self._ping is None else [sender, self._ping]
            for task in own:
                task.cancel()
            await asyncio.gather(*own, return_exceptions=True)
            await self.close(WSCloseCode.POLICY_VIOLATION, "")
            await asyncio.gather(*self._under_way, return_exceptions=True)

    async def close(self, code: int, reason: str) -> None:
        """Close it with what the page is told, if it takes it in a moment."""
        reason = self.client.reason or reason
        with contextlib.suppress(asyncio.TimeoutError, ConnectionError):
            await asyncio.wait_for(self._socket.close(code=code, message=reason.encode()[:MAX_REASON]), CLOSE_SECONDS)
        self.abort()

    def abort(self) -> None:
        """Close it at once, with all that waits in it."""
        if self._transport is not None:
            self._transport.abort()

    def is_stuck(self, seconds: float) -> bool:
        """Whether the page has given no sign of life for so long, or takes nothing of a message that is leaving.

        A slow page takes long for a long message, in which it answers no ping; as long as it takes some, it is not
        stuck. Call it about once a second.
        """
        now, left = time.monotonic(), 0 if self._transport is None else self._transport.get_write_buffer_size()
        if left < self._left:
            self._took = now
        self._left = left
        if self._sends_since is not None:
            patience = CLOSE_SECONDS if self.client.closed else seconds
            if now - max(self._sends_since, self._took) > patience:
                return True
        return now - max(self._heard, self._took) > seconds

    def ping(self) -> None:
        """Ask the page whether it is there, and tell it the same of the desk, which browsers hide from pages."""
        if self._ping is None or self._ping.done():
            self._ping = asyncio.create_task(self._send_ping())
        self.client.send({"type": "alive"}, key="alive")

    async def _send_ping(self) -> None:
        with contextlib.suppress(ConnectionError):
            await self._socket.ping()

    async def _send(self) -> None:
        while (message := await self.client.next()) is not None:
            self._sends_since = time.monotonic()
            try:
                await (self._socket.send_str(message) if isinstance(message, str) else self._socket.send_bytes(message))
            except ConnectionError:
                return
            self._sends_since = None
        await self.close(WSCloseCode.POLICY_VIOLATION, "")

    def _take(self, text: str, backend: Backend) -> bool:
        """Begin what a message asks for; whether it was allowed."""
        try:
            request = requests.parse(text)
        except Refusal as refusal:
            self.client.disconnect(str(refusal))
            return False
        if request["type"] == "shown":
            self.client.shown(str(request.get("key", "")))
            return True
        number = requests.request_id(request)
        if number is None:
            self.client.disconnect("a request has an id, a whole number; reload the page")
            return False
        if reason := self._refusal(request["type"] in backend.network_requests):
            self._send_answer(number, {"ok": False, "message": reason})
            return False
        task = asyncio.create_task(self._answer(backend, number, request))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return True

    def _refusal(self, of_network: bool) -> str:
        if not self._requests.allows():
            return f"too many requests: at most {self._requests.rate:g} a second; wait a moment"
        if len(self._under_way) >= MAX_UNDER_WAY:
            return f"{MAX_UNDER_WAY} requests of this page wait for their answers; wait for one"
        if of_network and not self._network.allows():
            return f"too many prompts: at most {self._network.rate:g} a second; wait a moment"
        if of_network and not self._all_network.allows():
            return f"too many prompts of all pages: at most {self._all_network.rate:g} a second; wait a moment"
        return ""

    async def _answer(self, backend: Backend, number: int, request: Event) -> None:
        try:
            answer = await backend.handle(self.client, request)
        except Refusal as refusal:
            answer = {"ok": False, "message": str(refusal)}
        except Exception as error:
            _log.exception("desk: %.40r failed", request["type"])
            answer = {"ok": False, "message": f"the desk failed at this, its log says more: {error!r:.200}"}
        self._send_answer(number, answer)

    def _send_answer(self, number: int, answer: Event) -> None:
        now_ms = time.time() * 1000  # the page corrects its clock by it
        self.client.send({"ok": True, **answer, "type": "answer", "id": number, "now_ms": now_ms})
