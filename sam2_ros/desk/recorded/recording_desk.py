"""The desk over a recording: answers pages from its annotation project, and tells them what changes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import torch
from aiohttp import web

from sam2_ros.acceleration import Network
from sam2_ros.annotation.annotated_mask import AnnotatedMask
from sam2_ros.annotation.assistant import Assistant
from sam2_ros.annotation.export import EXPORT_FORMATS
from sam2_ros.annotation.least_sure import least_sure
from sam2_ros.annotation.project import NO_OBJECT, VERDICTS, Project, ProjectError
from sam2_ros.annotation.timeline import timeline
from sam2_ros.annotation.verification import queue
from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.desk import requests, wire_mask, wire_prompt
from sam2_ros.desk.backend import Backend
from sam2_ros.desk.client import Client
from sam2_ros.desk.event import Event
from sam2_ros.desk.recorded import fields, wire
from sam2_ros.desk.recorded.changes import Changes, changed
from sam2_ros.desk.recorded.commands import Commands
from sam2_ros.desk.recorded.job import EXPORT, FINE_TUNE, PROPOSE, Job
from sam2_ros.desk.recorded.jobs import Jobs
from sam2_ros.desk.recorded.pictures import PictureError, Pictures
from sam2_ros.desk.recorded.pointing import Pointing
from sam2_ros.desk.recorded.shared_network import SharedNetwork
from sam2_ros.desk.recorded.strips import Strips
from sam2_ros.desk.recorded.worker import Worker
from sam2_ros.desk.refusal import Refusal
from sam2_ros.model.sam2 import SAM2
from sam2_ros.recordings.recording import Recording
from sam2_ros.tracking.prompt import MAX_LABEL, Prompt
from sam2_ros.version import version

LOOKS = 0.5
"""Seconds from one look for changes of other processes to the next."""

MOST_FRAMES = 256
"""Frames of which masks are asked for at once."""

ERRORS = (CheckpointError, OSError, ValueError, MemoryError, ImportError, torch.OutOfMemoryError)
"""Those that a person can do something about; others are bugs, and show where."""


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

    network_requests = frozenset({"begin", "segment", "correct", "candidates"})

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
        self._last = len(recording) - 1
        self._pages: dict[Client, str] = {}  # the annotator of each; empty: not said yet
        self._network = SharedNetwork(load)
        self._reading = Worker("reading", folder)
        self._pointing = Pointing(folder, recording, self._network)
        self._pictures, self._strips = Pictures(recording), Strips(folder, recording)
        self._jobs = Jobs(folder, recording, self._network, self._tell_job)
        self._changes, self._looks = Changes(), asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._hello: Event = {}
        self._handlers: dict[str, Callable[[Client, Event], Awaitable[Event]]] = {
            "annotator": self._set_annotator,
            "masks": self._masks,
            "timeline": self._timeline,
            "unsure": self._unsure,
            "queue": self._queue,
            "labels": self._labels,
            "candidates": self._candidates,
            "begin": self._begin,
            "segment": self._segment,
            "correct": self._correct,
            "draw": self._draw,
            "remove_mask": self._remove_mask,
            "describe": self._describe,
            "judge": self._judge,
            "undo": partial(self._reverse, again=False),
            "redo": partial(self._reverse, again=True),
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
        self._hello = await self._reading.do(self._about)
        await self._reading.do(self._changes.since)
        self._network.start()
        self._begin_task(self._tell_loaded())
        self._begin_task(self._watch())

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
        self._pages[client] = ""
        asyncio.get_running_loop().call_soon(self._welcome, client)
        damaged = {str(frame): reason for frame, reason in dict(self._recording.damaged).items()}
        return {**self._hello, "damaged": damaged, "model": self._model_state()}

    async def left(self, client: Client) -> None:
        self._pages.pop(client, None)

    async def handle(self, client: Client, request: Event) -> Event:
        handler = self._handlers.get(request["type"])
        if handler is None:
            raise Refusal(f"this desk knows no request {request['type'][:40]!r}; reload the page")
        try:
            return await handler(client, request)
        except ERRORS as error:
            raise Refusal(_one_line(error)) from error

    def routes(self) -> Sequence[web.RouteDef]:
        return [
            web.get(r"/picture/{frame:\d{1,9}}", self._picture, allow_head=False),
            web.get(r"/strip/{object_id:\d{1,9}}", self._strip, allow_head=False),
        ]

    # ---- what pages are told

    def _about(self, project: Project) -> Event:
        """What never changes."""
        height, width = 0, 0
        for image in self._recording.images(self._recording.span.start):
            height, width = image.pixels.shape[:2]
            break
        return {
            "type": "hello",
            "mode": "recorded",
            "version": version(),
            "name": self._recording.name,
            "project": str(self._folder),
            "recording": str(self._recording.path),
            "fingerprint": project.fingerprint,
            "frames": project.frame_count,
            "span": [self._recording.span[0], self._recording.span[-1]],
            "fps": project.fps,
            "stamps": [str(stamp) for stamp in (self._recording.stamps[0], self._recording.stamps[-1])],
            "height": height,
            "width": width,
            "annotated_frames": project.annotated_frames,
            "annotator": self._annotator,
            "formats": {name: output.description for name, output in EXPORT_FORMATS.items()},
        }

    def _model_state(self) -> Event:
        loaded = self._network.loaded
        state, message = "loading", "the model is being loaded"
        if loaded.done():
            error = loaded.exception()
            state, message = ("ready", "") if error is None else ("failed", _one_line(error))
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
                actions = await self._reading.do(self._changes.since)
                if not actions:
                    return
                await self._tell_project(list(self._pages))
                for event in changed(actions):
                    self._tell_all(event)

    async def _tell_project(self, clients: Sequence[Client]) -> None:
        names = {self._pages[client] for client in clients if client in self._pages}
        everything, reversible = await self._reading.do(lambda project: wire.project_to_wire(project, names))
        for client in clients:
            if client in self._pages:
                by = self._pages[client]
                client.send({**everything, **reversible.get(by, {"can_undo": False, "can_redo": False})}, "project")

    def _tell_all(self, event: Event, key: str = "") -> None:
        for client in self._pages:
            client.send(event, key)

    def _tell_job(self, job: Job) -> None:
        self._tell_all(job.event(), f"job {job.number}")

    def _welcome(self, client: Client) -> None:
        """Right after `hello`."""
        for job in self._jobs.known:
            client.send(job.event(), f"job {job.number}")
        self._begin_task(self._tell_project([client]))

    # ---- who

    async def _set_annotator(self, client: Client, request: Event) -> Event:
        name = requests.text(request, "name", MAX_LABEL).strip()
        if not name or not name.isprintable():
            raise Refusal("say who you are: a name in one line")
        if client in self._pages:
            self._pages[client] = name
        await self._tell_project([client])
        return {}

    def _by(self, client: Client) -> str:
        if not (by := self._pages.get(client)):
            raise Refusal("say who you are first")
        return by

    # ---- what is there

    async def _masks(self, client: Client, request: Event) -> Event:
        first = fields.frame(request, self._last, "first")
        last = requests.whole(request, "last", first, min(self._last, first + MOST_FRAMES - 1))

        def masks(project: Project) -> Event:
            with project.snapshot():
                found = {}
                for frame in range(first, last + 1):
                    if on_frame := project.masks_on(frame):
                        prompts = project.prompts_on(frame)
                        found[str(frame)] = [wire.mask_to_wire(mask, prompts.get(mask.object_id)) for mask in on_frame]
                return {"masks": found, "last_action": project.last_action}

        return await self._reading.do(masks)

    async def _timeline(self, client: Client, request: Event) -> Event:
        ids = fields.object_ids(request)
        return {"objects": wire.timeline_to_wire(await self._reading.do(lambda project: timeline(project, ids)))}

    async def _unsure(self, client: Client, request: Event) -> Event:
        object_id = None if request.get("object_id") is None else fields.object_id(request)
        after = None if request.get("after") is None else fields.frame(request, self._last, "after")
        place = await self._reading.do(lambda project: least_sure(project, object_id, after))
        if place is None:
            return {"frame": None}
        return {"object_id": place.object_id, "frame": place.frame, "iou": place.iou}

    async def _queue(self, client: Client, request: Event) -> Event:
        by = self._by(client)
        return {"waiting": wire.waiting_to_wire(await self._reading.do(lambda project: queue(project, by)))}

    async def _labels(self, client: Client, request: Event) -> Event:
        objects = await self._reading.do(Project.objects)
        return {"labels": sorted({one.label for one in objects if one.label})}

    # ---- pointing

    async def _candidates(self, client: Client, request: Event) -> Event:
        frame, prompt = fields.frame(request, self._last), await self._prompt(request)
        found = await self._pointing.assist(self._by(client), lambda assistant: assistant.candidates(frame, prompt))
        return {"candidates": wire.candidates_to_wire(found)}

    async def _begin(self, client: Client, request: Event) -> Event:
        frame, prompt, seconds = fields.frame(request, self._last), await self._prompt(request), fields.seconds(request)
        label, phase = requests.text(request, "label", MAX_LABEL, ""), fields.phase(request, 1, 1)
        choice = fields.choice(request)
        return await self._answer(
            client, prompt, lambda assistant: assistant.begin(frame, prompt, label, phase, seconds, choice)
        )

    async def _segment(self, client: Client, request: Event) -> Event:
        object_id, frame, prompt = (
            fields.object_id(request),
            fields.frame(request, self._last),
            await self._prompt(request),
        )
        phase, seen, seconds = fields.phase(request, 1, 1), fields.seen(request), fields.seconds(request)
        if phase == 3:
            return await self._correct(client, request)
        return await self._answer(
            client, prompt, lambda assistant: assistant.segment(object_id, frame, prompt, phase, seen, seconds)
        )

    async def _correct(self, client: Client, request: Event) -> Event:
        object_id, frame, prompt = (
            fields.object_id(request),
            fields.frame(request, self._last),
            await self._prompt(request),
        )
        seen, seconds = fields.seen(request), fields.seconds(request)
        return await self._answer(
            client, prompt, lambda assistant: assistant.correct(object_id, frame, prompt, seen, seconds)
        )

    async def _draw(self, client: Client, request: Event) -> Event:
        object_id, frame, phase = (
            fields.object_id(request),
            fields.frame(request, self._last),
            fields.phase(request, 1, 1),
        )
        seen, seconds = fields.seen(request), fields.seconds(request)
        mask = wire_mask.mask(request.get("mask"), await self._size(frame))
        return await self._answer(
            client, None, lambda assistant: assistant.draw(object_id, frame, mask, phase, seen, seconds)
        )

    async def _answer(self, client: Client, prompt: Prompt | None, work: Callable[[Assistant], AnnotatedMask]) -> Event:
        by = self._by(client)

        def answer(assistant: Assistant) -> Event:
            mask = work(assistant)
            given = assistant.project.prompts_on(mask.frame).get(mask.object_id)
            return {"object_id": mask.object_id, "mask": wire.mask_to_wire(mask, given)}

        answered = await self._pointing.assist(by, answer)
        self._begin_task(self._look())
        return answered

    # ---- other changes

    async def _change(self, work: Callable[[Project], Event | None]) -> Event:
        answered = await self._pointing.change(work)
        self._begin_task(self._look())
        return answered or {}

    async def _remove_mask(self, client: Client, request: Event) -> Event:
        by, object_id, frame = self._by(client), fields.object_id(request), fields.frame(request, self._last)
        seen, seconds = fields.seen(request), fields.seconds(request)
        return await self._change(lambda project: project.remove_mask(by, object_id, frame, seen, seconds))

    async def _describe(self, client: Client, request: Event) -> Event:
        by, object_id, seen = self._by(client), fields.object_id(request), fields.seen(request)
        label = None if request.get("label") is None else requests.text(request, "label", MAX_LABEL)
        attributes = None
        if request.get("attributes") is not None:
            given = requests.mapping(request, "attributes")
            attributes = {name: requests.text(given, name, MAX_LABEL) for name in given}
        seconds = fields.seconds(request)
        return await self._change(lambda project: project.describe(by, object_id, label, attributes, seen, seconds))

    async def _judge(self, client: Client, request: Event) -> Event:
        by, object_id, seen = self._by(client), fields.object_id(request), fields.seen(request)
        verdict = requests.choice(request, "verdict", tuple(VERDICTS))
        reason, seconds = requests.text(request, "reason", MAX_LABEL, ""), fields.seconds(request)
        own = requests.flag(request, "own", False) and verdict == NO_OBJECT  # nobody verifies their own work
        return await self._change(lambda project: project.judge(by, object_id, verdict, reason, seen, seconds, own))

    async def _reverse(self, client: Client, request: Event, again: bool) -> Event:
        by, seconds = self._by(client), fields.seconds(request)

        def reverse(project: Project) -> Event:
            action = project.redo(by, seconds) if again else project.undo(by, seconds)
            if action is None:
                raise Refusal(f"{by} has undone nothing since the last action" if again else "nothing to undo")
            if action.undoes is not None:  # an `undo` that was undone: what it had undone is there again
                action = next(project.actions(action.undoes - 1))
            return {"what": wire.described(action), "object_id": action.object_id, "frame": action.frame}

        return await self._change(reverse)

    # ---- jobs

    async def _propagate(self, client: Client, request: Event) -> Event:
        by, object_id, frame = self._by(client), fields.object_id(request), fields.frame(request, self._last)
        phase, seconds = fields.phase(request, 2, 3), fields.seconds(request)
        one = await self._reading.do(lambda project: project.object(object_id))
        title = f"Propagate {one.label or f'object {object_id}'}"
        return {"job": self._jobs.propagate(by, object_id, frame, phase, seconds, title).number}

    async def _propose(self, client: Client, request: Event) -> Event:
        self._by(client)
        return self._run(PROPOSE, "Find everything", self._commands.propose())

    async def _export(self, client: Client, request: Event) -> Event:
        self._by(client)
        formats = requests.texts(request, "formats", len(EXPORT_FORMATS))
        if not formats or set(formats) - EXPORT_FORMATS.keys():
            raise Refusal(f"choose formats: {', '.join(EXPORT_FORMATS)}")
        unverified = requests.flag(request, "unverified", False)
        verified_only = requests.flag(request, "verified_only", False)
        return self._run(EXPORT, "Export", self._commands.export(formats, unverified, verified_only))

    async def _fine_tune(self, client: Client, request: Event) -> Event:
        self._by(client)
        minutes = requests.number(request, "minutes", 0.01, 1e5)
        return self._run(FINE_TUNE, "Fine-tune", self._commands.fine_tune(minutes))

    async def _cancel(self, client: Client, request: Event) -> Event:
        self._by(client)
        self._jobs.cancel(requests.whole(request, "job", 1, requests.MAX_ID))
        return {}

    def _run(self, kind: str, title: str, arguments: Sequence[object]) -> Event:
        job = self._jobs.run(kind, title, arguments)
        return {"job": job.number, "command": job.command}

    # ---- pictures

    async def _picture(self, request: web.Request) -> web.StreamResponse:
        frame = int(request.match_info["frame"])
        try:
            jpeg = await asyncio.shield(asyncio.wrap_future(self._pictures.jpeg(frame)))
        except PictureError as error:
            return web.Response(status=404, text=str(error))
        except ERRORS as error:
            return web.Response(status=503, text=_one_line(error))
        return self._jpeg(jpeg, request.query.get("v") == self._hello["fingerprint"])

    async def _strip(self, request: web.Request) -> web.StreamResponse:
        version = request.query.get("v", "")[:40]
        try:
            jpeg = await self._strips.jpeg(int(request.match_info["object_id"]), version)
        except ProjectError as error:
            return web.Response(status=404, text=str(error))
        except ERRORS as error:
            return web.Response(status=503, text=_one_line(error))
        return self._jpeg(jpeg, bool(version))

    def _jpeg(self, jpeg: bytes, constant: bool) -> web.StreamResponse:
        """A picture, which browsers keep if it is the same for ever."""
        cache = "private, max-age=31536000, immutable" if constant else "no-store"
        return web.Response(body=jpeg, content_type="image/jpeg", headers={"Cache-Control": cache})

    async def _prompt(self, request: Event) -> Prompt:
        return wire_prompt.prompt(request.get("prompt"), await self._size(fields.frame(request, self._last)))

    async def _size(self, frame: int) -> tuple[int, int]:
        """Height and width of a frame."""
        if (known := self._pictures.size(frame)) is None:
            await asyncio.shield(asyncio.wrap_future(self._pictures.jpeg(frame)))
            known = self._pictures.size(frame)
        assert known is not None
        return known

    def _begin_task(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        assert isinstance(task, asyncio.Task)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__
