"""The thread that owns the tracker: images and prompts go in, frames and answers come out."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

import torch
from std_msgs.msg import Header

from sam2_ros import msg
from sam2_ros.data.image_message import ImageDecoder, ImageError
from sam2_ros.detection.policy import Detection
from sam2_ros.detection.settings import DetectionSettings
from sam2_ros.ros.answer_order import AnswerOrder
from sam2_ros.ros.call_queue import CallQueue
from sam2_ros.ros.excerpt import excerpt
from sam2_ros.ros.image_pipeline import ImagePipeline, PreparedImage
from sam2_ros.ros.image_queue import ArrivedImage, ImageQueue
from sam2_ros.ros.image_stamps import ImageStamps
from sam2_ros.ros.listener import Listener
from sam2_ros.ros.log import Log
from sam2_ros.ros.meter import Meter
from sam2_ros.ros.problems import lost_gpu
from sam2_ros.ros.prompt_answers import SHUTTING_DOWN, PromptAnswers
from sam2_ros.ros.prompt_applier import PromptApplier
from sam2_ros.ros.prompt_queue import PromptQueue
from sam2_ros.ros.prompt_schedule import Turn, expiry, object_limit, refusal, round_robin, target_stamp, turn
from sam2_ros.ros.resume_file import KeptObjects
from sam2_ros.ros.stamp_gate import StampGate
from sam2_ros.ros.stamps import nanoseconds
from sam2_ros.ros.tracked_image import TrackedImage
from sam2_ros.ros.tracking_session import TrackingSession
from sam2_ros.ros.waiting_prompt import Proposal, Source, WaitingDetections, WaitingPrompt
from sam2_ros.system.lost_device import loss_of_device
from sam2_ros.tracking.encoded_image import EncodedImage
from sam2_ros.tracking.history import HistoryFrame
from sam2_ros.tracking.prompt import Prompt
from sam2_ros.tracking.tracker import Tracker

MAX_PROMPTS_BETWEEN_IMAGES = 16
"""Maximum number of prompts applied between two images if images are waiting and only the newest is processed."""

PAUSED = "the node is paused; call ~/resume first"

DEFAULT_SOURCE = Source()

T = TypeVar("T")


class Stream:
    """Feeds the tracker, which is not thread-safe, from a thread of its own. All public methods may be called from any.

    An image is processed as soon as the one before it is done; with `encode_ahead` it is encoded before that. A prompt
    is applied once its image, or a newer one, has been processed; the masklets of that image then already hold its
    object. Prompts wait for their image until a timeout. A prompt that can be refused without the network is refused at
    once, in the thread of the caller.

    Args:
        encode_ahead: encode the next image while objects are tracked on this one.
        keep_over_jumps: keep the tracked objects also if time jumps back.
        decoder: decodes image messages; None: a decoder with defaults.
        kept: objects of an earlier process to begin with; None: `kept` has nothing to say about this one's.
        on_lost: called once, in the stream's thread, with the reason, if the GPU is lost to this process.
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
        kept: KeptObjects | None = None,
        on_lost: Callable[[str], None] | None = None,
    ) -> None:
        self._on_lost = on_lost
        self._meter = meter
        self._listener = listener
        self._log = log
        self._images = images

        self._pipeline = ImagePipeline(images, decoder or ImageDecoder(), tracker.encode, encode_ahead)
        self._gate: StampGate[PreparedImage] = StampGate(meter, log, keep_over_jumps)
        self._calls: CallQueue[Tracker] = CallQueue()
        self._answers = PromptAnswers(meter, log, listener, self._report)
        # Only for the stream's thread.
        self._session = TrackingSession(tracker, meter, log, self._shift_prompts, kept)
        self._applier = PromptApplier(self._session, self._answers, self._report)

        self._lock = threading.Lock()  # guards the attributes below
        self._wake_up = threading.Condition(self._lock)
        self._prompts = PromptQueue()
        self._woken = False
        self._closed: str | None = "the node is not active; activate it first"
        self._paused = False
        self._stopped = False
        self._lost: str | None = None
        self._given_up = threading.Event()
        self._busy_since: float | None = None  # s of the monotonic clock
        self._thread = threading.Thread(target=self._run, name="tracker", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> str | None:
        """Why the GPU cannot be used any more by this process; None: it can. If lost, nothing is accepted."""
        return self._lost

    @property
    def busy(self) -> float:
        """Seconds for which the thread has worked on an image and the prompts behind it; 0: it waits."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def open(self) -> None:
        """Accept images and prompts from now on, unless the GPU is lost."""
        with self._lock:
            self._closed = self._lost

    def close(self, reason: str) -> None:
        """Ignore images from now on, and refuse prompts with a reason. Tracked objects stay."""
        with self._lock:
            self._closed = reason = self._lost or reason
        self._clear(reason)

    @property
    def closed(self) -> str | None:
        """The reason of `close`; None: the stream is open."""
        with self._lock:
            return self._closed

    def pause(self) -> Future[int]:
        """Compute nothing until `resume`: ignore images, and refuse prompts. Independent of `close` and `open`.

        The result, once the image in work is done, is the number of objects, which stay.
        """
        with self._lock:
            self._paused = True
        self._clear(PAUSED)
        return self.call(lambda tracker: len(tracker.labels))

    def resume(self) -> Future[int]:
        """Go on after `pause`; the result is the number of objects. The time between is not an absence of objects."""

        def resume(tracker: Tracker) -> int:
            if self.paused:
                self._session.note_pause()
            with self._lock:
                self._paused = False
            return len(tracker.labels)

        return self.call(resume)

    @property
    def paused(self) -> bool:
        with self._lock:
            return self._paused

    def _clear(self, reason: str) -> None:
        """Drop waiting images, and refuse waiting prompts."""
        with self._lock:
            refused = self._prompts.clear()
            self._pipeline.clear()
            self._gate.clear()
        for waiting in refused:
            self._answers.refuse(waiting, reason)

    def stop(self) -> None:
        """End the thread, after the image that is being processed."""
        self.close(SHUTTING_DOWN)
        self._calls.close(SHUTTING_DOWN)
        with self._lock:
            self._stopped = True
        self._wake()
        self._thread.join()
        self._pipeline.close()
        self._calls.run(self._session.tracker)  # their callers wait for the results

    def put_image(self, image: ArrivedImage) -> None:
        """Add an image. If only the newest is processed, it replaces the waiting one."""
        with self._lock:
            if self._closed or self._paused:
                return
            self._gate.announce(image.stamp)
            dropped = self._pipeline.put(image)
            self._wake_up.notify()
        self._meter.arrived()
        if dropped is not None:
            self._meter.count("dropped")
        if dropped is image:
            self._log.error(
                "An image is lost, because the queue is full: play more slowly, or set a larger queue_size",
                throttle_duration_sec=5.0,
            )

    def put_prompt(
        self,
        header: Header,
        prompt: Prompt,
        timeout: float,
        proposal: Proposal | None = None,
        source: Source = DEFAULT_SOURCE,
        order: AnswerOrder | None = None,
    ) -> Future[msg.PromptResult]:
        """Queue a prompt; the future and the listener get the answer.

        The prompt is refused if no image with its stamp or a newer one arrives within `timeout` seconds; if the source
        has another clock, such a stamp means the newest image. Without a stamp it belongs to the newest image that has
        arrived, even if older ones wait before it. A prompt that can be refused without the network is refused before
        this returns, except that answers to the prompts of one message, `order`, wait for earlier ones.

        The future of a dropped detection is cancelled. If too many wait, the new one is dropped: otherwise a detector
        that goes on would keep the waiting ones from ever being applied.
        """
        return self._put(header, partial(WaitingPrompt, header, prompt), timeout, proposal, source, order)

    def put_detections(
        self,
        header: Header,
        detections: Sequence[Detection],
        settings: DetectionSettings,
        proposal: Proposal,
        timeout: float,
        source: Source = DEFAULT_SOURCE,
    ) -> Future[msg.PromptResult]:
        """Queue the detections of one message; what they prompt is decided on their image.

        The future gets an answer if they are refused together; otherwise it is cancelled once that is decided.

        Args:
            detections: best first.
            proposal: the conditions for what they prompt.
        """
        make = partial(WaitingDetections, header, Prompt(), detections=tuple(detections), settings=settings)
        return self._put(header, make, timeout, proposal, source, None)

    def _put(
        self,
        header: Header,
        make: Callable[[int, bool, float, float, Source, Proposal | None], WaitingPrompt],
        timeout: float,
        proposal: Proposal | None,
        source: Source,
        order: AnswerOrder | None,
    ) -> Future[msg.PromptResult]:
        now = time.monotonic()
        with self._lock:
            images, reason = self._image_stamps(), self._refusal
        stamp, unstamped = target_stamp(nanoseconds(header.stamp), source, images)
        waiting = make(stamp, unstamped, now, now + timeout, source, proposal)
        reason = reason or refusal(waiting, images)
        evicted = None
        if reason is None:
            with self._lock:
                reason = self._refusal or object_limit(waiting, images, self._prompts, self._session.snapshot)
                evicted = self._prompts.put(waiting, images.newest) if reason is None else None
        order = order or AnswerOrder()
        if reason == PAUSED and proposal is not None:  # a detector goes on, and needs no answers
            self._answers.drop(waiting, "paused")
        elif reason is not None:
            order.then(lambda: self._answers.refuse(waiting, reason))
        elif evicted is not waiting:
            if images.processed.stamps and stamp <= images.processed.stamps[-1]:
                order.add_pending(waiting.answer)
            self._wake()
        if evicted is not None and evicted.proposal is not None:
            self._answers.drop(evicted, "in excess")
        elif evicted is not None:
            self._answers.refuse(
                evicted,
                f"{source.max_waiting} prompts of {source.name} are waiting already; send fewer at once, or for nearer"
                " images",
            )
        return waiting.answer

    def call(self, function: Callable[[Tracker], T]) -> Future[T]:
        """Queue a function that is called with the tracker, between two images.

        Raises:
            ClosedError: after `stop`.
        """
        future = self._calls.put(function)
        self._wake()
        return future

    def reset(self) -> Future[int]:
        """Forget everything; the result is the number of tracked objects. The next image may have any stamp."""

        def reset(tracker: Tracker) -> int:
            count = len(tracker.labels)
            self._session.reset()
            self._gate.reset()
            return count

        return self.call(reset)

    def newest(self) -> Future[TrackedImage | None]:
        """The newest processed image; None: there is none."""
        return self.call(lambda tracker: self._session.newest)

    def kept(self) -> Future[KeptObjects]:
        """What a later process needs to go on with the objects; also if the GPU is lost, since images are not on it."""
        if self._given_up.is_set():  # its thread does nothing any more
            kept: Future[KeptObjects] = Future()
            kept.set_result(self._session.kept())
            return kept
        return self.call(lambda tracker: self._session.kept())

    def encoded(self, stamp: int) -> Future[tuple[Header, EncodedImage]]:
        """The image of the history that is nearest to a stamp, ns (0: the newest), and its header.

        The future raises PromptError if the stamp is outside the history, or the history is empty.
        """

        def find(tracker: Tracker) -> tuple[Header, EncodedImage]:
            frame = self.frame_of(stamp)
            return self.header_of(frame.stamp), frame.image

        return self.call(find)

    def frame_of(self, stamp: int) -> HistoryFrame:
        """The frame of the history that is nearest to an image's stamp, ns; 0: the newest. Only inside `call`.

        Raises:
            PromptError: the stamp is outside the history, or the history is empty.
        """
        processed = self._session.snapshot.find(stamp) if stamp else None
        return self._session.tracker.history.nearest(processed or stamp or None)

    @property
    def objects(self) -> int:
        """Number of tracked objects."""
        return len(self._session.snapshot.object_ids)

    def header_of(self, stamp: int) -> Header:
        """The header of an image of the history, by the tracker's stamp. Only inside `call`."""
        return self._session.snapshot.header_of(stamp)

    def note_failure(self, error: Exception) -> None:
        """Count and log an unexpected error of who uses the network; if the GPU is lost with it, the stream ends."""
        self._report(error)
        self._wake()

    def make_waiting_calls(self) -> None:
        """Make the calls that came in the meantime, so that their callers need not wait. Only inside a long `call`.

        Afterwards, objects may have been removed, or everything was forgotten.
        """
        self._run_calls()

    def _wake(self) -> None:
        with self._lock:
            self._woken = True
            self._wake_up.notify()

    def _report(self, error: Exception) -> None:
        """Count and log an unexpected error, and note whether the GPU is lost."""
        if self._lost is not None:
            return
        if (why := loss_of_device(error, self._session.tracker.network.device)) is not None:
            self._lost = lost_gpu(why)
        elif isinstance(error, torch.OutOfMemoryError):
            with contextlib.suppress(RuntimeError):
                torch.cuda.empty_cache()
            self._meter.count("out of memory", detail="an image was left out")
            self._log.error(
                "The GPU is out of memory: an image was left out. Remove objects, lower max_objects or image_size, or"
                " choose a smaller model",
                throttle_duration_sec=5.0,
            )
        else:
            line = f"{type(error).__name__}: {error}"
            self._meter.count("failed", detail=excerpt(line, 200))
            self._log.error(line, throttle_duration_sec=5.0)

    def _shift_prompts(self, after: int, nanoseconds: int) -> None:
        with self._lock:
            self._prompts.shift(after, nanoseconds)

    def _image_stamps(self) -> ImageStamps:
        """The images that prompts may refer to at this moment."""
        held, pending = self._gate.held, (*self._gate.passed, *self._pipeline.stamps)
        return ImageStamps(self._session.snapshot, pending, held)

    @property
    def _refusal(self) -> str | None:
        """The reason to refuse all prompts, if there is one. The lock is held."""
        return self._closed or (PAUSED if self._paused else None)

    @property
    def _has_images(self) -> bool:
        return len(self._pipeline) > 0 or len(self._gate) > 0

    # The methods below run in the stream's thread.

    def _run(self) -> None:
        while True:
            with self._lock:
                self._pipeline.idle()
                self._wake_up.wait_for(lambda: self._woken or self._has_images, self._wait_timeout())
                self._woken = False
                if self._stopped:
                    return
            self._busy_since = time.monotonic()
            self._run_calls()
            try:
                self._advance()
            except Exception as error:  # go on with the next image after any error
                self._report(error)
            self._busy_since = None
            if self._lost is not None:
                self._give_up(self._lost)
                return

    def _give_up(self, reason: str) -> None:
        """Refuse everything, as the GPU is lost, and say so."""
        self._log.error(f"The stream ends: {reason}")
        self.close(reason)
        self._calls.close(reason)
        self._calls.run(self._session.tracker)  # their callers wait for the results
        self._given_up.set()
        if self._on_lost is not None:
            self._on_lost(reason)

    def _wait_timeout(self) -> float | None:
        """Seconds until the first waiting prompt expires, or no longer waits for a jump of time."""
        if not len(self._prompts):
            return None
        until = min(waiting.deadline for waiting in self._prompts) - time.monotonic()
        if (held_timeout := self._gate.held_timeout) is not None:
            until = min(until, held_timeout)
        return max(0.0, until)

    def _run_calls(self) -> bool:
        """Make the queued calls. Returns whether there were any, so that the tracker may have changed."""
        called = self._calls.run(self._session.tracker)
        if called:
            self._session.update()
        return called

    def _advance(self) -> None:
        """Process the next image, if there is one, and then apply the prompts that wait for it."""
        session, started = self._session, time.monotonic()
        frame = None
        try:
            if (image := self._next_image()) is not None:
                frame = session.step(image)
        finally:  # prompts are answered even if images fail
            changed = self._apply_prompts()
        newest = session.tracker.newest
        if newest is None or session.newest_image is None:
            return
        if image is not None and frame is not None:
            self._listener.on_frame(newest, image.arrived.message.header, session.newest_image)
            now = time.monotonic()
            self._meter.frame_done(now - image.arrived.time, now - started)
        elif changed and not self._has_images:
            self._listener.on_change(newest, self.header_of(newest.stamp), session.newest_image)

    def _next_image(self) -> PreparedImage | None:
        """Take the next image to process, and handle a jump of time before it; None: there is no image."""
        if (image := self._gate.take()) is not None:
            return image
        try:
            image = self._pipeline.next()
        except ImageError as error:
            self._meter.count("unreadable", detail=excerpt(str(error), 200))
            self._log.error(f"Image skipped: {error}", throttle_duration_sec=5.0)
            return None
        if image is None or (admitted := self._gate.add(image.stamp, image, self._images.keeps_all)) is None:
            return None
        image, stamp, jump = admitted
        if jump is not None:
            self._session.jump(stamp, jump)
        return image

    def _apply_prompts(self) -> bool:
        """Apply due prompts by stamp, and refuse expired ones. Returns whether an object has changed."""
        if not len(self._prompts):
            return False
        with self._lock:
            images, now, last_step = self._image_stamps(), time.monotonic(), self._session.last_step
            turns = [(waiting, turn(waiting, images, now, last_step)) for waiting in self._prompts]
            expired = [waiting for waiting, decision in turns if decision is Turn.EXPIRED]
            for waiting in expired:
                self._prompts.remove(waiting)
        for waiting in expired:
            self._answers.refuse(waiting, expiry(waiting, images))
        due = [waiting for waiting, decision in turns if decision is Turn.DUE]
        return self._apply_in_order(sorted(due, key=lambda waiting: waiting.stamp or images.processed.stamps[-1]))

    def _apply_in_order(self, due: list[WaitingPrompt]) -> bool:
        """Apply due prompts until the next image has to be processed. Returns whether an object has changed."""
        if not self._images.keeps_all:  # users wait for an answer, detectors do not
            due = sorted(due, key=lambda waiting: waiting.proposal is not None)
            if len(due) > MAX_PROMPTS_BETWEEN_IMAGES:
                due = round_robin(due)
        applied = 0
        self._applier.clear_frames()
        queue = deque(due)
        while queue:
            if applied >= MAX_PROMPTS_BETWEEN_IMAGES and not self._images.keeps_all and self._has_images:
                break
            waiting = queue.popleft()
            if self._run_calls():  # callers need not wait for all prompts
                self._applier.clear_frames()
                if not self._session.snapshot.images:
                    break
            with self._lock:
                if not self._images.keeps_all and waiting.proposal is not None and self._has_due_user_prompt():
                    self._woken = True
                    break
                if not self._prompts.take(waiting):
                    continue  # refused, because the node was deactivated
            following: Sequence[WaitingPrompt] = ()
            if isinstance(waiting, WaitingDetections):
                following, changed = self._applier.decide(waiting)
                applied += changed
            else:
                applied += self._applier.apply(waiting)
            with self._lock:
                self._prompts.done()
                if self._refusal is None:  # otherwise the node was deactivated or paused in the meantime
                    self._prompts.add(following)
                    queue.extendleft(reversed(following))
        return applied > 0

    def _has_due_user_prompt(self) -> bool:
        """Whether a prompt other than a detection is due. The lock is held."""
        newest = next(reversed(self._session.snapshot.images), 0)
        return any(waiting.proposal is None and waiting.stamp <= newest for waiting in self._prompts)
