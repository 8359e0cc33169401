"""One camera of the node: its inputs, its stream, its outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from rclpy.lifecycle import LifecycleNode

from sam2_ros.data.image_message import ImageDecoder, PixelReader
from sam2_ros.ros.configured_stream import ConfiguredStream
from sam2_ros.ros.depth.depth_input import DepthInput
from sam2_ros.ros.diagnostics import Diagnostics, idle
from sam2_ros.ros.excerpt import excerpt
from sam2_ros.ros.image_queue import ImageQueue
from sam2_ros.ros.inputs import Inputs
from sam2_ros.ros.log import Log
from sam2_ros.ros.losses import Losses
from sam2_ros.ros.meter import Meter
from sam2_ros.ros.object_keeper import ObjectKeeper, resume_path
from sam2_ros.ros.outputs.outputs import Outputs
from sam2_ros.ros.problems import ERROR, OK, WARN, Problem, stuck
from sam2_ros.ros.prompt_inbox import PromptInbox
from sam2_ros.ros.quantity import quantity
from sam2_ros.ros.resume_file import KeptObjects, ResumeFile
from sam2_ros.ros.services import Services
from sam2_ros.ros.stream import Stream
from sam2_ros.ros.topics import IMAGE_TOPIC, Topics
from sam2_ros.system.lost_device import loss_of_device
from sam2_ros.tracking.tracker import Tracker

TRACKER_PARAMETERS = ("max_objects", "non_overlap_masks", "box_min_part")
"""Parameters of the tracker that may change at any time; its attributes have the same names."""
NOT_CONFIGURED = Problem("state", WARN, "not configured: ros2 lifecycle set NODE configure, or autostart: true")
NOT_ACTIVE = Problem("state", WARN, "not active, and does not listen: ros2 lifecycle set NODE activate")


class TrackedCamera:
    """Everything of one camera that is not shared: topics, services, tracker, queue, counts.

    Args:
        name: of the camera; empty: the only one of the node.
        log: the node's.
        on_lost: called with the reason, in the stream's thread, if the GPU is lost to this process.
    """

    def __init__(self, node: LifecycleNode, name: str, log: Log, on_lost: Callable[[str], None]) -> None:
        self.name = name
        self._on_lost = on_lost
        self._node = node
        self._log = log.named(name) if name else log
        self._configured = ConfiguredStream()
        self._diagnostics: Diagnostics | None = None  # while configured
        self._losses = Losses(self._configured.meter)
        self._keeper: ObjectKeeper | None = None  # while configured, with a resume_file
        # Read at the start: whoever may set parameters later must not choose where files are written.
        self._resume_path = resume_path(self._value("resume_file"), name)
        topics = Topics(name)
        self.outputs = Outputs(node, topics, self._log, self._configured)
        self.depth = DepthInput(node, topics, self.outputs.measuring)
        self.inbox = PromptInbox(node, self._log, self._configured, self.outputs.answers)
        self.inputs = Inputs(node, topics, self._log, self._configured, self.inbox)
        Services(node, topics, self._log, self._configured, self.inbox)

    @property
    def stream(self) -> Stream | None:
        """The stream, while the node is configured."""
        return self._configured.stream

    @property
    def full_name(self) -> str:
        """The node's full name, with the camera's behind it."""
        name: str = self._node.get_fully_qualified_name()
        return f"{name}/{self.name}" if self.name else name

    def configure(self, tracker: Tracker, encode_ahead: bool, read: PixelReader) -> None:
        """Start the thread that feeds the tracker; `read` reads the pixels of image messages."""
        lossless = self._value("keep_all")
        images, meter = ImageQueue(self._value("queue_size") if lossless else 1), Meter()
        decoder = ImageDecoder(self._value("range_16bit"), self._value("max_image_pixels"), read)
        self._diagnostics = Diagnostics(self.full_name, tracker, images, meter, lossless)
        self._configured.meter, self._losses = meter, Losses(meter)
        make = partial(
            Stream,
            tracker,
            images,
            meter,
            self.outputs,
            self._log,
            encode_ahead=encode_ahead,
            keep_over_jumps=self._value("time_jump") == "keep",
            decoder=decoder,
            on_lost=self._on_lost,
        )
        if self._resume_path is None:
            self._configured.stream = make()
            return
        self._keeper = ObjectKeeper(ResumeFile(self._resume_path), self._log)
        kept = self._keeper.load()
        try:
            stream = make(kept=kept)
        except Exception as error:
            if loss_of_device(error, tracker.network.device) is not None:
                raise
            # Whatever is wrong with them, the node must not fail at every start.
            self._keeper.reject(f"has objects that cannot go on: {type(error).__name__}: {error}")
            stream = make(kept=KeptObjects())
        self._configured.stream = stream
        self._keeper.start(stream.kept)

    @property
    def objects(self) -> int:
        """Number of tracked objects."""
        return stream.objects if (stream := self._configured.stream) is not None else 0

    def apply_parameters(self) -> None:
        """Apply `TRACKER_PARAMETERS`, between two images."""
        values = {name: self._value(name) for name in TRACKER_PARAMETERS}

        def apply(tracker: Tracker) -> None:
            for name, value in values.items():
                if getattr(tracker, name) != value:
                    setattr(tracker, name, value)

        if (stream := self._configured.stream) is not None:
            stream.call(apply).result()

    def open(self) -> None:
        """Accept images and prompts. Raises an exception if a topic cannot be subscribed to."""
        if (stream := self._configured.stream) is not None:
            stream.open()  # before any message arrives
        self.outputs.measuring.open()
        self.depth.open()
        self.inputs.open()

    def close(self) -> None:
        """Unsubscribe, and refuse prompts. Tracked objects stay."""
        self._close_inputs()
        if (stream := self._configured.stream) is not None:
            stream.close("the node is not active; activate it first")

    def release(self, forget: bool = False) -> None:
        """Unsubscribe, and end the thread. `forget`: the objects are not those of the next start, either."""
        self._close_inputs()
        if self._keeper is not None:
            self._keeper.stop(forget)
            self._keeper = None
        if (stream := self._configured.stream) is not None:
            stream.stop()
            self._configured.stream = self._diagnostics = None
            self.outputs.release()

    def status(self, standing: Sequence[Problem]) -> DiagnosticStatus:
        """The state of this camera, for /diagnostics. `standing`: problems of the whole node."""
        status = self._status(standing)
        status.values = [*status.values, KeyValue(key=IMAGE_TOPIC, value=self.inputs.image_topic)]
        return status

    def _status(self, standing: Sequence[Problem]) -> DiagnosticStatus:
        diagnostics, stream, watch = self._diagnostics, self._configured.stream, self.inputs.watch
        if diagnostics is None or stream is None:
            return idle(self.full_name, standing or [NOT_CONFIGURED])
        if stream.lost is not None:
            return idle(self.full_name, [Problem("GPU", ERROR, stream.lost), *standing])
        if watch is None:
            return idle(self.full_name, [NOT_ACTIVE, *standing])
        if stream.paused:
            paused = f"paused: call ~/resume; {quantity(stream.objects, 'object')} kept"
            return diagnostics.status(stream.objects, [Problem("state", WARN, paused), *standing])
        found = stuck(stream.busy), watch.problem(), self._depth_problem()
        return diagnostics.status(stream.objects, [*(problem for problem in found if problem is not None), *standing])

    def _depth_problem(self) -> Problem | None:
        """Why there are no points and boxes although they are asked for, or why they may be wrong."""
        measuring = self.outputs.measuring
        if reason := measuring.problem:
            return Problem("depth", WARN, excerpt(f"no points and boxes: {reason}"))
        return Problem("depth", OK, measuring.note) if measuring.note else None

    def warn(self) -> None:
        """Log what goes wrong: no images, other clocks, dropped detections."""
        if (watch := self.inputs.watch) is None:
            return
        if (problem := watch.problem()) is not None:
            good = problem.level == OK
            self._log.state(problem.sentence, every=600.0 if good else 30.0, kind=problem.name, good=good)
        if (lost := self._losses.line()) is not None:
            self._log.warning(lost)

    def _close_inputs(self) -> None:
        self.inputs.close()
        self.depth.close()
        self.outputs.measuring.close()

    def _value(self, parameter: str):
        return self._node.get_parameter(parameter).value
