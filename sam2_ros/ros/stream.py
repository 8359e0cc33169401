"""The thread that owns the tracker: images and prompts go in, frames and answers come out."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch
from std_msgs.msg import Header

from sam2_ros import msg
from sam2_ros.data.image_message import ImageDecoder, ImageError
from sam2_ros.ros import masklets
from sam2_ros.ros.history import History, Seen
from sam2_ros.ros.image_queue import Arrived, ImageQueue
from sam2_ros.ros.log import Log
from sam2_ros.ros.meter import Meter
from sam2_ros.ros.prompt_queue import Order, PromptQueue, Proposal, Source, WaitingPrompt
from sam2_ros.ros.prompts import overlap, refused
from sam2_ros.ros.stamps import nanoseconds
from sam2_ros.ros.timeline import LATE, LEAP, Fit, Jump, Timeline, joined
from sam2_ros.tracking.masklet import Frame
from sam2_ros.tracking.prompt import Box, Prompt, PromptError
from sam2_ros.tracking.tracker import EncodedImage, Tracker

AT_ONCE = 16
"""Prompts that are followed between two images where images wait, and only the newest counts."""

FASTEST = 10
"""How many times faster than it was recorded a bag may be played, for prompts that are sent before their images."""

STRAY_PATIENCE = 1.0
"""s that prompts wait for the images which show whether time has jumped."""

SKIPPED = {
    Fit.REPEATED: ("repeated", "it has the same stamp as the one before it"),
    Fit.LATE: ("late", "it is {back:.3f} s older than one that came before"),
    Fit.STRAY: (
        "",
        "its stamp is {back:.3f} s from that of the newest. Unless those behind it agree that time has jumped, there"
        " are wrong stamps, or two cameras on one topic. To begin anew, call ~/reset",
    ),
}
"""What is counted and said of images that are skipped."""

ANYBODY = Source()

T = TypeVar("T")


class Listener(Protocol):
    """Who wants to hear of it. Called in the stream's thread."""

    def on_frame(self, frame: Frame, header: Header, image: np.ndarray) -> None:
        """An image was processed. `image` is uint8 [H, W, 3] RGB."""

    def on_answer(self, result: msg.PromptResult, prompt: Prompt) -> None:
        """A prompt was followed or refused. What is refused at once is said in the thread of whoever prompts."""

    def on_change(self, frame: Frame, header: Header, image: np.ndarray) -> None:
        """Objects on the newest frame have changed, and no newer image is at hand to show it."""


