"""The `sam2` node: camera images and prompts in, masklets out."""

from __future__ import annotations

from sam2_ros.requirements import require

if __name__ == "__main__":
    require("sam2")  # before the imports that would fail

import os

# Must be set before PyTorch starts its threads. By default they spin while they wait for each other; as soon as another
# process needs a core, as on any robot, that takes most of the time (measured: 2.5 s instead of 0.1 s for a frame).
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import argparse
import gc
import logging
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np
import rclpy
import torch
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import Point, PointStamped
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import InvalidHandle
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.publisher import Publisher
from rclpy.qos import QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from sam2_ros import msg, srv
from sam2_ros.acceleration import Network, choice_of
from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.checkpoints.load import check_memory, load_model
from sam2_ros.data.image_message import ImageDecoder
from sam2_ros.model.config import SAM2Config
from sam2_ros.model.input_size import IMAGE
from sam2_ros.model.sam2 import SAM2
from sam2_ros.ros import masklets, parameter_files, process, prompts, shared_memory
from sam2_ros.ros.answer_order import AnswerOrder
from sam2_ros.ros.arrival_clock import ArrivalClock
from sam2_ros.ros.declaration import declare
from sam2_ros.ros.diagnostics import Diagnostics, idle
from sam2_ros.ros.excerpt import excerpt
from sam2_ros.ros.image_queue import ArrivedImage, ImageQueue
from sam2_ros.ros.images import to_jpeg, to_message
from sam2_ros.ros.log import Log
from sam2_ros.ros.losses import Losses
from sam2_ros.ros.meter import Meter
from sam2_ros.ros.namesakes import Namesakes
from sam2_ros.ros.parameter_checks import CHECKS
from sam2_ros.ros.parameters import SAM2_PARAMETERS
from sam2_ros.ros.stamps import nanoseconds, time_message
from sam2_ros.ros.stream import Stream
from sam2_ros.ros.vision_messages import vision_messages
from sam2_ros.ros.waiting_prompt import Proposal, Source
from sam2_ros.system import stopping
from sam2_ros.tracking.masklet import Frame
from sam2_ros.tracking.overlay import Overlay
from sam2_ros.tracking.prompt import Prompt, PromptError
from sam2_ros.tracking.tracker import Tracker

if TYPE_CHECKING:
    from vision_msgs.msg import Detection2DArray

MAX_WAITING_CALLS = 4
"""Maximum number of calls of ~/prompt that wait for their images, and of calls that wait for the network. Each occupies
a thread until it is answered."""

EXECUTOR_THREADS = 2 * MAX_WAITING_CALLS + 9
"""One thread per waiting call and per callback group, and one to refuse excess calls: no callback blocks another."""

PROMPTS, SERVICE = Source("~/prompts"), Source("~/prompt", max_waiting=MAX_WAITING_CALLS)
CLICKS, MOUSE = Source("~/click", other_clock=True), Source("mouse", other_clock=True)
DETECTIONS = Source("detections")

PROMPTS_DEPTH = 1000
"""QoS depth of the prompts, so that each of many that are sent at once gets an answer."""

IMAGE_TIMEOUT = 5.0
"""Seconds without an image until a warning."""

CLOCK_TIMEOUT = 5.0
"""Seconds with a ROS time of 0 until a warning."""

MAX_SMALL_IMAGE_SIZE = 512
"""Input size up to which PyTorch's operations are too small to gain from all cores, since threads have to be woken for
each (docs/speed.md, "Threads of one operation")."""

STEADY = Clock(clock_type=ClockType.STEADY_TIME)

T = TypeVar("T")


