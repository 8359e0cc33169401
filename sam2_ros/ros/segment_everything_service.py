"""`~/segment_everything`: automatic masks of one image, which may become objects."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

import torch
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from std_msgs.msg import Header

from sam2_ros import msg, srv
from sam2_ros.acceleration import Network
from sam2_ros.ros import masklets
from sam2_ros.ros.call_queue import ClosedError
from sam2_ros.ros.configured_stream import ConfiguredStream
from sam2_ros.ros.excerpt import excerpt
from sam2_ros.ros.quantity import quantity
from sam2_ros.ros.requested_image import is_in_request, requested_image
from sam2_ros.ros.stamps import nanoseconds
from sam2_ros.ros.stream import PAUSED, Stream
from sam2_ros.ros.topics import Topics
from sam2_ros.ros.waiting_prompt import Source
from sam2_ros.tracking.automatic_masks import AutomaticMask, AutomaticMaskGenerator, EverythingSettings
from sam2_ros.tracking.mask_overlap import object_with
from sam2_ros.tracking.masklet import Masklet
from sam2_ros.tracking.prompt import Prompt
from sam2_ros.tracking.tracker import Tracker

MAX_MASKLETS = 256
"""Maximum number of masks in a response."""
MAX_RUNS = 1_000_000
"""Maximum number of run lengths in a response, together: 4 MB."""
MAX_POINTS_PER_SIDE = 64
POINTS_PER_BATCH = 16
"""On a CPU: images wait for one batch at most, and its answers are enlarged before the next check for the end."""
TIME_LIMIT = 300.0
"""Seconds after which the work is given up."""

EVERYTHING = Source("~/segment_everything", max_waiting=MAX_MASKLETS)


@dataclass
class _Found:
    """Everything in one image."""

    header: Header
    masks: Sequence[AutomaticMask]
    """By descending predicted IoU."""
    left_out: int = 0
    """Masks beyond the limits of a response."""
    tracked: Mapping[int, int] = field(default_factory=dict)
    """IDs of the objects that had such a mask already, by the index of the mask."""
    prompted: Mapping[int, Future[msg.PromptResult]] = field(default_factory=dict)
    """Answers to the prompts of new objects, by the index of the mask."""
    max_objects: int = 0


class SegmentEverythingService:
    """Segments everything in an image with the network of a stream, one request after the other.

    Without `track`, the work is done in the service's thread: the network is the tracker's between two batches of
    points. With `track`, it is done in the stream's thread, so that the image is still in the history when its masks
    become prompts. These go the way of all prompts: they are answered on ~/prompt_results, and may be replayed.
    """

    def __init__(self, node: Node, topics: Topics, configured: ConfiguredStream) -> None:
        self._node = node
        self._configured = configured
        group = MutuallyExclusiveCallbackGroup()  # of its own: it takes a while
        name = topics.private("segment_everything")
        node.create_service(srv.SegmentEverything, name, self._serve, callback_group=group)

    def _serve(
        self, request: srv.SegmentEverything.Request, response: srv.SegmentEverything.Response
    ) -> srv.SegmentEverything.Response:
        stream = self._configured.stream
        try:
            if stream is None:
                raise ValueError("the node is not configured")
            return self._answer(stream, request)
        except (ValueError, ClosedError) as error:  # also ImageError and PromptError; the stream has ended
            response.message = excerpt(str(error))
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            response.message = "the GPU is out of memory; remove an object or choose a smaller model"
        except Exception as error:
            assert stream is not None
            stream.note_failure(error)
            response.message = stream.lost or excerpt(f"internal error: {type(error).__name__}: {error}")
        return response

    def _answer(self, stream: Stream, request: srv.SegmentEverything.Request) -> srv.SegmentEverything.Response:
        check = _Check(stream, request.track)
        check()
        found = self._track(stream, request, check) if request.track else self._find(stream, request, check)
        response = srv.SegmentEverything.Response(success=True, header=found.header, left_out=found.left_out)
        results = {i: answer.result() for i, answer in found.prompted.items()}
        new = {i: result.object_id for i, result in results.items() if result.accepted}
        ids = {**found.tracked, **new}
        box_min_part = self._node.get_parameter("box_min_part").value
        for i, mask in enumerate(found.masks):
            response.masklets.append(_message(mask, ids.get(i, 0), box_min_part))
            if not request.track:  # otherwise the answer has to say which objects there are now
                check.is_open()
        response.message = f"{quantity(len(found.masks), 'mask')} found" + _left_out(found.left_out)
        if request.track:
            response.not_tracked = len(found.masks) - len(ids)
            refused = [result.message for result in results.values() if not result.accepted]
            response.message = "; ".join([response.message, *_outcome(found, len(new), refused)])
        return response

    def _find(self, stream: Stream, request: srv.SegmentEverything.Request, check: _Check) -> _Found:
        """Everything in a given image, or in one of the history; in this thread."""

        def shared(tracker: Tracker) -> tuple[Network, AbstractContextManager[None]]:
            return tracker.network, tracker.turn

        network, turn = stream.call(shared).result()
        generator = AutomaticMaskGenerator(network, _settings(request, network), turn=turn)
        header, image = requested_image(self._node, stream, request.image)
        return _within_limits(header, generator.generate(image, on_progress=check))

    def _track(self, stream: Stream, request: srv.SegmentEverything.Request, check: _Check) -> _Found:
        """Everything in an image of the history; what is not tracked yet becomes an object, while there is room."""
        if is_in_request(request.image):
            raise ValueError(
                "only images that the node has processed can be tracked; leave image.data empty, and give the stamp of"
                " one in image.header (zero: the newest)"
            )
        stamp = nanoseconds(request.image.header.stamp)
        timeout = self._node.get_parameter("prompt_timeout").value

        def between(done: float) -> None:
            check(done)
            stream.make_waiting_calls()

        def track(tracker: Tracker) -> _Found:
            check()  # the thread may be ending
            frame = stream.frame_of(stamp)
            settings = _settings(request, tracker.network)
            masks = AutomaticMaskGenerator(tracker.network, settings).generate(frame.image, on_progress=between)
            if frame.stamp not in tracker.stamps:
                raise ValueError("the node was reset in the meantime; nothing is tracked")
            found = _within_limits(stream.header_of(frame.stamp), masks)
            shown = [masklet for masklet in tracker.frame_at(frame.stamp).masklets if masklet.present]
            room = tracker.max_objects - len(tracker.objects)
            tracked, prompted = {}, {}
            for i, mask in enumerate(found.masks):
                pixels = mask.mask
                if known := object_with(pixels, shown):
                    tracked[i] = known
                elif len(prompted) < room:
                    prompt = Prompt(mask=pixels)
                    prompted[i] = stream.put_prompt(found.header, prompt, timeout, source=EVERYTHING)
            return replace(found, tracked=tracked, prompted=prompted, max_objects=tracker.max_objects)

        return stream.call(track).result()


class _Check:
    """Ends the work with a ValueError if the node does not compute any more, or if it takes too long.

    Args:
        tracks: whether the masks are to be tracked, which a paused node does not do.
    """

    def __init__(self, stream: Stream, tracks: bool) -> None:
        self._stream = stream
        self._tracks = tracks
        self._deadline = time.monotonic() + TIME_LIMIT

    def is_open(self) -> None:
        if (reason := self._stream.closed) is not None:
            raise ValueError(reason)

    def __call__(self, done: float = 0.0) -> None:
        """`done`: the share of the work that is done."""
        self.is_open()
        if self._tracks and self._stream.paused:
            raise ValueError(PAUSED)
        if time.monotonic() > self._deadline:
            raise ValueError(
                f"given up: {done:.0%} are done after {TIME_LIMIT:.0f} s; lower points_per_side, or choose a smaller"
                " image or model"
            )


def _settings(request: srv.SegmentEverything.Request, network: Network) -> EverythingSettings:
    """The settings of a request, with those that suit the network where it has none. Raises ValueError."""
    if request.points_per_side > MAX_POINTS_PER_SIDE:
        raise ValueError(
            f"points_per_side is {request.points_per_side}; it must be from 1 to {MAX_POINTS_PER_SIDE} (0: the default)"
        )
    names = "points_per_side", "pred_iou_thresh", "stability_score_thresh", "min_mask_region_area"
    given = {name: value for name in names if (value := getattr(request, name))}
    if network.device.type == "cpu":
        given["points_per_batch"] = POINTS_PER_BATCH
    return replace(EverythingSettings.suited_to(network.config), **given)


def _within_limits(header: Header, masks: Sequence[AutomaticMask]) -> _Found:
    """The best masks, as many as a response may have."""
    best, runs = [], 0
    for mask in sorted(masks, key=lambda mask: -mask.iou):
        runs += len(mask.counts)
        if len(best) == MAX_MASKLETS or runs > MAX_RUNS:
            break
        best.append(mask)
    return _Found(header, best, len(masks) - len(best))


def _message(mask: AutomaticMask, object_id: int, box_min_part: float) -> msg.Masklet:
    present = mask.area > 0
    return masklets.to_message(Masklet(object_id, "", present, float(present), mask.iou, mask.mask, box_min_part))


def _left_out(number: int) -> str:
    if not number:
        return ""
    return f", and {number} more that are left out: at most {MAX_MASKLETS}, with {MAX_RUNS} run lengths together"


def _outcome(found: _Found, new: int, refused: Sequence[str]) -> list[str]:
    """What became of masks that were to be tracked, in words."""
    outcome = [f"{quantity(new, 'object')} started"]
    if known := len(found.tracked):
        outcome.append(f"{known} tracked already")
    if no_room := len(found.masks) - known - len(found.prompted):
        outcome.append(f"{no_room} not tracked, as max_objects is {found.max_objects}")
    if refused:
        outcome.append(f"{len(refused)} refused, the first because {refused[0]}")
    return outcome
