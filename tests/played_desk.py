"""A live desk without ROS and without a network: the demo's scene with its true masks, for tests of the page.

By hand: `python tests/played_desk.py [--cameras 2] [--port 8700] [--slow 0.5]`.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from sam2_ros.data.clip import Clip
from sam2_ros.desk import wire_mask
from sam2_ros.desk.backend import Backend
from sam2_ros.desk.client import Client
from sam2_ros.desk.event import Event
from sam2_ros.desk.picture import Picture
from sam2_ros.desk.refusal import Refusal
from sam2_ros.desk.server import Server
from sam2_ros.scenes.demo_scene import NAMES, demo_scene

HISTORY = 600  # images: half a minute, however slow the machine is
RATE = 20.0
LABEL_THINGS = {number: name for number, name in NAMES.items()}


class PlayedCamera:
    """One camera of the scene, and the objects that are tracked on it."""

    def __init__(self, name: str, title: str, clip: Clip, begin: int) -> None:
        self.name = name
        self.title = title
        self.clip = clip
        self.frame = begin
        self.objects: dict[int, dict[str, Any]] = {}  # ID to {thing: index of the mask, label, part: of the mask}
        self.next_id = 1
        self.history: deque[tuple[str, int, dict[int, dict[str, Any]]]] = deque(maxlen=HISTORY)
        self.samples: list[tuple[str, dict[int, float]]] = []
        self.marks: list[Event] = []
        self.paused = False
        self.jpegs: dict[int, bytes] = {}

    def step(self) -> str:
        """The next image. Returns its stamp."""
        self.frame = (self.frame + 1) % len(self.clip.frames)
        stamp = str(time.time_ns())
        self.history.append((stamp, self.frame, dict(self.objects)))
        return stamp

    def at(self, stamp: str) -> int:
        for known, frame, _ in self.history:
            if known == stamp:
                return frame
        raise Refusal(f"the image of {stamp} is not in the history any more; click on a newer one")

    def masklet(self, object_id: int, tracked: Mapping[str, Any], frame: int) -> Event:
        mask = self._mask(tracked, frame)
        present = bool(mask.any())
        box = cv2.boundingRect(mask.astype(np.uint8)) if present else (0, 0, 0, 0)
        return {
            "object_id": object_id,
            "label": tracked["label"],
            "present": present,
            "presence": 0.98 if present else 0.04,
            "iou": 0.93 if present else 0.0,
            "box": [int(side) for side in box],
            "mask": wire_mask.to_wire(mask),
        }

    def _mask(self, tracked: Mapping[str, Any], frame: int) -> np.ndarray:
        if tracked["thing"] is None:
            return tracked["drawn"]
        return part_of(self.clip.masks[frame][tracked["thing"]], tracked["part"])

    def thing_at(self, frame: int, x: float, y: float) -> int:
        for index, mask in enumerate(self.clip.masks[frame]):
            if mask[min(int(y), mask.shape[0] - 1), min(int(x), mask.shape[1] - 1)]:
                return index
        raise Refusal("nothing was found here: the mask would be empty; click on the thing itself")

    def jpeg(self, frame: int) -> bytes:
        if frame not in self.jpegs:
            _, encoded = cv2.imencode(".jpg", self.clip.frames[frame][..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
            self.jpegs[frame] = encoded.tobytes()
        return self.jpegs[frame]


def part_of(mask: np.ndarray, part: str) -> np.ndarray:
    if part == "whole" or not mask.any():
        return mask
    x, _, width, _ = cv2.boundingRect(mask.astype(np.uint8))
    if part == "half":
        half = mask.copy()
        half[:, x + width // 2 :] = False
        return half
    return cv2.dilate(mask.astype(np.uint8), np.ones((25, 25), np.uint8)).astype(bool)


class PlayedDesk(Backend):
    """Plays the scene. A click tracks the true mask under it, for as long as it lasts.

    Args:
        cameras: how many there are.
        slow: seconds until a prompt is answered.
        rate: images a second; 0: only `step` goes on.
    """

    network_requests = frozenset({"prompt"})

    def __init__(self, cameras: int = 1, slow: float = 0.05, rate: float = RATE, frames: int = 240) -> None:
        self.slow = slow
        self.rate = rate
        self.requests: list[Event] = []
        clip = demo_scene(frames)
        titles = ["front", "left", "arm", "rear"]
        self.cameras = {
            name: PlayedCamera(name, title, clip, 60 * index)
            for index, title in enumerate(titles[:cameras])
            for name in [f"/sam2/{title}" if cameras > 1 else "/sam2"]
        }
        self._watching: dict[Client, list[str]] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._play())

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()

    async def greet(self, client: Client) -> Event:
        self._watching[client] = []
        asyncio.get_running_loop().call_soon(client.send, self._cameras())
        return {"type": "hello", "mode": "live", "version": "0"}

    async def left(self, client: Client) -> None:
        self._watching.pop(client, None)

    async def handle(self, client: Client, request: Event) -> Event:
        self.requests.append(request)
        answer: Event = await getattr(self, f"_{request['type']}")(client, request)
        return answer

    async def _watch(self, client: Client, request: Event) -> Event:
        self._watching[client] = request["cameras"]
        for name in request["cameras"]:
            camera = self.cameras[name]
            client.send(self._presence(camera, camera.samples, whole=True))
        return {}

    async def _frame_at(self, client: Client, request: Event) -> Event:
        camera = self.cameras[request["camera"]]
        camera.at(request["stamp"])
        stamp, frame, objects = next(entry for entry in camera.history if entry[0] == request["stamp"])
        client.send_picture("history", self._picture(camera, stamp, frame, objects, "history"))
        return {}

    async def _prompt(self, client: Client, request: Event) -> Event:
        camera, prompt, stamp = self.cameras[request["camera"]], request["prompt"], request["stamp"]
        await asyncio.sleep(self.slow)
        prompt = {"label": "", "clicks": [], "box": None, "mask": None, "replace": False, **prompt}
        frame = camera.frame if stamp == "0" else camera.at(stamp)
        object_id = prompt["object_id"] or camera.next_id
        known = camera.objects.get(object_id)
        tracked = dict(known) if known else {"label": "", "part": "whole", "thing": None, "drawn": None}
        if prompt["clicks"] and (known is None or prompt["replace"]):
            click = prompt["clicks"][0]
            tracked.update(thing=camera.thing_at(frame, click["x"], click["y"]), part="whole")
        elif prompt["clicks"] and not prompt["clicks"][-1]["positive"]:
            tracked["part"] = "half"
        elif prompt["box"]:
            x, y, width, height = prompt["box"]
            tracked.update(thing=camera.thing_at(frame, x + width / 2, y + height / 2), part="whole")
        elif prompt["mask"]:
            self._take_mask(camera, tracked, frame, prompt["mask"])
        tracked["label"] = prompt["label"] or tracked["label"]
        camera.objects = {**camera.objects, object_id: tracked}
        camera.next_id = max(camera.next_id, object_id + 1)
        camera.marks.append({"stamp": stamp, "object_id": object_id, "kind": "correction" if known else "prompt"})
        return {"object_id": object_id, "stamp": stamp, "masklet": camera.masklet(object_id, tracked, frame)}

    def _take_mask(self, camera: PlayedCamera, tracked: dict[str, Any], frame: int, value: Event) -> None:
        """Finds the thing, or the part of it, that the mask shows most of."""
        mask = wire_mask.mask(value, camera.clip.frames[frame].shape[:2])
        options = [
            ((mask & shown).sum() / max((mask | shown).sum(), 1), thing, part)
            for thing, whole in enumerate(camera.clip.masks[frame])
            for part in ("whole", "half", "around")
            for shown in [part_of(whole, part)]
        ]
        _, tracked["thing"], tracked["part"] = max(options)

    async def _candidates(self, client: Client, request: Event) -> Event:
        camera, click = self.cameras[request["camera"]], request["prompt"]["clicks"][0]
        await asyncio.sleep(self.slow)
        frame = camera.at(request["stamp"])
        whole = camera.clip.masks[frame][camera.thing_at(frame, click["x"], click["y"])]
        found = []
        for part, iou in (("whole", 0.93), ("half", 0.81), ("around", 0.62)):
            mask = part_of(whole, part)
            box = [int(side) for side in cv2.boundingRect(mask.astype(np.uint8))]
            found.append({"iou": iou, "box": box, "mask": wire_mask.to_wire(mask)})
        return {"candidates": found}

    async def _everything(self, client: Client, request: Event) -> Event:
        camera = self.cameras[request["camera"]]
        await asyncio.sleep(4 * self.slow)
        frame = camera.at(request["stamp"])
        taken = {tracked["thing"]: object_id for object_id, tracked in camera.objects.items()}
        masklets = []
        for thing, mask in enumerate(camera.clip.masks[frame]):
            if not mask.any():
                continue
            object_id = taken.get(thing, 0)
            tracked = {"thing": thing, "part": "whole", "label": ""}
            if request["track"] and not object_id:
                object_id = camera.next_id
                camera.next_id += 1
                camera.objects = {**camera.objects, object_id: tracked}
                camera.marks.append({"stamp": request["stamp"], "object_id": object_id, "kind": "prompt"})
            masklets.append(camera.masklet(object_id, camera.objects.get(object_id, tracked), frame))
        return {"masklets": masklets, "message": f"{len(masklets)} masks"}

    async def _remove(self, client: Client, request: Event) -> Event:
        camera, object_id = self.cameras[request["camera"]], request["object_id"]
        if object_id not in camera.objects:
            raise Refusal(f"object {object_id} is not tracked")
        camera.objects = {known: tracked for known, tracked in camera.objects.items() if known != object_id}
        camera.marks.append({"stamp": camera.history[-1][0], "object_id": object_id, "kind": "removed"})
        return {}

    async def _reset(self, client: Client, request: Event) -> Event:
        self.cameras[request["camera"]].objects = {}
        return {}

    async def _pause(self, client: Client, request: Event) -> Event:
        self.cameras[request["camera"]].paused = True
        return {}

    async def _resume(self, client: Client, request: Event) -> Event:
        self.cameras[request["camera"]].paused = False
        return {}

    def _cameras(self) -> Event:
        return {
            "type": "cameras",
            "cameras": [
                {
                    "name": camera.name,
                    "title": camera.title,
                    "online": True,
                    "problem": None,
                    "rate": self.rate,
                    "latency_ms": 41.0,
                    "objects": len(camera.objects),
                }
                for camera in self.cameras.values()
            ],
        }

    def _presence(self, camera: PlayedCamera, samples: list[tuple[str, dict[int, float]]], whole: bool) -> Event:
        stamps = [stamp for stamp, _ in samples]
        return {
            "type": "presence",
            "camera": camera.name,
            "from": stamps[0] if stamps else None,
            "to": stamps[-1] if stamps else None,
            "samples": samples,
            "marks": camera.marks,
            "objects": [{"object_id": number, "label": tracked["label"]} for number, tracked in camera.objects.items()],
            "whole": whole,
        }

    def _picture(
        self, camera: PlayedCamera, stamp: str, frame: int, objects: Mapping[int, dict[str, Any]], key: str
    ) -> Picture:
        height, width = camera.clip.frames[frame].shape[:2]
        masklets = [camera.masklet(number, tracked, frame) for number, tracked in sorted(objects.items())]
        header = {
            "type": "frame",
            "key": key,
            "camera": camera.name,
            "stamp": stamp,
            "height": height,
            "width": width,
            "masklets": None if camera.paused else masklets,
            "published_ms": time.time() * 1000,
        }
        return Picture(header, camera.jpeg(frame))

    def step(self) -> None:
        """Every camera's next image, sent to those who watch it."""
        for camera in self.cameras.values():
            stamp = camera.step()
            watchers = [client for client, names in self._watching.items() if camera.name in names]
            picture = self._picture(camera, stamp, camera.frame, camera.objects, camera.name)
            for client in watchers:
                client.send_picture(camera.name, picture)
            if camera.frame % 5 == 0:
                self._tell(camera, stamp, picture.header["masklets"] or [], watchers)

    def _tell(self, camera: PlayedCamera, stamp: str, masklets: list[Event], watchers: list[Client]) -> None:
        last = int(camera.samples[-1][0]) if camera.samples else 0
        if int(stamp) - last < 500_000_000:
            return
        sample = (stamp, {masklet["object_id"]: masklet["presence"] for masklet in masklets})
        camera.samples.append(sample)
        for client in watchers:
            client.send(self._presence(camera, [sample], whole=False))
            client.send({"type": "history", "camera": camera.name, "stamps": [known for known, _, _ in camera.history]})

    async def _play(self) -> None:
        beat = 0
        while self.rate:
            self.step()
            beat += 1
            if beat % int(self.rate) == 0:
                for client in list(self._watching):
                    client.send(self._cameras(), "cameras")
            await asyncio.sleep(1 / self.rate)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cameras", type=int, default=1)
    parser.add_argument("--port", type=int, default=8700)
    parser.add_argument("--slow", type=float, default=0.15)
    options = parser.parse_args()
    server = Server(PlayedDesk(options.cameras, options.slow), port=options.port)
    server.run_forever(lambda: print(server.url, flush=True))


if __name__ == "__main__":
    main()
