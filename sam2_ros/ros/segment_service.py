"""`~/segment`: prompts for one image, which is not tracked."""

from __future__ import annotations

import torch
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node

from sam2_ros import msg, srv
from sam2_ros.ros import masklets, prompts
from sam2_ros.ros.call_queue import ClosedError
from sam2_ros.ros.configured_stream import ConfiguredStream
from sam2_ros.ros.excerpt import excerpt
from sam2_ros.ros.log import Log
from sam2_ros.ros.requested_image import requested_image
from sam2_ros.ros.stream import Stream
from sam2_ros.ros.topics import Topics
from sam2_ros.tracking.image_predictor import Candidates, ImagePredictor
from sam2_ros.tracking.masklet import Masklet
from sam2_ros.tracking.prompt import Prompt, PromptError
from sam2_ros.tracking.tracker import Tracker

MAX_PROMPTS = 64
"""Maximum number of prompts in a request."""


class SegmentService:
    """Segments images with the network of a stream, in its thread: one prompt between two images."""

    def __init__(self, node: Node, topics: Topics, log: Log, configured: ConfiguredStream) -> None:
        self._node = node
        self._log = log
        self._configured = configured
        group = MutuallyExclusiveCallbackGroup()  # of its own: a long list of prompts blocks no other service
        node.create_service(srv.SegmentImage, topics.private("segment"), self._serve, callback_group=group)

    def _serve(
        self, request: srv.SegmentImage.Request, response: srv.SegmentImage.Response
    ) -> srv.SegmentImage.Response:
        try:
            self._segment(request, response)
            response.success = True
        except (ValueError, ClosedError) as error:  # also ImageError and PromptError; the stream has ended
            response.message = excerpt(str(error))
        except Exception as error:
            self._log.error(f"~/segment: {type(error).__name__}: {error}", throttle_duration_sec=5.0)
            response.message = excerpt(f"internal error: {type(error).__name__}: {error}")
        return response

    def _segment(self, request: srv.SegmentImage.Request, response: srv.SegmentImage.Response) -> None:
        if (stream := self._configured.stream) is None:
            raise ValueError("the node is not configured")
        if (reason := stream.closed) is not None:
            raise ValueError(reason)
        if not 0 < len(request.prompts) <= MAX_PROMPTS:
            raise ValueError(f"{len(request.prompts)} prompts; give 1 to {MAX_PROMPTS}")
        response.header, image = requested_image(self._node, stream, request.image)

        def begin(tracker: Tracker) -> ImagePredictor:
            predictor = ImagePredictor(tracker.network, closer_look=tracker.closer_look, encode=tracker.encode)
            predictor.set_image(image)
            return predictor

        predictor = stream.call(begin).result()
        response.results = [self._candidates(stream, predictor, message) for message in request.prompts]

    def _candidates(self, stream: Stream, predictor: ImagePredictor, message: msg.Prompt) -> msg.Candidates:
        def predict(tracker: Tracker) -> Candidates:
            with tracker.turn:
                return predictor.segment(prompt)

        try:
            prompt = prompts.from_message(message)
            found = stream.call(predict).result()
        except PromptError as error:
            return msg.Candidates(message=excerpt(str(error)))
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            return msg.Candidates(message="the GPU is out of memory; remove an object or choose a smaller model")
        box_min_part = self._node.get_parameter("box_min_part").value
        return msg.Candidates(accepted=True, masklets=_messages(prompt, found, box_min_part))


def _messages(prompt: Prompt, found: Candidates, box_min_part: float) -> list[msg.Masklet]:
    candidates = []
    for mask, iou in zip(found.masks, found.iou, strict=True):
        present = bool(mask.any())
        masklet = Masklet(0, prompt.label, present, float(present), float(iou), mask, box_min_part)
        candidates.append(masklets.to_message(masklet))
    return candidates
