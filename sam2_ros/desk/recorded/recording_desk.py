"""The desk over a recording: answers pages from its annotation project, and tells them what changes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path

from aiohttp import web

from sam2_ros.acceleration import Network
from sam2_ros.annotation.export import EXPORT_FORMATS
from sam2_ros.annotation.project import Project, ProjectError
from sam2_ros.desk import requests
from sam2_ros.desk.backend import Backend
from sam2_ros.desk.client import Client
from sam2_ros.desk.event import Event
from sam2_ros.desk.recorded import wire
from sam2_ros.desk.recorded.asked import Asked
from sam2_ros.desk.recorded.changes import Changes, changed
from sam2_ros.desk.recorded.changing import CHANGING
from sam2_ros.desk.recorded.commands import Commands
from sam2_ros.desk.recorded.errors import ERRORS
from sam2_ros.desk.recorded.job import EXPORT, FINE_TUNE, PROPOSE, Job
from sam2_ros.desk.recorded.jobs import Jobs
from sam2_ros.desk.recorded.pictures import PictureError, Pictures
from sam2_ros.desk.recorded.pointing import POINTING, Pointing
from sam2_ros.desk.recorded.reading import READING
from sam2_ros.desk.recorded.shared_network import SharedNetwork
from sam2_ros.desk.recorded.strips import Strips
from sam2_ros.desk.recorded.worker import Worker
from sam2_ros.desk.refusal import Refusal
from sam2_ros.model.sam2 import SAM2
from sam2_ros.recordings.recording import Recording
from sam2_ros.system.error_text import one_line
from sam2_ros.tracking.prompt import MAX_LABEL
from sam2_ros.version import version

LOOKS = 0.5
"""Seconds from one look for changes of other processes to the next."""


class RecordingDesk(Backend):
    """Pages over one annotation project. Work is done in threads: pointing, jobs, reading, pictures, film strips.

    Args:
        folder: of the project.
        recording: that of the project.
        load: loads the network; called in a thread of its own.
        commands: how the same is done on the command line.
        model: what pages call the network.
        annotator: who works here unless they say otherwise.
    """

    network_requests = frozenset(POINTING) - {"draw"}

    def __init__(
        self,
        folder: Path,
        recording: Recording,
        load: Callable[[], SAM2 | Network],
        commands: Commands,
        model: str = "",
        annotator: str = "",
    ) -> None:
        self._folder, self._recording, self._commands = folder, recording, commands
        self._model, self._annotator = model, annotator
        self._names: dict[Client, str] = {}  # the annotator of each page; empty: not said yet
        self._network = SharedNetwork(load)
        self._reading = Worker("reading", folder)
        self._pointing = Pointing(folder, recording, self._network)
        self._pictures, self._strips = Pictures(recording), Strips(folder, recording)
        self._jobs = Jobs(folder, recording, self._network, self._tell_job)
        self._changes, self._looks = Changes(), asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._about: Event = {}
        self._others: dict[str, Callable[[Asked], Coroutine[None, None, Event]]] = {
            "propagate": self._propagate,
            "propose": self._propose,
            "export": self._export,
            "fine_tune": self._fine_tune,
            "cancel": self._cancel,
        }

    # ---- its life

    async def start(self) -> None:
        """Raises ProjectError, OSError or ClipError: project or recording cannot be read."""
        self._jobs.start()
        self._pictures.start()
        self._about = await self._reading.do(self._described)
        await self._reading.do(self._changes.news)
        self._network.start()
        self._begin(self._tell_loaded())
        self._begin(self._watch())

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._jobs.stop()
        await self._pointing.stop()
        await self._strips.stop()
        await self._reading.stop()
        await asyncio.to_thread(self._pictures.stop)

    async def greet(self, client: Client) -> Event:
        self._names[client] = ""
        asyncio.get_running_loop().call_soon(self._welcome, client)
        damaged = {str(frame): reason for frame, reason in dict(self._recording.damaged).items()}
        return {**self._about, "damaged": damaged, "model": self._model_state()}

    async def left(self, client: Client) -> None:
        self._names.pop(client, None)

    async def handle(self, client: Client, request: Event) -> Event:
        try:
            return await self._answered(client, request)
        except ERRORS as error:
            raise Refusal(one_line(error)) from error

    def routes(self) -> Sequence[web.RouteDef]:
        return [
            web.get(r"/picture/{frame:\d{1,9}}", self._picture, allow_head=False),
            web.get(r"/strip/{object_id:\d{1,9}}", self._strip, allow_head=False),
        ]

    # ---- what pages ask for

    async def _answered(self, client: Client, request: Event) -> Event:
        kind = request["type"]
        asked = Asked(request, self._names.get(client, ""), self._recording.span)
        if kind == "annotator":
            return await self._name(client, asked)
        if kind in READING:
            return await self._reading.do(lambda project: READING[kind](project, asked))
        if kind in POINTING:
            frame = asked.frame()
            answer = await self._pointing.point(Asked(request, asked.name, asked.span, await self._size(frame)))
        elif kind in CHANGING:
            answer = await self._pointing.change(lambda project: CHANGING[kind](project, asked))
        elif kind in self._others:
            return await self._others[kind](asked)
        else:
            raise Refusal(f"this desk knows no request {kind[:40]!r}; reload the page")
        self._begin(self._look())
        return answer

    async def _name(self, client: Client, asked: Asked) -> Event:
        """Who annotates on this page."""
        name = requests.text(asked.request, "name", MAX_LABEL).strip()
        if not name or not name.isprintable():
            raise Refusal("say who you are: a name in one line")
        if client in self._names:
            self._names[client] = name
        await self._tell_project([client])
        return {}

    async def _propagate(self, asked: Asked) -> Event:
        by, object_id, frame, phase = asked.by, asked.object_id(), asked.frame(), asked.phase(2, 3)
        one = await self._reading.do(lambda project: project.object(object_id))
        title = f"Propagate {one.label or f'object {object_id}'}"
        return {"job": self._jobs.propagate(by, object_id, frame, phase, asked.seconds(), title).number}

    async def _propose(self, asked: Asked) -> Event:
        return self._run(asked, PROPOSE, "Find everything", self._commands.propose())

    async def _export(self, asked: Asked) -> Event:
        formats = requests.texts(asked.request, "formats", len(EXPORT_FORMATS))
        if not formats or set(formats) - EXPORT_FORMATS.keys():
            raise Refusal(f"choose formats: {', '.join(EXPORT_FORMATS)}")
        flags = [requests.flag(asked.request, name, False) for name in ("unverified", "verified_only")]
        return self._run(asked, EXPORT, "Export", self._commands.export(formats, *flags))

    async def _fine_tune(self, asked: Asked) -> Event:
        minutes = requests.number(asked.request, "minutes", 0.01, 1e5)
        return self._run(asked, FINE_TUNE, "Fine-tune", self._commands.fine_tune(minutes))

    def _run(self, asked: Asked, kind: str, title: str, arguments: Sequence[object]) -> Event:
        job = self._jobs.run(asked.by, kind, title, arguments)
        return {"job": job.number, "command": job.command}

    async def _cancel(self, asked: Asked) -> Event:
        self._jobs.cancel(asked.by, requests.whole(asked.request, "job", 1, requests.MAX_ID))
        return {}

    # ---- what pages are told

    def _described(self, project: Project) -> Event:
        """What never changes."""
        recording, size = self._recording, (0, 0)
        for image in recording.images(recording.span.start):
            size = image.pixels.shape[:2]
            break
        return {
            "type": "hello",
            "mode": "recorded",
            "version": version(),
            "name": recording.name,
            "project": str(self._folder),
            "recording": str(recording.path),
            "fingerprint": project.fingerprint,
            "frames": project.frame_count,
            "span": [recording.span[0], recording.span[-1]],
            "fps": project.fps,
            "height": size[0],
            "width": size[1],
            "annotated_frames": project.annotated_frames,
            "annotator": self._annotator,
            "formats": {name: output.description for name, output in EXPORT_FORMATS.items()},
        }

    def _welcome(self, client: Client) -> None:
        """Right after `hello`."""
        for job in self._jobs.known:
            client.send(job.event(), f"job {job.number}")
        self._begin(self._tell_project([client]))

    def _model_state(self) -> Event:
        loaded = self._network.loaded
        state, message = "loading", "the model is being loaded"
        if loaded.done():
            error = loaded.exception()
            state, message = ("ready", "") if error is None else ("failed", one_line(error))
        return {"name": self._model, "state": state, "message": message}

    async def _tell_loaded(self) -> None:
        with suppress(Exception):  # said by the event, and to everybody who asks for something that needs it
            await asyncio.shield(asyncio.wrap_future(self._network.loaded))
        self._tell_all({"type": "model", **self._model_state()})

    async def _watch(self) -> None:
        """Notice what other processes change."""
        while True:
            await asyncio.sleep(LOOKS)
            await self._look()

    async def _look(self) -> None:
        """Tell all pages what has changed."""
        async with self._looks:
            with suppress(*ERRORS):  # such as a disk that is gone for a moment; requests say so
                if actions := await self._reading.do(self._changes.news):
                    await self._tell_project(list(self._names))
                    for event in changed(actions):
                        self._tell_all(event)
                    self._changes.told(actions)

    async def _tell_project(self, clients: Sequence[Client]) -> None:
        names = {self._names[client] for client in clients if client in self._names}
        everything, reversible = await self._reading.do(lambda project: wire.project_to_wire(project, names))
        for client in clients:
            if client in self._names:
                neither = {"can_undo": False, "can_redo": False}
                client.send({**everything, **reversible.get(self._names[client], neither)}, "project")

    def _tell_job(self, job: Job) -> None:
        self._tell_all(job.event(), f"job {job.number}")

    def _tell_all(self, event: Event, key: str = "") -> None:
        for client in self._names:
            client.send(event, key)

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- pictures

    async def _size(self, frame: int) -> tuple[int, int]:
        """Height and width of a frame. Raises Refusal: it is damaged."""
        if (known := self._pictures.size(frame)) is None:
            try:
                await asyncio.shield(asyncio.wrap_future(self._pictures.jpeg(frame)))
            except PictureError as error:
                raise Refusal(f"the image of frame {frame} is damaged ({error}); annotate another one") from error
            known = self._pictures.size(frame)
        assert known is not None
        return known

    async def _picture(self, request: web.Request) -> web.StreamResponse:
        frame = int(request.match_info["frame"])
        jpeg = asyncio.shield(asyncio.wrap_future(self._pictures.jpeg(frame)))
        return await _image(jpeg, request.query.get("v") == self._about["fingerprint"])

    async def _strip(self, request: web.Request) -> web.StreamResponse:
        object_id, version = int(request.match_info["object_id"]), request.query.get("v", "")[:40]
        return await _image(self._strips.jpeg(object_id, version, "dark" in request.query), bool(version))


async def _image(jpeg: Awaitable[bytes], constant: bool) -> web.StreamResponse:
    """A picture, which browsers keep if it is the same for ever; or why there is none."""
    try:
        body = await jpeg
    except (PictureError, ProjectError) as error:
        return web.Response(status=404, text=str(error))
    except ERRORS as error:
        return web.Response(status=503, text=one_line(error))
    cache = "private, max-age=31536000, immutable" if constant else "no-store"
    return web.Response(body=body, content_type="image/jpeg", headers={"Cache-Control": cache})
