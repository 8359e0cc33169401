"""The thread that owns the tracker: images and prompts go in, frames and answers come out."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np
import torch
from rclpy.impl.rcutils_logger import RcutilsLogger
from std_msgs.msg import Header

from sam2_ros import msg
from sam2_ros.data.image_message import ImageDecoder, ImageError
from sam2_ros.ros import masklets
from sam2_ros.ros.image_queue import Arrived, ImageQueue
from sam2_ros.ros.meter import Meter
from sam2_ros.ros.prompts import overlap
from sam2_ros.ros.stamps import nanoseconds
from sam2_ros.tracking.masklet import Frame
from sam2_ros.tracking.prompt import Prompt, PromptError
from sam2_ros.tracking.tracker import EncodedImage, Tracker

MAX_WAITING_PROMPTS = 64
"""Prompts that wait for their images at the same time, and as many proposals of detectors."""

LATE = 0.2
"""s; an image that is older than the newest by no more than this has come late, and time has not jumped."""

MAX_LATE = 10
"""Late images in a row; with one more, time has jumped after all."""

T = TypeVar("T")


class Listener(Protocol):
    """Who wants to hear of it. Called in the stream's thread."""

    def on_frame(self, frame: Frame, header: Header, image: np.ndarray) -> None:
        """An image was processed. `image` is uint8 [H, W, 3] RGB."""

    def on_answer(self, result: msg.PromptResult, prompt: Prompt) -> None:
        """A prompt was followed or refused."""

    def on_change(self, frame: Frame, header: Header, image: np.ndarray) -> None:
        """Objects on the newest frame have changed, and no newer image is at hand to show it."""


@dataclass(frozen=True)
class Proposal:
    """What becomes of a detection: it is dropped if its box overlaps a tracked object, or there is no room."""

    max_overlap: float
    """IoU up to which it is another object than those that are tracked."""
    forget_after: float = 0.0
    """s that the object may be away before it is removed; 0: for ever."""


@dataclass(frozen=True, eq=False)
class WaitingPrompt:
    """A prompt whose image may not have been processed yet."""

    header: Header
    prompt: Prompt
    stamp: int  # ns, of the image it was made on; 0: the newest, and none has come that is not processed
    since: float  # s, of the monotonic clock
    deadline: float  # s, likewise
    proposal: Proposal | None
    other_clock: bool  # the stamp may be of another clock than the images': if no image has it, the newest is meant
    answer: Future[msg.PromptResult] = field(default_factory=Future)


@dataclass
class Detected:
    """An object that a detector has proposed."""

    forget_after: float  # s
    seen: int  # ns, when it was present last


@dataclass(frozen=True, eq=False)
class Prepared:
    """An image up to where what is tracked comes in."""

    arrived: Arrived
    pixels: np.ndarray
    """uint8 [H, W, 3] RGB."""
    encoded: EncodedImage


