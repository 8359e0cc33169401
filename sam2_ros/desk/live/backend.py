"""The desk over the cameras of a robot."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray

from sam2_ros.desk import requests
from sam2_ros.desk.backend import Backend
from sam2_ros.desk.client import Client
from sam2_ros.desk.event import Event
from sam2_ros.desk.live.camera import Camera
from sam2_ros.desk.live.cameras_in_graph import MAX_CAMERAS, cameras_in_graph
from sam2_ros.desk.live.health import Health, healths
from sam2_ros.desk.live.ros_thread import RosThread
from sam2_ros.desk.live.settings import Settings
from sam2_ros.desk.refusal import Refusal

TICK = 0.5
"""Seconds between two looks at the timelines; at every second one, at the graph and the history."""

GONE_AFTER = 60.0
"""Seconds for which a camera whose node is gone stays listed, if nobody watches it."""

WORKERS = 2
"""Threads that encode pictures of all cameras."""

MAX_PICTURE_WIDTH = 16_384


class LiveBackend(Backend):
    """Finds cameras, and passes what pages ask to them.

    Args:
        ros: spun by somebody else.
        version: of this package, for the page.
    """

    network_requests = frozenset({"prompt", "candidates", "everything", "remove", "reset", "pause", "resume"})

    def __init__(self, ros: RosThread, settings: Settings, version: str) -> None:
        self._ros = ros
        self._settings = settings
        self._version = version
        self.cameras: dict[str, Camera] = {}
        """By name."""
        self._clients: dict[Client, set[str]] = {}  # names of the cameras that each wants to watch
        self._widths: dict[Client, int] = {}
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="pictures")
        self._tasks: set[asyncio.Task[Any]] = set()
        self._told: list[Event] = []

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._begin(self._listen())  # not awaited: ROS may be spun later
        self._begin(self._tick())

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._workers.shutdown(wait=False, cancel_futures=True)

    async def greet(self, client: Client) -> Event:
        self._clients[client] = set()
        self._loop.call_soon(client.send, self._cameras_event())  # after the greeting
        return {"type": "hello", "mode": "live", "version": self._version}

    async def left(self, client: Client) -> None:
        self._clients.pop(client, None)
        self._widths.pop(client, None)
        for camera in self.cameras.values():
            await camera.unwatch(client)

    async def handle(self, client: Client, request: Event) -> Event:
        kind = request.get("type")
        if kind == "watch":
            return await self._watch(client, request)
        name = request.get("camera")
        if not isinstance(name, str) or (camera := self.cameras.get(name)) is None:
            raise Refusal("there is no such camera")
        if not isinstance(kind, str) or (answer := camera.requests().get(kind)) is None:
            raise Refusal("there is no such request")
        return await answer(client, request)

    async def _watch(self, client: Client, request: Event) -> Event:
        names = requests.texts(request, "cameras", MAX_CAMERAS)
        width = round(requests.number(request, "max_width", 0, MAX_PICTURE_WIDTH, default=0))
        if client not in self._clients:
            return {}  # it has left in the meantime
        self._clients[client], self._widths[client] = {*names}, width
        for name, camera in [*self.cameras.items()]:
            wanted = self._clients.get(client)
            if wanted is None:  # it has left in the meantime
                break
            await (camera.watch(client, width) if name in wanted else camera.unwatch(client))
        return {}

    # What goes on by itself

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._ros.log_error(error)

    async def _listen(self) -> None:
        create = self._ros.node.create_subscription
        await self._ros.run(lambda: create(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10))

    async def _tick(self) -> None:
        count = 0
        while True:
            try:
                if count % 2 == 0:
                    await self._look_at_graph()
                    for camera in [*self.cameras.values()]:
                        self._begin(camera.tell_history())
                for camera in self.cameras.values():
                    camera.tell_presence()
                event = self._cameras_event()
                if count % 2 == 0 or event["cameras"] != self._told:
                    self._told = event["cameras"]
                    for client in self._clients:
                        client.send(event, key="cameras")
            except Exception as error:
                self._ros.log_error(error)
            count += 1
            await asyncio.sleep(TICK)

    async def _look_at_graph(self) -> None:
        node = self._ros.node
        names = await self._ros.run(lambda: cameras_in_graph(node))
        now = time.monotonic()
        for name in names:
            if name not in self.cameras:
                await self._add(name)
        for name, camera in [*self.cameras.items()]:
            camera.online = name in names
            if camera.online:
                camera.last_online = now
            elif now - camera.last_online > GONE_AFTER and not camera.watchers:
                del self.cameras[name]
                await camera.close()
            await camera.rest()

    async def _add(self, name: str) -> None:
        camera = Camera(name, self._settings, self._ros, self._workers)
        await camera.open()
        self.cameras[name] = camera
        for client, names in [*self._clients.items()]:
            if name in names and client in self._clients:
                await camera.watch(client, self._widths[client])

    def _cameras_event(self) -> Event:
        states = [camera.state for _, camera in sorted(self.cameras.items())]
        return {"type": "cameras", "cameras": states}

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        """In the thread of ROS."""
        if found := healths(message):
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._note_health, found.items())

    def _note_health(self, found: Iterable[tuple[str, Health]]) -> None:
        for name, health in found:
            if (camera := self.cameras.get(name)) is None:
                continue
            changed = camera.health is None or camera.health.topic != health.topic
            camera.health = health
            if changed and camera.watchers:
                self._begin(camera.subscribe())
