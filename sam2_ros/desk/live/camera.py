"""One camera on the desk: what its pages are shown, and what they ask of it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from rclpy.serialization import deserialize_message
from std_srvs.srv import Trigger

from sam2_ros.data.image_message import ImageDecoder, ImageError
from sam2_ros.desk import requests
from sam2_ros.desk.client import Client
from sam2_ros.desk.event import Event
from sam2_ros.desk.live.camera_image import Encoded, encode, width_for
from sam2_ros.desk.live.camera_link import CameraLink
from sam2_ros.desk.live.health import Health
from sam2_ros.desk.live.masklet_event import candidate_event, masklet_event, masklet_events
from sam2_ros.desk.live.picture_history import Moment, PictureHistory
from sam2_ros.desk.live.presence_history import PresenceHistory, Seen
from sam2_ros.desk.live.prompt_message import header_message, prompt_message, stamp_of
from sam2_ros.desk.live.ros_thread import RosThread
from sam2_ros.desk.live.settings import Settings
from sam2_ros.desk.picture import Picture
from sam2_ros.desk.refusal import Refusal
from sam2_ros.msg import Masklet, MaskletArray, PromptArray
from sam2_ros.ros import prompts
from sam2_ros.ros.stamps import nanoseconds
from sam2_ros.srv import ListObjects, PromptObject, RemoveObject, SegmentEverything, SegmentImage
from sam2_ros.tracking.prompt import MAX_OBJECT_ID

HISTORY = "history"
"""The key of pictures that were asked for."""

SILENCE = 1.0
"""Seconds without masklets after which pictures are shown without them."""
MAX_SILENCE = 10.0
"""The same for a node that takes long for an image: three times as long as it took, but at most this."""

LINGER = 5.0
"""Seconds after the last page has left for which images are still subscribed to and past pictures kept: it may be
reloaded."""

UNWATCHED_PERIOD = 0.2
"""Seconds between masklets that are read while nobody watches: enough for the timeline."""

HEALTH_TIMEOUT = 5.0
"""Seconds after which what the node said about its state is old; it says it once a second."""

PROMPTS_AT_ONCE = 3
"""Prompts that the node has at a time: it refuses more than four, of all who call it."""
MAX_WAITING_PROMPTS = 16
"""Prompts of all pages that wait for those. More are refused."""

ANSWER_TIMEOUT = 20.0
"""Seconds for an answer. The node itself lets a prompt wait for 10 s by default, and says why then."""
EVERYTHING_TIMEOUT = 310.0
"""Seconds; the node gives up after 300."""


@dataclass(eq=False)
class Watcher:
    """A page that watches this camera."""

    width: int
    """Of its pictures, pixels; 0: the image's own."""
    seen: Seen | None = None
    """What it knows of the timeline."""


