"""The WebSocket of one page."""

from __future__ import annotations

import asyncio
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

MAX_REASON = 123
"""Bytes of the reason that WebSockets have room for."""

_log = logging.getLogger(__name__)


class Connection:
    """Takes the requests of one page, and sends what waits for it."""

    def __init__(self, client: Client, socket: web.WebSocketResponse, request: web.Request) -> None:
        self.client = client
        self.protocol = request.protocol
        self.sends_since: float | None = None
        """Since when a message has been leaving; None: none is."""
        self._socket = socket
        self._transport = request.transport
        self._limit = RateLimit(50, 100)
        self._refusals = RateLimit(2000, 4000)
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self, backend: Backend, network_limit: RateLimit) -> None:
        """Until the page or the desk closes it."""
        sender = asyncio.create_task(self._send())
        try:
            async for message in self._socket:
                if message.type is not WSMsgType.TEXT:
                    self.client.disconnect("pages send text only")
                elif not self._take(message.data, backend, network_limit):
                    await asyncio.sleep(0)  # a flood shall not keep others from their turn
                if self.client.closed:
                    break
        finally:
            self.client.disconnect(self.client.reason)
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)

    async def close(self, code: int, reason: str) -> None:
        """Close it, in at most two seconds."""
        reason = self.client.reason or reason
        await self._socket.close(code=code, message=reason.encode()[:MAX_REASON])

    def abort(self) -> None:
        """Close it at once, with all that waits in it."""
        if self._transport is not None:
            self._transport.abort()

    async def _send(self) -> None:
        while (message := await self.client.next()) is not None:
            self.sends_since = time.monotonic()
            try:
                await (self._socket.send_str(message) if isinstance(message, str) else self._socket.send_bytes(message))
            except ConnectionError:
                break
            self.sends_since = None
        if self.client.reason:
            await self.close(WSCloseCode.POLICY_VIOLATION, "")

    def _take(self, text: str, backend: Backend, network_limit: RateLimit) -> bool:
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
        if reason := self._refusal(request, backend, network_limit):
            self.client.send({"type": "answer", "id": number, "ok": False, "message": reason})
            return False
        task = asyncio.create_task(self._answer(backend, number, request))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return True

    def _refusal(self, request: Event, backend: Backend, network_limit: RateLimit) -> str:
        if not self._limit.allows():
            return f"too many requests: at most {self._limit.rate:g} a second; slow down"
        if len(self._under_way) >= MAX_UNDER_WAY:
            return f"{MAX_UNDER_WAY} requests of this page wait for their answers; wait for one"
        if request["type"] in backend.network_requests and not network_limit.allows():
            return f"too many prompts of all pages: at most {network_limit.rate:g} a second; try again"
        return ""

    async def _answer(self, backend: Backend, number: int, request: Event) -> None:
        try:
            answer = await backend.handle(self.client, request)
        except Refusal as refusal:
            answer = {"ok": False, "message": str(refusal)}
        except Exception as error:
            _log.exception("desk: %s failed", request["type"][:40])
            answer = {"ok": False, "message": f"the desk failed at this, its log says more: {error!r:.200}"}
        self.client.send({"ok": True, **answer, "type": "answer", "id": number})