class Sam2Node(LifecycleNode):
    """Tracks prompted objects through a camera's stream.

    Configuring loads the weights; activating subscribes to images and prompts; deactivating unsubscribes and keeps the
    tracked objects; cleaning up frees everything. Spin it with a `MultiThreadedExecutor`, so that a call of ~/prompt,
    which may wait, does not block other callbacks.
    """

    def __init__(self, **kwargs) -> None:
        super().__init__("sam2", **kwargs)
        self._log = Log(self.get_logger())
        self._stream: Stream | None = None  # while configured
        self._stream_diagnostics: Diagnostics | None = None  # while configured
        self._meter = Meter()  # replaced whenever the node is configured
        self._losses = Losses(self._meter)
        self._inputs: list[Subscription] = []  # while active
        self._configure_error = ""
        self._overlay_renderer = Overlay()  # keeps the colours of objects
        self._last_image = 0.0  # s of the monotonic clock; time of activation until one arrives
        self._clock_ran_at = time.monotonic()  # s of the monotonic clock, when ROS time was not 0 last
        self._arrival_clock = ArrivalClock(lambda: self.get_clock().now().nanoseconds)
        declare(self, SAM2_PARAMETERS, CHECKS, lambda: self.is_configured)
        _refuse_impossible_transitions(self)
        self._log_handler = _RosLogHandler(self._log)
        logging.getLogger("sam2_ros").addHandler(self._log_handler)

        self._masklets = self._publisher(msg.MaskletArray, "~/masklets", depth=10)
        self._labels = self._publisher(Image, "~/labels", depth=1)
        self._overlay = self._publisher(Image, "~/overlay", depth=1)
        self._overlay_jpeg = self._publisher(CompressedImage, "~/overlay/compressed", depth=1)
        # In every state: clients that prompt an inactive node need the answer, and monitors need its state.
        self._results = self._publisher(msg.PromptResult, "~/prompt_results", depth=PROMPTS_DEPTH, always=True)
        self._applied = self._publisher(msg.PromptArray, "~/applied_prompts", depth=100, always=True)
        self._diagnostics = self._publisher(DiagnosticArray, "/diagnostics", depth=10, always=True)

        if (warning := shared_memory.size_warning(rclpy.get_rmw_implementation_identifier())) is not None:
            self._log.warning(warning)
        self._namesakes = Namesakes(self, [self.resolve_topic_name("~/masklets")])

        calls, management = ReentrantCallbackGroup(), MutuallyExclusiveCallbackGroup()
        self.create_service(srv.PromptObject, "~/prompt", self._serve_prompt, callback_group=calls)
        self.create_service(srv.RemoveObject, "~/remove", self._serve_remove, callback_group=management)
        self.create_service(Trigger, "~/reset", self._serve_reset, callback_group=management)
        self.create_service(srv.ListObjects, "~/list", self._serve_list, callback_group=management)

        parameter_files.warn_of_unused(self, sys.argv)
        self.create_timer(1.0, self._report, clock=STEADY)
        if self.get_parameter("autostart").value:
            self._autostart = self.create_timer(0.0, self._start, clock=STEADY)  # fires once the node is spun

    @property
    def is_configured(self) -> bool:
        return self._stream is not None

    def destroy_node(self) -> None:
        self._release()
        logging.getLogger("sam2_ros").removeHandler(self._log_handler)
        super().destroy_node()

    # Lifecycle

    def _start(self) -> None:
        self.destroy_timer(self._autostart)
        try:
            if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
                self.trigger_activate()
        except Exception:
            if self.context.ok():  # otherwise the process is ending, and rclpy cannot publish the transition
                raise

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            self._load()
        except stopping.Stopped:
            return TransitionCallbackReturn.FAILURE
        except Exception as error:  # no such file or device, too little memory ...
            kind = "" if isinstance(error, CheckpointError) else f"{type(error).__name__}: "
            self._configure_error = f"Not configured: {kind}{error}"
            self._log.error(self._configure_error)
            return TransitionCallbackReturn.FAILURE
        self._configure_error = ""
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        result = super().on_activate(state)
        self._stream.open()  # before any message arrives
        self._last_image = time.monotonic()
        try:
            self._open_inputs()
        except Exception as error:  # impossible QoS, for instance; rclpy would not log it
            if not self.context.ok():  # the process is ending
                return TransitionCallbackReturn.FAILURE
            self._log.error(f"Not active: {type(error).__name__}: {error}")
            self.on_deactivate(state)
            return TransitionCallbackReturn.FAILURE
        self._log.info("Active, listening to " + ", ".join(sorted(source.topic_name for source in self._inputs)))
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._close_inputs()
        self._stream.close("the node is not active; activate it first")
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._release()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._release()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._release()
        return super().on_error(state)

    def _load(self) -> None:
        """Loads the network and starts the thread that runs it."""
        # The time a thread waits for the interpreter at each of thousands of operations: with the default of 5 ms,
        # encoding ahead lowers the rate instead of raising it.
        sys.setswitchinterval(1e-4)
        model = self._load_network()
        check_memory(model)  # before the kernels are built, which takes a minute
        dtype = self._value("dtype")
        tracker = Tracker(
            model,
            history=self._value("history"),
            max_objects=self._value("max_objects"),
            prompted_memories=self._value("prompted_memories"),
            non_overlap_masks=self._value("non_overlap_masks"),
            box_min_part=self._value("box_min_part"),
            dtype=None if dtype == "auto" else getattr(torch, dtype),
            accelerate=self._value("accelerate"),
        )
        config, choice = tracker.network.config, choice_of(tracker.network)
        threads = self._thread_count(config, kernels=model.device.type == "cpu" and choice.has_own_kernels)
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
        lossless = self._value("keep_all")
        images, meter = ImageQueue(self._value("queue_size") if lossless else 1), Meter()
        self._stream_diagnostics = Diagnostics(self.get_fully_qualified_name(), tracker, images, meter, lossless)
        decoder = ImageDecoder(self._value("range_16bit"), self._value("max_image_pixels"))
        ahead, keep = self._value("encode_ahead"), self._value("time_jump") == "keep"
        self._meter, self._losses = meter, Losses(meter)
        self._stream = Stream(
            tracker, images, meter, self, self._log, encode_ahead=ahead, keep_over_jumps=keep, decoder=decoder
        )
        size = f"{config.image_size}x{config.image_size} pixels"
        shape = "the aspect of the images" if config.aspect == IMAGE else f"aspect {config.aspect}"
        model = f"model {config.name} at {size}, {shape}, on {model.device}"
        self._log.info(f"Configured: {model}, {threads} thread{'s' * (threads != 1)}, {choice}")

    def _load_network(self) -> SAM2 | Network:
        names = ("model", "device", "image_size", "image_aspect")
        model, device, size, aspect = (self._value(name) or None for name in names)
        checkpoint = self._value("checkpoint") or None
        return load_model(
            model, checkpoint, device, size, aspect, lambda config: self._thread_count(config, kernels=False)
        )

    def _thread_count(self, config: SAM2Config, kernels: bool) -> int:
        return self._value("threads") or network_threads(config.image_size, self._value("encode_ahead"), kernels)

    def _release(self) -> None:
        self._close_inputs()
        if self._stream is not None:
            self._stream.stop()
            self._stream = self._stream_diagnostics = None  # frees the network
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _value(self, parameter: str):
        return self.get_parameter(parameter).value

    # Subscriptions

    def _open_inputs(self) -> None:
        compressed, keep_all = self._value("image_transport") == "compressed", self._value("keep_all")
        kind = CompressedImage if compressed else Image
        topic = self.resolve_topic_name("image") + ("/compressed" if compressed else "")
        # A reliable subscription does not match a best-effort camera; a best-effort one matches both.
        camera = QoSProfile(
            depth=self._value("queue_size") if keep_all else 5, reliability=ReliabilityPolicy.BEST_EFFORT
        )
        # The depth is queue_size's. If it could be overridden, it would be declared and keep its first value for ever.
        kinds = QoSPolicyKind.HISTORY, QoSPolicyKind.RELIABILITY
        self._subscribe(kind, topic, self._on_image, camera, kinds)
        deep = QoSProfile(depth=PROMPTS_DEPTH)
        self._subscribe(msg.PromptArray, "~/prompts", self._on_prompts, deep)
        self._subscribe(PointStamped, "~/click", self._on_click, deep)
        for topic in ("image_mouse_left", "~/overlay_mouse_left"):
            self._subscribe(Point, topic, self._on_mouse, deep)
        if (vision := vision_messages()) is None:
            self._log.info("vision_msgs is not installed: detections are not subscribed to", once=True)
        else:
            self._subscribe(vision.Detection2DArray, "detections", self._on_detections, QoSProfile(depth=10))
        for line in parameter_files.unused_qos(self):
            self._log.warning(line, once=True)

    def _subscribe(
        self,
        kind: type,
        topic: str,
        callback: Callable,
        qos: QoSProfile,
        overridable: Sequence[QoSPolicyKind] = (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.RELIABILITY),
    ) -> None:
        options = QoSOverridingOptions(overridable)
        # One group for each, or rclpy would serve a topic only while earlier ones have no messages. New ones each time:
        # it never frees the group of a subscription that is destroyed just before its callback.
        group = MutuallyExclusiveCallbackGroup()
        self._inputs.append(
            self.create_subscription(kind, topic, callback, qos, callback_group=group, qos_overriding_options=options)
        )

    def _close_inputs(self) -> None:
        closed, self._inputs = self._inputs, []
        for subscription in closed:
            self.destroy_subscription(subscription)

    def _on_image(self, message: Image | CompressedImage) -> None:
        self._last_image = time.monotonic()
        if (stream := self._stream) is not None:
            # Images of a driver that does not stamp them get their time of arrival.
            stamp = stamp if (stamp := nanoseconds(message.header.stamp)) > 0 else self._arrival_clock.now()
            stream.put_image(ArrivedImage(message, stamp))

    def _on_prompts(self, message: msg.PromptArray) -> None:
        order = AnswerOrder()
        for prompt in message.prompts:
            self._submit_message(message.header, prompt, PROMPTS, order)

    def _on_click(self, message: PointStamped) -> None:
        self._submit_click(message.header, message.point, CLICKS)

    def _on_mouse(self, message: Point) -> None:
        self._submit_click(Header(), message, MOUSE)

    def _submit_click(self, header: Header, point: Point, source: Source) -> None:
        try:
            prompt = prompts.from_point(point)
        except PromptError as error:
            self._refuse(header, 0, str(error))
        else:
            self._submit_prompt(header, prompt, source)

    def _on_detections(self, message: Detection2DArray) -> None:
        max_overlap = self._value("detection_max_overlap")
        proposal = Proposal(max_overlap, self._value("detection_forget_after"))
        detected, left_out = prompts.from_detections(message, self._value("detection_min_score"), max_overlap)
        for reason, number in left_out.items():
            self._meter.count(f"detections {reason}", number)
        for prompt in detected:
            self._submit_prompt(message.header, prompt, DETECTIONS, proposal)

    def _submit_message(
        self, header: Header, message: msg.Prompt, source: Source, order: AnswerOrder | None = None
    ) -> Future[msg.PromptResult]:
        try:
            prompt = prompts.from_message(message)
        except PromptError as error:
            return self._refuse(header, message.object_id, str(error), order)
        return self._submit_prompt(header, prompt, source, order=order)

    def _submit_prompt(
        self,
        header: Header,
        prompt: Prompt,
        source: Source,
        proposal: Proposal | None = None,
        order: AnswerOrder | None = None,
    ) -> Future[msg.PromptResult]:
        if (stream := self._stream) is None:
            return self._refuse(header, prompt.object_id, "the node is not configured", order)
        return stream.put_prompt(header, prompt, self._value("prompt_timeout"), proposal, source, order)

    def _refuse(
        self, header: Header, object_id: int, reason: str, order: AnswerOrder | None = None
    ) -> Future[msg.PromptResult]:
        answer: Future[msg.PromptResult] = Future()
        result = prompts.refused(header, object_id, reason)

        def publish() -> None:
            self._log.warning(f"Prompt refused: {reason}", throttle_duration_sec=2.0)
            self._meter.count("prompts refused")
            self._results.publish(result)
            answer.set_result(result)

        (order or AnswerOrder()).then(publish)
        return answer

    # Services

    def _serve_prompt(
        self, request: srv.PromptObject.Request, response: srv.PromptObject.Response
    ) -> srv.PromptObject.Response:
        response.result = self._submit_message(request.header, request.prompt, SERVICE).result()
        return response

    def _serve_remove(
        self, request: srv.RemoveObject.Request, response: srv.RemoveObject.Response
    ) -> srv.RemoveObject.Response:
        def remove(tracker: Tracker) -> str:
            tracker.remove(request.object_id)
            return f"object {request.object_id} is not tracked any more"

        response.success, response.message = self._call_tracker(remove)
        return response

    def _serve_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if (stream := self._stream) is None:
            response.success, response.message = False, "the node is not configured"
            return response
        try:
            response.message = f"{stream.reset().result()} objects are forgotten; IDs start again at 1"
            response.success = True
        except Exception as error:
            response.success, response.message = False, excerpt(str(error))
        return response

    def _serve_list(
        self, request: srv.ListObjects.Request, response: srv.ListObjects.Response
    ) -> srv.ListObjects.Response:
        def list_objects(tracker: Tracker) -> str:
            if tracker.newest is not None:
                response.header = self._stream.header_of(tracker.newest.stamp)
                newest = tracker.newest.masklets
                response.objects = [masklets.to_message(masklet, with_mask=False) for masklet in newest]
                response.history = [time_message(stamp) for stamp in tracker.stamps]
            return ""

        response.success, response.message = self._call_tracker(list_objects)
        return response

    def _call_tracker(self, function: Callable[[Tracker], str]) -> tuple[bool, str]:
        """Calls a function with the tracker, between two images. Returns whether it succeeded, and a message."""
        if (stream := self._stream) is None:
            return False, "the node is not configured"
        try:
            return True, stream.call(function).result()
        except Exception as error:
            return False, excerpt(str(error))

    # Publishers; called by the stream, in its thread

    def on_frame(self, frame: Frame, header: Header, image: np.ndarray) -> None:
        if not self.context.ok():  # the process is ending
            return
        self._masklets.publish(masklets.to_array(frame, header))
        if self._labels.get_subscription_count():
            self._labels.publish(to_message(masklets.label_image(frame), "mono16", header))
        self.on_change(frame, header, image)

    def on_change(self, frame: Frame, header: Header, image: np.ndarray) -> None:
        raw, jpeg = self._overlay.get_subscription_count(), self._overlay_jpeg.get_subscription_count()
        if raw or jpeg:
            picture = self._overlay_renderer.draw(image, frame.masklets)
            if raw:
                self._overlay.publish(to_message(picture, "rgb8", header))
            if jpeg:
                self._overlay_jpeg.publish(to_jpeg(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), header))

    def on_answer(self, result: msg.PromptResult, prompt: Prompt) -> None:
        if not self.context.ok():
            return
        if result.accepted:
            applied = [prompts.to_message(prompt, result.object_id)]
            self._applied.publish(msg.PromptArray(header=result.header, prompts=applied))
        self._results.publish(result)

    def _publisher(self, kind: type, topic: str, depth: int, always: bool = False) -> Publisher:
        """A publisher that publishes while the node is active, or always."""
        create = self.create_publisher if always else self.create_lifecycle_publisher
        options = QoSOverridingOptions.with_default_policies()
        return create(kind, topic, QoSProfile(depth=depth), qos_overriding_options=options)

    def _report(self) -> None:
        if not self.context.ok():  # the process is ending
            return
        now, name = self.get_clock().now().to_msg(), self.get_fully_qualified_name()
        if (warning := self._namesakes.new_warning()) is not None:
            self._log.warning(warning)
        if (state := self._stream_diagnostics) is None:
            level = DiagnosticStatus.ERROR if self._configure_error else DiagnosticStatus.WARN
            self._diagnostics.publish(idle(name, level, self._configure_error or "not configured", now))
        elif not (inputs := self._inputs):
            self._diagnostics.publish(idle(name, DiagnosticStatus.WARN, "not active", now))
        else:
            self._diagnostics.publish(state.message(now, stream.objects if (stream := self._stream) is not None else 0))
            self._warn_without_images(inputs[0])
            self._warn_without_clock()
            if (lost := self._losses.line()) is not None:
                self._log.warning(lost)

    def _warn_without_clock(self) -> None:
        """Warns if simulated time is configured but not published."""
        if not self._value("use_sim_time") or self.get_clock().now().nanoseconds:
            self._clock_ran_at = time.monotonic()
        elif time.monotonic() - self._clock_ran_at > CLOCK_TIMEOUT:
            self._log.warning(
                "use_sim_time is set, but /clock is not published: images without a stamp get their time of arrival."
                " Start the simulation, play the bag with --clock, or unset use_sim_time",
                throttle_duration_sec=30.0,
            )

    def _warn_without_images(self, images: Subscription) -> None:
        """Warns if no images arrive, with the likely reason."""
        without = time.monotonic() - self._last_image
        if without < IMAGE_TIMEOUT:
            return
        topic, kind = images.topic_name, images.msg_type.__name__
        types = sorted({info.topic_type for info in self.get_publishers_info_by_topic(topic)})
        if topic.endswith("/compressed"):
            other, transport = topic.removesuffix("/compressed"), "raw"
        else:
            other, transport = f"{topic}/compressed", "compressed"
        if images.get_publisher_count():
            hint = "its publisher sends nothing, or nothing arrives (README: large images get lost)"
        elif types:
            hint = f"the type published there is {', '.join(types)}"
        elif self.count_publishers(other):
            hint = f"there is no publisher, but there is one on {other}: set image_transport to {transport}"
        else:
            hint = "there is no publisher: set the image argument of the launch file, or remap `image`"
        self._log.warning(f"No {kind} has come on {topic} for {without:.0f} s; {hint}", throttle_duration_sec=30.0)


