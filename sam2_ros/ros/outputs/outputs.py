"""All outputs of one camera."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Header

from sam2_ros import msg
from sam2_ros.ros.configured_stream import ConfiguredStream
from sam2_ros.ros.depth.measuring import Measuring
from sam2_ros.ros.log import Log
from sam2_ros.ros.outputs.answers import AnswersOutput
from sam2_ros.ros.outputs.detections_2d import Detections2DOutput
from sam2_ros.ros.outputs.frame_output import FrameOutput
from sam2_ros.ros.outputs.labels import LabelsOutput
from sam2_ros.ros.outputs.masklets import MaskletsOutput
from sam2_ros.ros.outputs.masks import MasksOutput
from sam2_ros.ros.outputs.object_frames import ObjectFramesOutput
from sam2_ros.ros.outputs.objects_3d import Objects3DOutput
from sam2_ros.ros.outputs.overlay import OverlayOutput
from sam2_ros.ros.outputs.points import PointsOutput
from sam2_ros.ros.topics import Topics
from sam2_ros.tracking.masklet import Frame
from sam2_ros.tracking.prompt import Prompt


class Outputs:
    """The listener of one camera's stream: publishes its frames and answers."""

    def __init__(self, node: LifecycleNode, topics: Topics, log: Log, configured: ConfiguredStream) -> None:
        self._context = node.context
        self.masklets = MaskletsOutput(node, topics)
        self.detections_2d = Detections2DOutput(node, topics)
        self.labels = LabelsOutput(node, topics)
        self.overlay = OverlayOutput(node, topics)
        self.masks = MasksOutput(node, topics, log)
        self.answers = AnswersOutput(node, topics)
        shapes = PointsOutput(node, topics), Objects3DOutput(node, topics), ObjectFramesOutput(node, topics, log)
        self.measuring = Measuring(node, topics, log, configured, shapes)
        # Masklets come first: others wait for them.
        self._for_frames: list[FrameOutput] = [
            self.masklets,
            self.measuring,
            self.detections_2d,
            self.labels,
            self.overlay,
            self.masks,
        ]

    def on_frame(self, frame: Frame, header: Header, image: np.ndarray) -> None:
        with self._unless_ending():
            for output in self._for_frames:
                output.publish(frame, header, image)

    def on_change(self, frame: Frame, header: Header, image: np.ndarray) -> None:
        with self._unless_ending():
            self.overlay.show(frame, header, image)

    def on_answer(self, result: msg.PromptResult, prompt: Prompt) -> None:
        with self._unless_ending():
            self.answers.publish(result, prompt)

    @contextmanager
    def _unless_ending(self) -> Iterator[None]:
        """Errors count only while the process goes on: a signal may end the context at any moment."""
        try:
            yield
        except Exception:
            if self._context.ok():
                raise

    def release(self) -> None:
        """Forget the objects; the stream has ended."""
        self.masks.release()