class Camera:
    """All methods run in the server's event loop.

    Args:
        name: the beginning of its topics, such as `/sam2/front`.
        workers: threads that encode pictures.
    """

    def __init__(self, name: str, settings: Settings, ros: RosThread, workers: Executor) -> None:
        self.name = name
        self.online = True
        self.last_online = self._opened = time.monotonic()
        """s."""
        self.health: Health | None = None
        self.watchers: dict[Client, Watcher] = {}
        self._settings = settings
        self._ros = ros
        self._workers = workers
        self._loop = asyncio.get_running_loop()
        self._link: CameraLink | None = None
        self._woken = False
        self._pictures = PictureHistory(settings.kept_pictures, settings.kept_memory * 2**20)
        self._presence = PresenceHistory(round(settings.timeline_minutes * 60e9))
        self._decoder = ImageDecoder()
        self._newest: MaskletArray | None = None
        self._newest_came = (self._opened, SILENCE)  # s of the monotonic clock, and how long they take to come
        self._left = -LINGER  # s of the monotonic clock, when the last page has left
        self._encoding = False
        self._waiting: Moment | None = None
        self._timer: asyncio.TimerHandle | None = None  # until the next picture may be shown
        self._next_picture = 0.0  # s of the loop's clock
        self._unreadable = ""
        self._topic_is_published = True
        self._listing = False
        self._prompting, self._waiting_prompts = asyncio.Semaphore(PROMPTS_AT_ONCE), 0

    # Life

    async def open(self) -> None:
        """Subscribe to masklets."""
        self._link = await self._ros.run(lambda: CameraLink(self._ros, self.name, self._wake))

    async def close(self) -> None:
        """Unsubscribe from everything."""
        self.watchers.clear()
        if (link := self._link) is not None:
            self._link = None
            await self._ros.run(link.close)

    async def watch(self, client: Client, max_width: int) -> None:
        """Show this camera on a page. It is told the whole timeline, unless it watches already.

        Args:
            max_width: of its pictures, pixels; 0: as wide as they are.
        """
        limits = [width for width in (max_width, self._settings.max_width) if width]
        width, before = width_for(min(limits, default=0)), self.watchers.get(client)
        if before is not None and before.width == width:
            return
        self.watchers[client] = watcher = Watcher(width)
        self._tell_presence(client, watcher)
        await self.subscribe()
        if (moment := self._pictures.newest_pair) is not None:
            self._show(moment)

    async def unwatch(self, client: Client) -> None:
        """Show it no more on a page."""
        if self.watchers.pop(client, None) is not None and not self.watchers:
            self._left = time.monotonic()
            self._waiting = None

    async def rest(self) -> None:
        """Unsubscribe from images, and forget past pictures, when nobody has watched for a while."""
        if not self._is_watched and len(self._pictures):
            self._pictures.clear()
        await self.subscribe()

    @property
    def _is_watched(self) -> bool:
        return bool(self.watchers) or time.monotonic() - self._left < LINGER

    async def subscribe(self) -> None:
        """Subscribe to the images where somebody watches, wherever they come from by now."""
        topic = self._image_topic if self._is_watched else ""
        if (link := self._link) is not None:
            self._topic_is_published = await self._ros.run(lambda: link.watch(topic)) or not topic

    @property
    def _image_topic(self) -> str:
        topic = "" if self.health is None else self.health.topic
        transport = self._settings.picture_transport
        if not topic or transport == "node":
            return topic
        return topic.removesuffix("/compressed") + ("/compressed" if transport == "compressed" else "")

    # What pages are told

    @property
    def state(self) -> Event:
        """The camera's line in `cameras`."""
        health = self.health
        if health is not None and time.monotonic() - health.time > HEALTH_TIMEOUT:
            health = None
        return {
            "name": self.name,
            "title": self.name.strip("/"),
            "online": self.online,
            "problem": self._problem(health),
            "rate": round(health.rate, 1) if health and self.online else 0.0,
            "latency_ms": round(health.latency_ms) if health and self.online else 0,
            "objects": health.objects if health and self.online else 0,
        }

    def _problem(self, health: Health | None) -> str:
        if not self.online:
            return "the sam2 node is gone; this page goes on as soon as it is back"
        if health is None:
            quiet = time.monotonic() - self._opened > HEALTH_TIMEOUT
            return "the sam2 node says nothing about its state on /diagnostics: is it stuck?" if quiet else ""
        if health.problem:
            return health.problem
        if self._unreadable:
            return f"the pictures cannot be shown: {self._unreadable}"
        if self.watchers and not self._topic_is_published:
            return f"nobody publishes pictures on {self._image_topic}"
        return ""

    def tell_presence(self) -> None:
        """Tell all pages what is new on the timeline."""
        for client, watcher in self.watchers.items():
            self._tell_presence(client, watcher)

    def _tell_presence(self, client: Client, watcher: Watcher) -> None:
        event, watcher.seen = self._presence.event(watcher.seen)
        client.send({"type": "presence", "camera": self.name, **event})

    async def tell_history(self) -> None:
        """Tell all pages which images can still be prompted and shown."""
        if not self.watchers or self._listing or not self.online:
            return
        self._listing = True
        try:
            listed = await self._call("list", ListObjects.Request(), 5.0)
        except Refusal:
            return
        finally:
            self._listing = False
        history = [*map(nanoseconds, listed.history)]
        self._pictures.forget_before(min(history, default=0))
        known = {*self._pictures.pairs}
        stamps = [str(stamp) for stamp in history if stamp in known]
        event = {"type": "history", "camera": self.name, "stamps": stamps}
        for client in self.watchers:
            client.send(event, key=f"history {self.name}")

    # What arrives

    def _wake(self) -> None:
        """In the thread of ROS."""
        if not self._woken:
            self._woken = True
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._take)

    def _take(self) -> None:
        self._woken = False
        if (link := self._link) is None:
            return
        arrivals, newest = link.arrivals, None
        while arrivals.pictures:
            picture = arrivals.pictures.popleft()
            if not self.watchers:
                continue
            moment = self._pictures.add_picture(picture)
            if moment.is_pair or not self.expects_masklets:
                newest = moment
        while arrivals.masklets:
            paired = self._add_masklets(*arrivals.masklets.popleft())
            newest = paired if paired is not None and paired.is_pair else newest
        while arrivals.applied:
            self._note_applied(arrivals.applied.popleft())
        if newest is not None:
            self._show(newest)

    @property
    def expects_masklets(self) -> bool:
        """Whether pictures wait for their masklets: the node has sent some a moment ago."""
        arrived, took = self._newest_came
        return time.monotonic() - arrived < min(max(SILENCE, 3 * took), MAX_SILENCE)

    def _add_masklets(self, data: bytes, published_ms: float) -> Moment | None:
        now, (before, took) = time.monotonic(), self._newest_came
        if not self.watchers and now - before < UNWATCHED_PERIOD:
            return None
        try:
            message = deserialize_message(data, MaskletArray)
        except Exception:  # rclpy raises various ones for bytes that are no such message
            return None
        self._newest, self._newest_came = message, (now, max(now - before, 0.8 * took))
        stamp = nanoseconds(message.header.stamp)
        if stamp < self._presence.newest:  # time has jumped
            self._pictures.forget_after(stamp)
            self._decoder = ImageDecoder()
        objects = message.masklets
        labels = {masklet.object_id: masklet.label for masklet in objects}
        self._presence.add(stamp, labels, {masklet.object_id: masklet.presence for masklet in objects})
        return self._pictures.add_masklets(stamp, message, published_ms) if self.watchers else None

    def _note_applied(self, data: bytes) -> None:
        try:
            message = deserialize_message(data, PromptArray)
        except Exception:
            return
        for prompt in message.prompts:
            if not prompts.points(prompt):
                continue  # a new label
            self._presence.prompted(nanoseconds(message.header.stamp), prompt.object_id, prompt.replace)

    # Pictures

    def _show(self, moment: Moment) -> None:
        """Show a picture to all who watch, as soon as the one before is encoded and `picture_rate` allows it.

        The newest takes the place of one that waits.
        """
        self._waiting = moment
        if self._timer is None and not self._encoding:
            self._show_waiting()

    def _show_waiting(self) -> None:
        self._timer = None
        now, rate = self._loop.time(), self._settings.picture_rate
        if (moment := self._waiting) is None or not (moment.is_pair or not self.expects_masklets):
            return
        if rate and now < self._next_picture - 0.5 / rate:  # half a period early is the camera's jitter
            self._timer = self._loop.call_at(self._next_picture, self._show_waiting)
            return
        self._next_picture = max(self._next_picture + 1 / rate, now) if rate else now
        self._waiting, self._encoding = None, True
        task = self._loop.create_task(self._encode_and_send(moment))
        task.add_done_callback(self._encoded)

    def _encoded(self, task: asyncio.Task[None]) -> None:
        self._encoding = False
        if not task.cancelled() and (error := task.exception()) is not None:
            self._ros.log_error(error)
        if self._timer is None:
            self._show_waiting()

    async def _encode_and_send(self, moment: Moment) -> None:
        watching = [*self.watchers.items()]
        encoded = await self._encode(moment, {watcher.width for _, watcher in watching})
        if encoded is None:
            return
        header, pictures = self._header(moment, encoded, self.name), dict[int, Picture]()
        for client, watcher in watching:
            if self.watchers.get(client) is watcher:
                jpeg = encoded.jpeg(watcher.width or encoded.width)
                client.send_picture(self.name, pictures.setdefault(id(jpeg), Picture(header, jpeg)))

    async def _encode(self, moment: Moment, widths: set[int]) -> Encoded | None:
        if (picture := moment.picture) is None:
            return moment.encoded
        try:
            encoded = await self._loop.run_in_executor(
                self._workers, encode, picture, self._decoder, widths, self._settings.jpeg_quality
            )
        except ImageError as error:
            self._unreadable = str(error)
            return None
        self._unreadable = ""
        moment.encoded, moment.picture = encoded, None
        return encoded

    def _header(self, moment: Moment, encoded: Encoded, key: str) -> Event:
        masklets = moment.masklets
        return {
            "type": "frame",
            "key": key,
            "camera": self.name,
            "stamp": str(moment.stamp),
            "height": encoded.height,
            "width": encoded.width,
            "masklets": None if masklets is None else masklet_events(masklets.masklets),
            "published_ms": round(moment.published_ms, 1),
        }

    # Requests

    def requests(self) -> dict[str, Callable[[Client, Event], Awaitable[Event]]]:
        """What pages may ask of a camera, by the type of the request. Each raises Refusal."""
        return {
            "frame_at": self._frame_at,
            "prompt": self._prompt,
            "candidates": self._candidates,
            "everything": self._everything,
            "remove": self._remove,
            "reset": lambda client, request: self._trigger("reset"),
            "pause": lambda client, request: self._trigger("pause"),
            "resume": lambda client, request: self._trigger("resume"),
        }

    async def _frame_at(self, client: Client, request: Event) -> Event:
        moment = self._pictures.get(stamp_of(request))
        if moment is None or not moment.has_picture:
            raise Refusal("this picture is no longer kept; choose a newer one")
        watcher = self.watchers.get(client)
        width = 0 if watcher is None else watcher.width
        if (encoded := await self._encode(moment, {width})) is None:
            raise Refusal(f"this picture cannot be shown: {self._unreadable}")
        header = self._header(moment, encoded, HISTORY)
        client.send_picture(HISTORY, Picture(header, encoded.jpeg(width or encoded.width)))
        return {}

    async def _prompt(self, client: Client, request: Event) -> Event:
        stamp = stamp_of(request)
        prompt = prompt_message(request, self._size_of(stamp), may_name=True)
        call = PromptObject.Request(header=header_message(stamp), prompt=prompt)
        if self._waiting_prompts >= MAX_WAITING_PROMPTS:
            raise Refusal(f"{MAX_WAITING_PROMPTS} prompts are waiting for the node; wait a moment, and point again")
        self._waiting_prompts += 1
        try:
            async with self._prompting:
                result = (await self._call("prompt", call)).result
        finally:
            self._waiting_prompts -= 1
        if not result.accepted:
            raise Refusal(result.message)
        stamp = nanoseconds(result.header.stamp)
        self._correct(stamp, result.masklet)
        return {"object_id": result.object_id, "stamp": str(stamp), "masklet": masklet_event(result.masklet)}

    def _correct(self, stamp: int, masklet: Masklet) -> None:
        """Put an answer on the picture that was prompted, for those who look at it again."""
        if (moment := self._pictures.get(stamp)) is None or moment.masklets is None:
            return
        message = moment.masklets
        others = [one for one in message.masklets if one.object_id != masklet.object_id]
        message.masklets = sorted([*others, masklet], key=lambda one: one.object_id)

    async def _candidates(self, client: Client, request: Event) -> Event:
        stamp = stamp_of(request)
        call = SegmentImage.Request(prompts=[prompt_message(request, self._size_of(stamp))])
        call.image.header = header_message(stamp)
        response = await self._succeed("segment", call)
        found = response.results[0]
        if not found.accepted:
            raise Refusal(found.message)
        return {"candidates": [candidate_event(masklet) for masklet in found.masklets]}

    async def _everything(self, client: Client, request: Event) -> Event:
        call = SegmentEverything.Request(track=requests.flag(request, "track", default=False))
        call.image.header = header_message(stamp_of(request))
        response = await self._succeed("everything", call, EVERYTHING_TIMEOUT)
        stamp = nanoseconds(response.header.stamp)
        return {"masklets": masklet_events(response.masklets), "message": response.message, "stamp": str(stamp)}

    async def _remove(self, client: Client, request: Event) -> Event:
        object_id = requests.whole(request, "object_id", 1, MAX_OBJECT_ID)
        return {"message": (await self._succeed("remove", RemoveObject.Request(object_id=object_id))).message}

    async def _trigger(self, service: str) -> Event:
        return {"message": (await self._succeed(service, Trigger.Request())).message}

    def _size_of(self, stamp: int) -> tuple[int, int]:
        """Height and width of an image, or else of the newest. Raises Refusal."""
        moment = self._pictures.get(stamp)
        masklets = self._newest if moment is None or moment.masklets is None else moment.masklets
        if masklets is None:
            raise Refusal("the node has not processed any image yet")
        return masklets.height, masklets.width

    async def _succeed(self, service: str, request: object, timeout: float | None = None) -> Any:
        """The response of a service that says whether it could do it. Raises Refusal with its reason: it could not."""
        response = await self._call(service, request, timeout)
        if not response.success:
            raise Refusal(response.message)
        return response

    async def _call(self, service: str, request: object, timeout: float | None = None) -> Any:
        if (link := self._link) is None or not self.online:
            raise Refusal(f"the sam2 node of {self.name} is gone; wait until it is back")
        return await getattr(link, service).call(request, timeout or ANSWER_TIMEOUT)