@dataclass
class Detected:
    """An object that a detector has proposed."""

    forget_after: float  # s
    seen: int  # ns, when it was present last
    box: Box  # of the detection
    proposed: int  # ns, stamp of the image that it was detected on


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
    already hold it. Prompts wait for their image only for so long. What can be refused without the network is refused
    at once, in the thread of whoever prompts.

    Args:
        encode_ahead: begin with the next image while objects are looked for in this one.
        keep_over_jumps: what is tracked stays also where time jumps back.
        decoder: of image messages; None: with its defaults.
    """

    def __init__(
        self,
        tracker: Tracker,
        images: ImageQueue,
        meter: Meter,
        listener: Listener,
        log: Log,
        encode_ahead: bool = False,
        keep_over_jumps: bool = False,
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
        self._prompts = PromptQueue()
        self._history = History(max_objects=tracker.max_objects)
        self._calls: deque[Callable[[], None]] = deque()
        self._timeline: Timeline[Prepared] = Timeline(keep_over_jumps)
        self._strayed = 0.0  # s of the monotonic clock: when an image was held back last
        self._another_fits = False  # an image has come since that follows those that were processed
        self._admitted: deque[Prepared] = deque()  # whose stamps were found right, to be processed in this order

        # It works with as many cores as the tracker: with fewer, an image's bits would depend on when it came.
        self._encoder = ThreadPoolExecutor(1, "encoder") if encode_ahead else None
        self._ahead: tuple[Arrived, Future[Prepared]] | None = None
        self._busy = False

        self._detected: dict[int, Detected] = {}  # by object ID, until somebody else prompts it
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
            in_vain = self._prompts.clear()
            self._images.clear()
            self._ahead = None
            self._admitted.clear()
        for waiting in in_vain:
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
            self._another_fits |= self._timeline.fits(image.stamp)
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
        source: Source = ANYBODY,
        order: Order | None = None,
    ) -> Future[msg.PromptResult]:
        """Has a prompt followed; the answer comes in the future and to the listener.

        It is refused when no image with its stamp or a newer one comes within `timeout` seconds; where the source has
        another clock, such a stamp means the newest image. Without a stamp it belongs to the newest image that has
        come, also if older ones wait before it. What needs no network to be refused is refused before this returns, but
        for prompts of one message, `order`, before which others have their turn.

        A proposal that is dropped has its future cancelled. When too many wait, it is the new one: a detector goes on
        proposing, and those that wait would never have their turn.
        """
        now, stamp = time.monotonic(), nanoseconds(header.stamp)
        with self._lock:
            coming = self._newest_coming()
            unstamped = stamp == 0 or (source.other_clock and self._is_none_of_ours(stamp, coming))
            stamp = (coming or 0) if unstamped else stamp
            waiting = WaitingPrompt(header, prompt, stamp, unstamped, now, now + timeout, source, proposal)
            reason = self._closed
            history, newest, jumps = self._history, self._newest(), bool(self._behind())
        if reason is None:
            reason = self._why_not(waiting, history, newest, jumps)
        order, loser = order or Order(), None
        if reason is not None:
            order.then(lambda: self._refuse(waiting, reason))
            return waiting.answer
        with self._lock:
            reason = self._closed or self._no_room(waiting, newest, jumps)
            loser = self._prompts.put(waiting, newest) if reason is None else None
        if reason is not None:
            order.then(lambda: self._refuse(waiting, reason))
        elif loser is None or loser is not waiting:
            if history.stamps and stamp <= history.stamps[-1]:
                order.asked(waiting.answer)
            self._wake()
        if loser is not None and loser.proposal is not None:
            self._drop(loser, "in excess")
        elif loser is not None:
            self._refuse(loser, self._crowd(source))
        return waiting.answer

    @staticmethod
    def _crowd(source: Source) -> str:
        return f"{source.places} prompts of {source.name} are waiting already; send fewer at once, or for nearer images"

    def _is_none_of_ours(self, stamp: int, coming: int | None) -> bool:
        """Whether no image that has come can have this stamp. The lock is held."""
        known = self._history.stamps
        if self._history.find(stamp) is not None:
            return False
        return stamp < 0 or (bool(known) and not known[0] <= stamp <= (known[-1] if coming is None else coming))

    def _why_not(self, waiting: WaitingPrompt, history: History, newest: int | None, jumps: bool) -> str | None:
        """Why a prompt is refused without asking the tracker; None: it has to be asked.

        Args:
            newest: stamp of the newest image that has come.
            jumps: whether images wait that will change the history.
        """
        stamp = waiting.stamp
        found = history.find(stamp) is not None
        if not found and not waiting.source.other_clock and not waiting.unstamped:
            if stamp < 0:
                return f"a stamp of {stamp / 1e9:.3f} s is none of an image; use the stamp of an image (0: the newest)"
            if (reason := self._hopeless(waiting, newest)) is not None:
                return reason
            if not jumps and (reason := history.too_old(stamp)) is not None:
                return reason
        if stamp == 0 and history.frames:
            stamp = history.stamps[-1]
        in_history = found or (bool(history.frames) and history.stamps[0] <= stamp <= history.stamps[-1])
        try:
            waiting.prompt = history.checked(waiting.prompt, stamp if in_history and not jumps else None)
        except PromptError as error:
            return str(error)
        return None

    def _hopeless(self, waiting: WaitingPrompt, newest: int | None) -> str | None:
        """Why no image with a prompt's stamp will come in time; None: it may."""
        if newest is None or waiting.source.other_clock or waiting.unstamped:
            return None
        if waiting.stamp - newest > 1e9 * (1 + FASTEST * (waiting.deadline - waiting.since)):
            return self._ahead_of(waiting.stamp, newest)
        return None

    def _ahead_of(self, stamp: int, newest: int) -> str:
        return (
            f"no image with this stamp or a newer one could be processed: it is {(stamp - newest) / 1e9:.3f} s ahead of"
            " the newest image. Use the stamp of an image (0: the newest)"
        )

    def _no_room(self, waiting: WaitingPrompt, newest: int | None, jumps: bool) -> str | None:
        """Why there is no room for one more object; None: there may be. The lock is held."""
        known, limit = self._history.object_ids, self._history.max_objects
        if waiting.proposal is not None or newest is None or jumps or waiting.stamp > newest:
            return None
        if self._prompts.has_room(waiting, newest, known, limit):
            return None
        return f"the limit of tracked objects ({limit}) is reached; remove one first"

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

    def reset(self) -> Future[int]:
        """Has everything forgotten; how many objects that were. The next image may have any stamp."""

        def reset(tracker: Tracker) -> int:
            count = len(tracker.labels)
            tracker.reset()
            self._detected = {}
            with self._lock:
                self._admitted = deque(image for _, image in self._timeline.reset())
            return count

        return self.call(reset)

    @property
    def objects(self) -> int:
        """How many objects are tracked."""
        return len(self._history.object_ids)

    def header_of(self, stamp: int) -> Header:
        """The header of an image of the history. Only inside `call`."""
        return self._history.frames[stamp].header if stamp in self._history.frames else Header()

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
            self._serve_calls()
            try:
                self._advance()
            except Exception as error:  # whatever it is, the next image is another chance
                if isinstance(error, torch.OutOfMemoryError):
                    torch.cuda.empty_cache()
                    error = RuntimeError("the GPU is out of memory; choose a smaller model or image")
                self._failed(error)

    def _serve_calls(self) -> bool:
        """Whether there were any: then the tracker may have changed."""
        with self._lock:
            calls, self._calls = self._calls, deque()
        for call in calls:
            call()
        if calls:
            self._take_stock()
        return bool(calls)

    def _failed(self, error: Exception) -> None:
        self._meter.count("failed")
        self._log.error(f"{type(error).__name__}: {error}", throttle_duration_sec=5.0)

    def _patience(self) -> float | None:
        """Seconds until the first waiting prompt gives up, or does not wait for a jump of time any more."""
        if not self._prompts:
            return None
        now, until = time.monotonic(), min(waiting.deadline for waiting in self._prompts)
        if self._timeline.held and (undecided := self._strayed + STRAY_PATIENCE) > now:
            until = min(until, undecided)
        return max(0.0, until - now)

    def _advance(self) -> None:
        """Processes the next image, if there is one, and then the prompts that have waited for it."""
        started = time.monotonic()
        try:
            image = self._admit()
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
        return self._ahead is not None or len(self._images) > 0 or len(self._admitted) > 0

    def _admit(self) -> Prepared | None:
        """The next image that is to be processed; None when there is none now."""
        with self._lock:
            if self._admitted:
                return self._admitted.popleft()
        if (image := self._next()) is None:
            return None
        stamp = image.arrived.stamp
        with self._lock:
            newest = self._timeline.newest
            in_a_row = self._images.keeps_all or not self._another_fits
            admitted = self._timeline.add(stamp, image, in_a_row)
            if admitted.fit is Fit.STRAY:
                self._strayed, self._another_fits = time.monotonic(), False
        if admitted.given_up:
            self._meter.count("stray", admitted.given_up)
        if admitted.fit is not Fit.NEXT:
            counted, why = SKIPPED[admitted.fit]
            if counted:
                self._meter.count(counted)
            line = "Image skipped: " + why.format(back=abs((newest or 0) - stamp) / 1e9)
            self._log.warning(line, throttle_duration_sec=10.0, kind=admitted.fit.value)
            return None
        if admitted.jump is not None:
            self._jump(admitted.images[0][0], admitted.jump)
        with self._lock:
            self._another_fits = False
            self._admitted.extend(image for _, image in admitted.images[1:])
        return admitted.images[0][1]

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

    def _see(self, image: Prepared) -> Frame:
        """One step of the tracker."""
        stamp, stamps = image.arrived.stamp, self._tracker.stamps
        if stamps and stamps[-1] >= stamp:  # those between have failed
            self._restamp(stamp, Jump(stamps[-1] - stamp))
        frame = self._tracker.step(image.encoded, stamp)
        height, width = image.pixels.shape[:2]
        self._take_stock({stamp: Seen(image.arrived.message.header, height, width)})
        self._newest_image = image.pixels
        self._stepped = time.monotonic()
        # Nobody was away while there were no images, or while a stamp was wrong.
        if len(stamps) > 1 and stamp - stamps[-1] > max(LEAP, 5 * (stamps[-1] - stamps[-2])):
            for detected in self._detected.values():
                detected.seen += stamp - stamps[-1]
        self._let_go(frame)
        return frame

    def _take_stock(self, seen: dict[int, Seen] | None = None) -> None:
        """What the tracker knows now, for those who must not wait for it; with the images that are new to it."""
        frames = {**self._history.frames, **(seen or {})}
        known = {stamp: frames[stamp] for stamp in self._tracker.stamps if stamp in frames}
        history = History(known, frozenset(self._tracker.labels), self._tracker.max_objects)
        with self._lock:
            self._history = history

    def _jump(self, first: int, jump: Jump) -> None:
        """Time has jumped to the stamp of the image that is next."""
        self._meter.count("wrong stamps" if jump.corrects else "time jumps")
        newest = self._tracker.newest
        if newest is None:
            return
        if jump.forget:
            self._log.warning(
                f"Time has jumped back by {jump.back / 1e9:.3f} s (a looped bag?): the tracker starts afresh and"
                f" forgets {len(newest.masklets)} objects. To keep them, set time_jump to keep",
                throttle_duration_sec=5.0,
            )
            self._tracker.reset()
            self._detected = {}
            self._take_stock()
        elif newest.stamp >= first:
            self._restamp(first, jump)

    def _restamp(self, first: int, jump: Jump) -> None:
        """Gives the frames of the history stamps before the next image's, so that nothing has to be forgotten."""
        before = self._tracker.stamps
        moved = joined(before, first, jump)
        if not moved or (len(moved) < len(before) and before[-len(moved) - 1] >= moved[0]):
            moved = joined(before, first, Jump(jump.back))
        self._tracker.restamp(*moved)
        frames = dict(zip(self._tracker.stamps, map(self._history.frames.__getitem__, before), strict=True))
        self._take_stock(frames)
        back = (before[-1] - first) / 1e9
        if jump.corrects:
            self._log.warning(
                f"Stamps were wrong, the newest by {back:.3f} s, as the image behind it shows; what is tracked stays",
                throttle_duration_sec=5.0,
            )
            for detected in self._detected.values():
                detected.seen = min(detected.seen, moved[-1])
            return
        self._log.warning(f"The clock went back by {back:.3f} s; what is tracked stays", throttle_duration_sec=5.0)
        shift = moved[-1] - before[-1]
        for detected in self._detected.values():
            detected.seen += shift
        with self._lock:  # those whose images would have been next
            for waiting in self._prompts:
                if waiting.stamp > before[-1]:
                    waiting.stamp += shift

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
        if len(kept) < len(self._detected):
            self._take_stock()
        self._detected = kept

    def _newest_coming(self) -> int | None:
        """The stamp of the newest image that has come and is not being processed. The lock is held."""
        coming = self._held() or self._coming()
        return coming[-1] if coming else None

    def _newest(self) -> int | None:
        """The newest stamp of all images so far. The lock is held."""
        return max((*self._history.stamps[-1:], *self._held(), *self._coming()[-1:]), default=None)

    def _coming(self) -> tuple[int, ...]:
        """The stamps of images that have come and are not being processed, in order. The lock is held."""
        ahead = [self._ahead[0].stamp] if self._ahead is not None else []
        admitted = [image.arrived.stamp for image in self._admitted]
        return (*admitted, *ahead, *(image.stamp for image in self._images.waiting()))

    def _held(self) -> tuple[int, ...]:
        """The stamps of those images that may mean that time has jumped. The lock is held."""
        return self._timeline.held if time.monotonic() < self._strayed + STRAY_PATIENCE else ()

    def _behind(self) -> tuple[int, ...]:
        """The stamps of images behind a jump of time, where one is ahead. The lock is held."""
        coming, history = self._coming(), self._history.stamps
        if not history:
            return ()
        back = [stamp for stamp in coming if history[-1] - stamp > LATE]
        return (*self._held(), *back)

    def _follow_prompts(self) -> bool:
        """Follows the prompts whose image has been processed, by stamp; refuses those that have waited for too long."""
        if not self._prompts:
            return False
        now, history = time.monotonic(), self._history
        stamps = history.stamps
        ready, expired = [], []
        with self._lock:
            newest, coming, jumps = self._newest(), self._newest_coming(), self._behind()
            for waiting in self._prompts:
                stamp = waiting.stamp
                in_vain = coming is None or coming < stamp
                if jumps and stamps and now < waiting.deadline and self._is_behind(stamp, jumps):
                    continue  # its image is about to be processed
                loose = in_vain and (waiting.source.other_clock or waiting.unstamped)
                fail = now >= waiting.deadline and (in_vain or self._stepped < waiting.since)  # images may all fail
                if stamps and (loose or stamp <= stamps[-1] or history.find(stamp) is not None):
                    ready.append(waiting)
                elif fail or (stamps and self._hopeless(waiting, newest) is not None):
                    expired.append(waiting)
            for waiting in expired:
                self._prompts.remove(waiting)
        for waiting in expired:
            if not stamps:
                self._refuse(waiting, "no image has been processed yet; prompt once images arrive")
            else:
                self._refuse(waiting, self._ahead_of(waiting.stamp, stamps[-1]))
        return self._follow_in_order(sorted(ready, key=lambda one: one.stamp or stamps[-1]))

    def _somebody_waits(self) -> bool:
        """Whether a prompt that is no detection could be followed now. The lock is held."""
        newest = next(reversed(self._history.frames), 0)
        return any(one.proposal is None and one.stamp <= newest for one in self._prompts)

    def _is_behind(self, stamp: int, jumps: tuple[int, ...]) -> bool:
        """Whether a prompt is for an image behind a jump of time, and not for one of the history."""
        if stamp in jumps:
            return True
        if self._history.find(stamp) is not None:
            return False
        return jumps[0] <= stamp <= jumps[-1] or stamp < self._history.stamps[0]

    def _follow_in_order(self, ready: list[WaitingPrompt]) -> bool:
        """Whether something has changed. Those for whom there is no time before the next image stay in the queue."""
        limit, live = len(ready), not self._images.keeps_all
        if live:  # somebody waits for an answer, a detector does not
            ready = sorted(ready, key=lambda one: one.proposal is not None)
        if live and limit > AT_ONCE:
            ready, limit = in_turn(ready), AT_ONCE
        followed = 0
        frames: dict[int, Frame] = {}  # what is known of the prompted images, until an object changes
        for waiting in ready:
            if followed >= limit and self._has_images:
                break
            if self._serve_calls():  # who asks need not wait for all the others
                frames.clear()
                if not self._history.frames:
                    break
            with self._lock:
                if live and waiting.proposal is not None and self._somebody_waits():
                    self._something_new = True
                    break
                if not self._prompts.take(waiting):
                    continue  # refused, because the node was deactivated
            if self._follow(waiting, frames):
                followed += 1
                frames.clear()
                self._take_stock()
            with self._lock:
                self._prompts.done()
        return followed > 0

    def _follow(self, waiting: WaitingPrompt, frames: dict[int, Frame]) -> bool:
        try:
            stamp = self._meant(waiting)
            if stamp not in frames:
                frames[stamp] = self._frame_at(stamp)
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
            forget_after = waiting.proposal.forget_after
            self._detected[masklet.object_id] = Detected(forget_after, before.stamp, prompt.box, before.stamp)
        result = msg.PromptResult(
            header=self.header_of(before.stamp),
            object_id=masklet.object_id,
            accepted=True,
            masklet=masklets.to_message(masklet),
        )
        self._answer(waiting, result, prompt)
        return True

    def _meant(self, waiting: WaitingPrompt) -> int:
        """The tracker's stamp for the image that a prompt was made on; 0: the newest."""
        stamps, stamp = self._tracker.stamps, waiting.stamp
        known = self._history.find(stamp) if stamp else None
        if known is not None:
            return known
        if waiting.unstamped or (waiting.source.other_clock and not stamps[0] <= stamp <= stamps[-1]):
            return 0
        return stamp

    def _frame_at(self, stamp: int) -> Frame:
        newest = self._tracker.newest
        if newest is not None and stamp in (0, newest.stamp):
            return newest
        return self._tracker.frame_at(stamp or None)

    def _is_wanted(self, waiting: WaitingPrompt, prompt: Prompt, frame: Frame) -> bool:
        """Whether a detection is none of the tracked objects, and there is room for it; else it is dropped."""
        box, limit = prompt.box, waiting.proposal.max_overlap
        # Beside the masks, the boxes of this image that were followed: a detector may box one thing twice.
        known = [masklet.box for masklet in frame.masklets if masklet.present]
        known += [detected.box for detected in self._detected.values() if detected.proposed == frame.stamp]
        if any(overlap(box, other) > limit for other in known):
            self._drop(waiting, "known")
            return False
        if len(self._tracker.labels) >= self._tracker.max_objects:
            self._drop(waiting, "without room")
            return False
        return True

    def _drop(self, waiting: WaitingPrompt, why: str) -> None:
        self._meter.count(f"detections {why}")
        waiting.answer.cancel()

    def _refuse(self, waiting: WaitingPrompt, reason: str) -> None:
        kind = "Prompt" if waiting.proposal is None else "Detection"
        self._log.warning(f"{kind} refused: {reason}", throttle_duration_sec=2.0)
        result = refused(waiting.header, waiting.prompt.object_id, reason)
        self._answer(waiting, result, waiting.prompt)

    def _answer(self, waiting: WaitingPrompt, result: msg.PromptResult, prompt: Prompt) -> None:
        kind = "prompts" if waiting.proposal is None else "detections"
        self._meter.count(f"{kind} accepted" if result.accepted else f"{kind} refused")
        try:
            self._listener.on_answer(result, prompt)
        except Exception as error:  # others wait behind this one
            self._failed(error)
        waiting.answer.set_result(result)


def in_turn(waiting: list[WaitingPrompt]) -> list[WaitingPrompt]:
    """One of each source in turn."""
    before: Counter[str] = Counter()
    turns = []
    for one in waiting:
        turns.append(before[one.source.name])
        before[one.source.name] += 1
    return [one for _, one in sorted(zip(turns, waiting, strict=True), key=lambda pair: pair[0])]