class _RosLogHandler(logging.Handler):
    """Passes the package's Python log to ROS's log."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        log = self._log.error if record.levelno >= logging.ERROR else self._log.warning
        log(record.getMessage())


def network_threads(image_size: int, encode_ahead: bool, kernels: bool) -> int:
    """Number of CPU threads per operation, if not configured.

    One per core; of more than two cores, one is left to the rest of the robot. Small images are encoded ahead on one
    half of the cores while objects are tracked on the other half, unless our kernels for CPUs run whole parts of the
    network as one operation each.
    """
    cores = len(os.sched_getaffinity(0))
    if encode_ahead and image_size <= MAX_SMALL_IMAGE_SIZE and not kernels:
        return max(1, cores // 2)
    return cores if cores <= 2 else cores - 1


def _refuse_impossible_transitions(node: Sam2Node) -> None:
    """Makes the node refuse impossible transitions, such as "activate" of a node that is not configured.

    In rclpy (Jazzy) they raise through the executor, which ends the node without an answer to the request.
    """
    service = node._service_change_state
    change_state = service.callback

    def answer(request, response):
        try:
            return change_state(request, response)
        except Exception as error:
            if node.context.ok():  # otherwise the process is ending
                node._log.error(f"Transition refused: {error}", throttle_duration_sec=2.0)
            response.success = False
            return response

    service.callback = answer


def main() -> int:
    epilog = "Parameters are given as --ros-args -p NAME:=VALUE; config/sam2.yaml and docs/parameters.md list them."
    usage = "%(prog)s [-h] [--ros-args -r image:=TOPIC -p NAME:=VALUE ...]"
    parser = argparse.ArgumentParser("sam2", usage, __doc__.splitlines()[0], epilog)
    parser.parse_args(process.own_arguments("sam2"))
    return process.run("sam2", _run)


def _run() -> int:
    try:
        node = Sam2Node()
    except Exception as error:  # a parameter of the wrong type or out of range
        if rclpy.ok():  # otherwise a signal has arrived in the meantime
            print(f"sam2: {error}", file=sys.stderr)
            return 1
        return 0
    executor = MultiThreadedExecutor(EXECUTOR_THREADS)
    executor.add_node(node)
    while rclpy.ok():
        try:
            executor.spin()
        except ExternalShutdownException:
            break
        except InvalidHandle:  # deactivation has destroyed a subscription that the executor was about to use
            continue
        except Exception as error:  # from a callback; no message stops the node
            if rclpy.ok():  # otherwise a shutdown has arrived while the executor was about to wait
                node._log.error(f"{type(error).__name__}: {error}", throttle_duration_sec=2.0)
    stopping.stop()  # Python waits for the threads of callbacks, and one of them may be building kernels
    node.destroy_node()
    return 0


if __name__ == "__main__":
    sys.exit(main())