class Stream:
    """Feeds the tracker, which is not thread-safe, from a thread of its own. All public methods may be called from any.

    An image is processed as soon as the one before it is done; with `encode_ahead` it is encoded before that. A prompt
    is followed once the image it was made on, or a newer one, has been processed; the masklets of that image then
    already hold it. Prompts wait for their image only for so long.
    """

    def __init__(
        self,
        tracker: Tracker,
        images: ImageQueue,
        meter: Meter,
        listener: Listener,
        log: RcutilsLogger,
        encode_ahead: bool = False,
        decoder: ImageDecoder | None = None,
    ) -> None:
        self._tracker = tracker
        self._images = images
        self._meter = meter
        self._listener = listener
        self._log = log
        self._decoder = decoder or ImageDecoder()

        self._lock = threading.Lock()  # guards what follows; the tracker and the rest belong to the thread alone
        self._news = threading.Condition(self._lock)
        self._something_new = False
        self._closed: str | None = "the node is not active; activate it first"
        self._stopped = False
        self._prompts: list[WaitingPrompt] = []
        self._calls: deque[Callable[[], None]] = deque()

        # It works with as many cores as the tracker: with fewer, an image's bits would depend on when it came.
        self._encoder = ThreadPoolExecutor(1, "encoder") if encode_ahead else None
        self._ahead: tuple[Arrived, Future[Prepared]] | None = None
        self._busy = False

        self._headers: dict[int, Header] = {}  # of the images in the tracker's history, by stamp
        self._detected: dict[int, Detected] = {}  # by object ID, until somebody else prompts it
        self._late = 0  # images in a row
        self._stepped = 0.0  # s of the monotonic clock: when an image was processed last
        self._newest_image: np.ndarray | None = None
        self._thread = threading.Thread(target=self._run, name="tracker", daemon=True)
        self._thread.start()

    def open(self) -> None:
        """From now on images and prompts are taken."""
        with self._lock:
            self._closed = None

    def close(self, reason: str) -> None:
        """From now on images are ignored and prompts refused with a reason. What is tracked stays."""
        with self._lock:
            self._closed = reason
            refused, self._prompts = self._prompts, []
            self._images.clear()
            self._ahead = None
        for waiting in refused:
            self._refuse(waiting, reason)

    def stop(self) -> None:
        """Ends the thread, after the image that is being processed."""
        self.close("the node is shutting down")
        with self._lock:
            self._stopped = True
        self._wake()
        self._thread.join()
        if self._encoder is not None:
            self._encoder.shutdown()
        for call in self._calls:  # somebody waits for their answers
            call()

    def put_image(self, image: Arrived) -> None:
        with self._lock:
            if self._closed:
                return
            dropped = self._images.put(image)
            self._encode_ahead()
            self._news.notify()
        self._meter.count("received")
        if dropped is not None:
            self._meter.count("dropped")
        if dropped is image:
            self._log.error(
                "An image is lost, because too many wait already: play more slowly, or let more wait (queue_size)",
                throttle_duration_sec=5.0,
            )

    def put_prompt(
        self,
        header: Header,
        prompt: Prompt,
        timeout: float,
        proposal: Proposal | None = None,
        other_clock: bool = False,
    ) -> Future[msg.PromptResult]:
        """Has a prompt followed; the answer comes in the future and to the listener.

        It is refused when no image with its stamp or a newer one comes within `timeout` seconds; with `other_clock`,
        such a stamp means the newest image. Without a stamp it belongs to the newest image that has come, also if older
        ones wait before it.

        A proposal that is dropped has its future cancelled. When too many wait, the oldest is dropped: a detector goes
        on proposing, and must not keep others from prompting.
        """
        now = time.monotonic()
        with self._lock:
            stamp = nanoseconds(header.stamp) or self._newest_coming() or 0
            waiting = WaitingPrompt(header, prompt, stamp, now, now + timeout, proposal, other_clock)
            reason = self._closed
            alike = [other for other in self._prompts if (other.proposal is None) == (proposal is None)]
            if reason is None and len(alike) >= MAX_WAITING_PROMPTS:
                if proposal is None:
                    reason = f"{len(alike)} prompts are waiting already; send fewer at once"
                else:
                    self._prompts.remove(alike[0])
                    self._drop(alike[0], "late")
            if reason is None:
                self._prompts.append(waiting)
        if reason is None:
            self._wake()
        else:
            self._refuse(waiting, reason)
        return waiting.answer

    def call(self, function: Callable[[Tracker], T]) -> Future[T]:
        """Has a function called with the tracker, between two images. Raises RuntimeError after `stop`."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(function(self._tracker))
            except Exception as error:
                future.set_exception(error)

        with self._lock:
            if self._stopped:
                raise RuntimeError("the node is shutting down")
            self._calls.append(run)
        self._wake()
        return future

    def header_of(self, stamp: int) -> Header:
        """The header of an image of the history. Only inside `call`."""
        return self._headers.get(stamp, Header())

    def _wake(self) -> None:
        with self._lock:
            self._something_new = True
            self._news.notify()

    def _run(self) -> None:
        while True:
            with self._lock:
                self._busy = False
                self._news.wait_for(lambda: self._something_new or self._has_images, self._patience())
                self._something_new = False
                if self._stopped:
                    return
                calls, self._calls = self._calls, deque()
            for call in calls:
                call()
            try:
                self._advance()
            except Exception as error:  # whatever it is, the next image is another chance
                if isinstance(error, torch.OutOfMemoryError):
                    torch.cuda.empty_cache()
                    error = RuntimeError("the GPU is out of memory; choose a smaller model or image")
                self._failed(error)

    def _failed(self, error: Exception) -> None:
        self._meter.count("failed")
        self._log.error(f"{type(error).__name__}: {error}", throttle_duration_sec=5.0)

    def _patience(self) -> float | None:
        """Seconds until the first waiting prompt gives up."""
        if not self._prompts:
            return None
        return max(0.0, min(waiting.deadline for waiting in self._prompts) - time.monotonic())

    def _advance(self) -> None:
        """Processes the next image, if there is one, and then the prompts that have waited for it."""
        started = time.monotonic()
        try:
            image = self._next()
            frame = self._see(image) if image is not None else None
        finally:  # whoever waits hears of it, also where images fail
            changed = self._follow_prompts()
        newest = self._tracker.newest
        if newest is None or self._newest_image is None:
            return
        if image is not None and frame is not None:
            self._listener.on_frame(newest, image.arrived.message.header, self._newest_image)
            now = time.monotonic()
            self._meter.frame_done(now - image.arrived.time, now - started)
        elif changed and not self._has_images:
            self._listener.on_change(newest, self.header_of(newest.stamp), self._newest_image)

    @property
    def _has_images(self) -> bool:
        return self._ahead is not None or len(self._images) > 0

    def _next(self) -> Prepared | None:
        """The next image, encoded; None when there is none, or it cannot be used."""
        with self._lock:
            ahead, self._ahead = self._ahead, None
            arrived = self._images.take() if ahead is None else None
            self._busy = ahead is not None or arrived is not None
        try:
            image = ahead[1].result() if ahead else self._prepare(arrived) if arrived else None
        except ImageError as error:
            self._meter.count("unreadable")
            self._log.error(f"Image skipped: {error}", throttle_duration_sec=5.0)
            return None
        with self._lock:
            self._encode_ahead()
        return image

    def _encode_ahead(self) -> None:
        """Begins with the next image, if it is there and another is still being processed. The lock is held."""
        if self._encoder is None or not self._busy or self._ahead is not None:
            return
        if (coming := self._images.take()) is not None:
            self._ahead = coming, self._encoder.submit(self._prepare, coming)

    def _prepare(self, arrived: Arrived) -> Prepared:
        pixels = self._decoder.to_rgb(arrived.message)
        return Prepared(arrived, pixels, self._tracker.encode(pixels))

    def _see(self, image: Prepared) -> Frame | None:
        """One step of the tracker; None when this image cannot be used."""
        newest, stamp = self._tracker.newest, image.arrived.stamp
        if newest is not None and stamp == newest.stamp:
            self._meter.count("repeated")
            self._log.warning("Image skipped: it has the same stamp as the one before it", throttle_duration_sec=5.0)
            return None
        if newest is not None and stamp < newest.stamp:
            back = (newest.stamp - stamp) / 1e9
            if back <= LATE and self._late < MAX_LATE:
                self._late += 1
                self._meter.count("late")
                self._log.warning(
                    f"Image skipped: it is {back:.3f} s older than one that came before", throttle_duration_sec=5.0
                )
                return None
            if self._is_between(stamp):
                self._put_right(stamp - 1)
            else:
                self._log.warning(
                    f"Time has jumped back by {back:.3f} s (a looped bag?): the tracker starts afresh and forgets"
                    f" {len(newest.masklets)} objects. Two cameras on one topic would do this with every image."
                )
                self._meter.count("time jumps")
                self._tracker.reset()
        frame = self._tracker.step(image.encoded, stamp)
        self._headers[stamp] = image.arrived.message.header
        self._headers = {stamp: self._headers[stamp] for stamp in self._tracker.stamps}
        self._newest_image = image.pixels
        self._late, self._stepped = 0, time.monotonic()
        self._let_go(frame)
        return frame

    def _is_between(self, stamp: int) -> bool:
        """Whether only the newest image has a later stamp: time has not jumped, but that one stamp is wrong."""
        stamps = self._tracker.stamps
        return len(stamps) > 1 and stamps[-2] < stamp - 1

    def _put_right(self, stamp: int) -> None:
        """Gives the newest image, whose stamp is wrong, this one, so that nothing has to be forgotten."""
        wrong = self._tracker.stamps[-1]
        self._log.warning(f"A stamp was wrong, {(wrong - stamp) / 1e9:.3f} s later than the image behind it allows")
        self._meter.count("wrong stamps")
        self._tracker.restamp(stamp)
        self._headers[stamp] = self._headers.pop(wrong)
        for detected in self._detected.values():
            detected.seen = min(detected.seen, stamp)

    def _let_go(self, frame: Frame) -> None:
        """Removes what a detector has found and what has been away for too long."""
        kept: dict[int, Detected] = {}
        for found in frame.masklets:
            if (detected := self._detected.get(found.object_id)) is None:
                continue
            if found.present:
                detected.seen = frame.stamp
            elif 0 < detected.forget_after < (away := (frame.stamp - detected.seen) / 1e9):
                self._log.info(f"Object {found.object_id} ({found.label}) was away for {away:.1f} s: it is let go")
                self._tracker.remove(found.object_id)
                continue
            kept[found.object_id] = detected
        self._detected = kept

    def _newest_coming(self) -> int | None:
        """The stamp of the newest image that has come and is not being processed. The lock is held."""
        stamp = self._images.newest_stamp
        return self._ahead[0].stamp if stamp is None and self._ahead is not None else stamp

    def _follow_prompts(self) -> bool:
        """Follows the prompts whose image has been processed, by stamp; refuses those that have waited for too long."""
        now, history = time.monotonic(), self._tracker.stamps
        ready, expired, waiting = [], [], []
        with self._lock:
            coming = self._newest_coming()
            jumps = bool(history) and coming is not None and history[-1] - coming > LATE * 1e9
            for prompt in self._prompts:
                in_vain = coming is None or coming < prompt.stamp
                if jumps and prompt.stamp <= coming and now < prompt.deadline:
                    waiting.append(prompt)  # for an image behind a jump of time, which is about to be processed
                elif history and (prompt.stamp <= history[-1] or (prompt.other_clock and in_vain)):
                    ready.append(prompt)
                elif now >= prompt.deadline and (in_vain or self._stepped < prompt.since):  # images may all fail
                    expired.append(prompt)
                else:
                    waiting.append(prompt)
            self._prompts = waiting
        for prompt in expired:
            if not history:
                self._refuse(prompt, "no image has been processed yet; prompt once images arrive")
            else:
                ahead = (prompt.stamp - history[-1]) / 1e9
                self._refuse(
                    prompt,
                    f"no image with this stamp or a newer one could be processed: it is {ahead:.3f} s ahead of the"
                    " newest image. Use the stamp of an image (0: the newest)",
                )
        changed = False
        frames: dict[int, Frame] = {}  # what is known of the prompted images, until an object changes
        for prompt in sorted(ready, key=lambda ready: ready.stamp or history[-1]):
            if self._follow(prompt, frames):
                changed = True
                frames.clear()
        return changed

    def _follow(self, waiting: WaitingPrompt, frames: dict[int, Frame]) -> bool:
        stamps, stamp = self._tracker.stamps, waiting.stamp
        if waiting.other_clock and not stamps[0] <= stamp <= stamps[-1]:
            stamp = 0
        try:
            if stamp not in frames:
                frames[stamp] = self._tracker.frame_at(stamp or None)
            before = frames[stamp]
            prompt = waiting.prompt.checked(before.height, before.width)
            if waiting.proposal is not None and not self._is_wanted(waiting, prompt, before):
                return False
            masklet = self._tracker.prompt(prompt, before.stamp)
        except PromptError as error:
            self._refuse(waiting, str(error))
            return False
        except Exception as error:
            self._failed(error)
            self._refuse(waiting, f"this went wrong inside: {type(error).__name__}: {error}")
            return False
        if waiting.proposal is None:
            self._detected.pop(masklet.object_id, None)
        else:
            self._detected[masklet.object_id] = Detected(waiting.proposal.forget_after, before.stamp)
        result = msg.PromptResult(
            header=self.header_of(before.stamp),
            object_id=masklet.object_id,
            accepted=True,
            masklet=masklets.to_message(masklet),
        )
        self._answer(waiting, result, prompt)
        return True

    def _is_wanted(self, waiting: WaitingPrompt, prompt: Prompt, frame: Frame) -> bool:
        """Whether a detection is none of the tracked objects, and there is room for it; else it is dropped."""
        box, limit = prompt.box, waiting.proposal.max_overlap
        if any(overlap(box, masklet.box) > limit for masklet in frame.masklets if masklet.present):
            self._drop(waiting, "known")
            return False
        if len(self._tracker.labels) >= self._tracker.max_objects:
            self._drop(waiting, "without room")
            self._log.warning(
                f"A detection ({waiting.prompt.label}) is not followed: {self._tracker.max_objects} objects are tracked"
                " already. Raise max_objects, remove some, or set detection_forget_after",
                throttle_duration_sec=30.0,
            )
            return False
        return True

    def _drop(self, waiting: WaitingPrompt, why: str) -> None:
        self._meter.count(f"detections {why}")
        waiting.answer.cancel()

    def _refuse(self, waiting: WaitingPrompt, reason: str) -> None:
        if waiting.proposal is None:
            self._log.warning(f"Prompt refused: {reason}")
        else:  # a detector may be wrong about every image
            self._log.warning(f"Detection refused: {reason}", throttle_duration_sec=5.0)
        result = msg.PromptResult(header=waiting.header, object_id=waiting.prompt.object_id, message=reason)
        self._answer(waiting, result, waiting.prompt)

    def _answer(self, waiting: WaitingPrompt, result: msg.PromptResult, prompt: Prompt) -> None:
        self._meter.count("prompts accepted" if result.accepted else "prompts refused")
        try:
            self._listener.on_answer(result, prompt)
        except Exception as error:  # others wait behind this one
            self._failed(error)
        waiting.answer.set_result(result)
