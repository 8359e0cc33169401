"""The `sam2` node: camera images and prompts in, masklets out."""

from __future__ import annotations

from sam2_ros.requirements import require

if __name__ == "__main__":
    require("sam2")  # before the imports that would fail

import os

# Has to be said before PyTorch loads its threads. By default they wait for each other by spinning; as soon as another
# process wants a core, as on any robot, most of the time is spent so (measured: 2.5 s instead of 0.1 s for a frame).
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import argparse
import gc
import logging
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

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
from sam2_ros.acceleration.cpu.kernels.library import has_cpu_kernels
from sam2_ros.acceleration.onnx.config import read_config
from sam2_ros.acceleration.onnx.errors import GraphError
from sam2_ros.acceleration.onnx.network import OnnxNetwork
from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.checkpoints.load import check_memory, load_model
from sam2_ros.data.image_message import ImageDecoder
from sam2_ros.model.config import IMAGE, SAM2Config
from sam2_ros.model.sam2 import SAM2
from sam2_ros.ros import masklets, parameter_files, parameters, process, prompts
from sam2_ros.ros.arrival_clock import ArrivalClock
from sam2_ros.ros.diagnostics import Diagnostics, idle
from sam2_ros.ros.excerpt import excerpt
from sam2_ros.ros.image_queue import Arrived, ImageQueue
from sam2_ros.ros.images import to_jpeg, to_message
from sam2_ros.ros.log import Log
from sam2_ros.ros.losses import Losses
from sam2_ros.ros.meter import Meter
from sam2_ros.ros.namesakes import Namesakes
from sam2_ros.ros.prompt_queue import Order, Proposal, Source
from sam2_ros.ros.shared_memory import complaint
from sam2_ros.ros.stamps import nanoseconds, time_message
from sam2_ros.ros.stream import Stream
from sam2_ros.system import stopping
from sam2_ros.tracking.masklet import Frame
from sam2_ros.tracking.overlay import Overlay
from sam2_ros.tracking.prompt import Prompt, PromptError
from sam2_ros.tracking.tracker import Tracker

try:
    from vision_msgs.msg import Detection2DArray
except ImportError:
    Detection2DArray = None

MAX_WAITING_CALLS = 4
"""Calls of ~/prompt that wait for their images at the same time, and as many that wait for the network; each holds a
thread."""

EXECUTOR_THREADS = 2 * MAX_WAITING_CALLS + 9
"""One more for each callback group, and one to refuse the call that is too many: nothing waits for anything else."""

PROMPTS, SERVICE = Source("~/prompts"), Source("~/prompt", places=MAX_WAITING_CALLS)
CLICKS, MOUSE = Source("~/click", other_clock=True), Source("mouse", other_clock=True)
DETECTIONS = Source("detections")

PROMPTS_DEPTH = 1000
"""Messages with prompts that wait until they are read: who sends many at once has an answer to each."""

IMAGE_PATIENCE = 5.0
"""s without an image before somebody should look."""

CLOCK_PATIENCE = 5.0
"""s that ROS's time may stand still at 0 before somebody should look."""

SMALL = 512
"""Sides of images up to which PyTorch's operations are too small to gain from all cores, since threads have to be woken
for each (docs/speed.md, "Threads of one operation")."""

STEADY = Clock(clock_type=ClockType.STEADY_TIME)

T = TypeVar("T")


class Sam2Node(LifecycleNode):
    """Follows what somebody has pointed at through a camera's stream.

    Configuring loads the weights; activating listens to images and prompts; deactivating stops that and keeps what is
    tracked; cleaning up frees everything. Spin it with a `MultiThreadedExecutor`, so that a caller of ~/prompt, who may
    have to wait, does not keep the others waiting.
    """

    def __init__(self, **kwargs) -> None:
        super().__init__("sam2", **kwargs)
        self._log = Log(self.get_logger())
        self._stream: Stream | None = None  # while configured
        self._state: Diagnostics | None = None  # likewise
        self._meter = Meter()  # of the stream
        self._losses = Losses(self._meter)
        self._inputs: list[Subscription] = []  # while active
        self._trouble = ""  # why it could not be configured
        self._picture = Overlay()  # keeps the colours of objects
        self._last_image = 0.0  # s of the monotonic clock; when activated, until one comes
        self._without_clock = time.monotonic()  # when ROS's time ran last
        self._arrivals = ArrivalClock(lambda: self.get_clock().now().nanoseconds)
        parameters.declare(self)
        _survive_impossible_transitions(self)
        self._to_ros_log = _ToRosLog(self._log)
        logging.getLogger("sam2_ros").addHandler(self._to_ros_log)

        self._masklets = self._output(msg.MaskletArray, "~/masklets", depth=10)
        self._labels = self._output(Image, "~/labels", depth=1)
        self._overlay = self._output(Image, "~/overlay", depth=1)
        self._overlay_jpeg = self._output(CompressedImage, "~/overlay/compressed", depth=1)
        # Who prompts a node that is not active should hear so, and who watches it, too.
        self._results = self._output(msg.PromptResult, "~/prompt_results", depth=PROMPTS_DEPTH, always=True)
        self._applied = self._output(msg.PromptArray, "~/applied_prompts", depth=100, always=True)
        self._diagnostics = self._output(DiagnosticArray, "/diagnostics", depth=10, always=True)

        if (small := complaint(rclpy.get_rmw_implementation_identifier())) is not None:
            self._log.warning(small)
        self._namesakes = Namesakes(self, [self.resolve_topic_name("~/masklets")])

        calls, management = ReentrantCallbackGroup(), MutuallyExclusiveCallbackGroup()
        self.create_service(srv.PromptObject, "~/prompt", self._serve_prompt, callback_group=calls)
        self.create_service(srv.RemoveObject, "~/remove", self._serve_remove, callback_group=management)
        self.create_service(Trigger, "~/reset", self._serve_reset, callback_group=management)
        self.create_service(srv.ListObjects, "~/list", self._serve_list, callback_group=management)

        parameter_files.warn_of_unused(self, sys.argv)
        self.create_timer(1.0, self._report, clock=STEADY)
        if self.get_parameter("autostart").value:
            self._autostart = self.create_timer(0.0, self._start, clock=STEADY)  # once somebody spins

    @property
    def is_configured(self) -> bool:
        return self._stream is not None

    def destroy_node(self) -> None:
        self._release()
        logging.getLogger("sam2_ros").removeHandler(self._to_ros_log)
        super().destroy_node()

    # Lifecycle

    def _start(self) -> None:
        self.destroy_timer(self._autostart)
        try:
            if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
                self.trigger_activate()
        except Exception:
            if self.context.ok():  # else the process is ending, and rclpy cannot tell anybody of the transition
                raise

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            self._load()
        except stopping.Stopped:
            return TransitionCallbackReturn.FAILURE
        except Exception as error:  # there is no such file or device, it has too little memory ...
            kind = "" if isinstance(error, (CheckpointError, GraphError)) else f"{type(error).__name__}: "
            self._trouble = f"Not configured: {kind}{error}"
            self._log.error(self._trouble)
            return TransitionCallbackReturn.FAILURE
        self._trouble = ""
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        result = super().on_activate(state)
        self._stream.open()  # before anything can come in
        self._last_image = time.monotonic()
        try:
            self._open_inputs()
        except Exception as error:  # QoS that cannot be, for instance; rclpy would not say a word
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
        """The network, and the thread that runs it."""
        # A thread that wants the interpreter waits so long for another one, at each of thousands of operations: with
        # the usual 5 ms, encoding ahead lowers the rate instead of raising it (docs/speed.md).
        sys.setswitchinterval(1e-4)
        model = self._network()
        check_memory(model)  # before what takes a minute
        dtype, accelerate = self._value("dtype"), self._value("accelerate")
        on_cpu = isinstance(model, SAM2) and model.device.type == "cpu"
        kernels = accelerate and on_cpu and has_cpu_kernels(torch.float32)
        threads = self._threads(model.config, kernels)
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
        tracker = Tracker(
            model,
            history=self._value("history"),
            max_objects=self._value("max_objects"),
            prompted_memories=self._value("prompted_memories"),
            non_overlap_masks=self._value("non_overlap_masks"),
            box_min_part=self._value("box_min_part"),
            dtype=None if dtype == "auto" else getattr(torch, dtype),
            accelerate=accelerate,
        )
        lossless = self._value("keep_all")
        images, meter = ImageQueue(self._value("queue_size") if lossless else 1), Meter()
        self._state = Diagnostics(self.get_fully_qualified_name(), tracker, images, meter, lossless)
        decoder = ImageDecoder(self._value("range_16bit"), self._value("max_image_pixels"))
        ahead, keep = self._value("encode_ahead"), self._value("time_jump") == "keep"
        self._meter, self._losses = meter, Losses(meter)
        self._stream = Stream(
            tracker, images, meter, self, self._log, encode_ahead=ahead, keep_over_jumps=keep, decoder=decoder
        )
        config = tracker.network.config
        size = f"{config.image_size}x{config.image_size} pixels"
        shape = "the aspect of the images" if config.aspect == IMAGE else f"aspect {config.aspect}"
        self._log.info(f"Configured: model {config.name} at {size}, {shape}, on {model.device}, {threads} threads")

    def _network(self) -> SAM2 | OnnxNetwork:
        names = ("model", "device", "image_size", "image_aspect")
        model, device, size, aspect = (self._value(name) or None for name in names)
        checkpoint = Path(given).expanduser() if (given := self._value("checkpoint")) else None
        if checkpoint is None or not any(checkpoint.glob("*.onnx")):
            return load_model(model, checkpoint, device, size, aspect)
        as_they_are = {"device": ("", "cpu"), "dtype": ("auto", "float32"), "accelerate": (True,)}
        as_they_are |= {"image_size": (0,), "image_aspect": ("",)}
        for name, fits in as_they_are.items():
            if self._value(name) not in fits:
                raise ValueError(f"exported graphs run as they are, on a CPU in float32; {name} is {self._value(name)}")
        return OnnxNetwork(checkpoint, threads=self._threads(read_config(checkpoint), False))

    def _threads(self, config: SAM2Config, kernels: bool) -> int:
        return self._value("threads") or network_threads(config.image_size, self._value("encode_ahead"), kernels)

    def _release(self) -> None:
        self._close_inputs()
        if self._stream is not None:
            self._stream.stop()
            self._stream = self._state = None  # with them goes the network
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _value(self, parameter: str):
        return self.get_parameter(parameter).value

    # Topics in

    def _open_inputs(self) -> None:
        compressed, keep_all = self._value("image_transport") == "compressed", self._value("keep_all")
        kind = CompressedImage if compressed else Image
        topic = self.resolve_topic_name("image") + ("/compressed" if compressed else "")
        # A reliable subscription would not hear a best-effort camera; a best-effort one hears both.
        camera = QoSProfile(
            depth=self._value("queue_size") if keep_all else 5, reliability=ReliabilityPolicy.BEST_EFFORT
        )
        # The depth is queue_size's. Overridden, it would be declared, and then keep its first value for ever.
        kinds = QoSPolicyKind.HISTORY, QoSPolicyKind.RELIABILITY
        self._input(kind, topic, self._on_image, camera, kinds)
        many = QoSProfile(depth=PROMPTS_DEPTH)
        self._input(msg.PromptArray, "~/prompts", self._on_prompts, many)
        self._input(PointStamped, "~/click", self._on_click, many)
        for clicked in ("image_mouse_left", "~/overlay_mouse_left"):
            self._input(Point, clicked, self._on_mouse, many)
        if Detection2DArray is None:
            self._log.info("vision_msgs is not installed: no detections are listened to", once=True)
        else:
            self._input(Detection2DArray, "detections", self._on_detections, QoSProfile(depth=10))
        for line in parameter_files.unused_qos(self):
            self._log.warning(line, once=True)

    def _input(
        self,
        kind: type,
        topic: str,
        callback: Callable,
        qos: QoSProfile,
        overridable: Sequence[QoSPolicyKind] = (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.RELIABILITY),
    ) -> None:
        options = QoSOverridingOptions(overridable)
        # One for each, or rclpy would serve a topic only while those before it have nothing. New ones each time: it
        # never frees the group of a subscription that is destroyed as its turn comes.
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
            # The images of a driver that does not stamp them are told apart by when they come.
            stamp = stamp if (stamp := nanoseconds(message.header.stamp)) > 0 else self._arrivals.now()
            stream.put_image(Arrived(message, stamp))

    def _on_prompts(self, message: msg.PromptArray) -> None:
        order = Order()
        for prompt in message.prompts:
            self._prompt(message.header, prompt, PROMPTS, order)

    def _on_click(self, message: PointStamped) -> None:
        self._clicked(message.header, message.point, CLICKS)

    def _on_mouse(self, message: Point) -> None:
        self._clicked(Header(), message, MOUSE)

    def _clicked(self, header: Header, point: Point, source: Source) -> None:
        try:
            prompt = prompts.from_point(point)
        except PromptError as error:
            self._refuse(header, 0, str(error))
        else:
            self._follow(header, prompt, source)  # viewers stamp with their own clock

    def _on_detections(self, message: Detection2DArray) -> None:
        max_overlap = self._value("detection_max_overlap")
        proposal = Proposal(max_overlap, self._value("detection_forget_after"))
        found, left_out = prompts.from_detections(message, self._value("detection_min_score"), max_overlap)
        for why, number in left_out.items():
            self._meter.count(f"detections {why}", number)
        for prompt in found:
            self._follow(message.header, prompt, DETECTIONS, proposal)

    def _prompt(
        self, header: Header, message: msg.Prompt, source: Source, order: Order | None = None
    ) -> Future[msg.PromptResult]:
        try:
            prompt = prompts.from_message(message)
        except PromptError as error:
            return self._refuse(header, message.object_id, str(error), order)
        return self._follow(header, prompt, source, order=order)

    def _follow(
        self,
        header: Header,
        prompt: Prompt,
        source: Source,
        proposal: Proposal | None = None,
        order: Order | None = None,
    ) -> Future[msg.PromptResult]:
        if (stream := self._stream) is None:
            return self._refuse(header, prompt.object_id, "the node is not configured", order)
        return stream.put_prompt(header, prompt, self._value("prompt_timeout"), proposal, source, order)

    def _refuse(
        self, header: Header, object_id: int, reason: str, order: Order | None = None
    ) -> Future[msg.PromptResult]:
        answer: Future[msg.PromptResult] = Future()
        result = prompts.refused(header, object_id, reason)

        def say() -> None:
            self._log.warning(f"Prompt refused: {reason}", throttle_duration_sec=2.0)
            self._meter.count("prompts refused")
            self._results.publish(result)
            answer.set_result(result)

        (order or Order()).then(say)
        return answer

    # Services

    def _serve_prompt(
        self, request: srv.PromptObject.Request, response: srv.PromptObject.Response
    ) -> srv.PromptObject.Response:
        response.result = self._prompt(request.header, request.prompt, SERVICE).result()
        return response

    def _serve_remove(
        self, request: srv.RemoveObject.Request, response: srv.RemoveObject.Response
    ) -> srv.RemoveObject.Response:
        def remove(tracker: Tracker) -> str:
            tracker.remove(request.object_id)
            return f"object {request.object_id} is not tracked any more"

        response.success, response.message = self._ask(remove)
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
                response.objects = [masklets.to_message(found, with_mask=False) for found in tracker.newest.masklets]
                response.history = [time_message(stamp) for stamp in tracker.stamps]
            return ""

        response.success, response.message = self._ask(list_objects)
        return response

    def _ask(self, question: Callable[[Tracker], str]) -> tuple[bool, str]:
        """Has something done by the tracker between two images: whether it could be done, and what there is to say."""
        if (stream := self._stream) is None:
            return False, "the node is not configured"
        try:
            return True, stream.call(question).result()
        except Exception as error:
            return False, excerpt(str(error))

    # Topics out; called by the stream, in its thread

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
            picture = self._picture.draw(image, frame.masklets)
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

    def _output(self, kind: type, topic: str, depth: int, always: bool = False) -> Publisher:
        """A topic on which the node speaks while it is active, or always."""
        create = self.create_publisher if always else self.create_lifecycle_publisher
        options = QoSOverridingOptions.with_default_policies()
        return create(kind, topic, QoSProfile(depth=depth), qos_overriding_options=options)

    def _report(self) -> None:
        if not self.context.ok():  # the process is ending
            return
        now, name = self.get_clock().now().to_msg(), self.get_fully_qualified_name()
        if (others := self._namesakes.complaint()) is not None:
            self._log.warning(others)
        if (state := self._state) is None:
            level = DiagnosticStatus.ERROR if self._trouble else DiagnosticStatus.WARN
            self._diagnostics.publish(idle(name, level, self._trouble or "not configured", now))
        elif not (inputs := self._inputs):
            self._diagnostics.publish(idle(name, DiagnosticStatus.WARN, "not active", now))
        else:
            self._diagnostics.publish(state.message(now, stream.objects if (stream := self._stream) is not None else 0))
            self._miss_images(inputs[0])
            self._miss_clock()
            if (lost := self._losses.line()) is not None:
                self._log.warning(lost)

    def _miss_clock(self) -> None:
        """Says that simulated time is wanted and that there is none."""
        if not self._value("use_sim_time") or self.get_clock().now().nanoseconds:
            self._without_clock = time.monotonic()
        elif time.monotonic() - self._without_clock > CLOCK_PATIENCE:
            self._log.warning(
                "use_sim_time is set, but nobody publishes /clock: images without a stamp are told apart by when they"
                " come. Start the simulation, play the bag with --clock, or unset use_sim_time",
                throttle_duration_sec=30.0,
            )

    def _miss_images(self, images: Subscription) -> None:
        """Says what may be wrong when no images come."""
        without = time.monotonic() - self._last_image
        if without < IMAGE_PATIENCE:
            return
        topic, wanted = images.topic_name, images.msg_type.__name__
        sent = sorted({info.topic_type for info in self.get_publishers_info_by_topic(topic)})
        if topic.endswith("/compressed"):
            other, transport = topic.removesuffix("/compressed"), "raw"
        else:
            other, transport = f"{topic}/compressed", "compressed"
        if images.get_publisher_count():
            hint = "its publisher sends nothing, or nothing arrives (README: large images get lost)"
        elif sent:
            hint = f"what is published there is {', '.join(sent)}"
        elif self.count_publishers(other):
            hint = f"nobody publishes there, but somebody does on {other}: set image_transport to {transport}"
        else:
            hint = "nobody publishes there: set the image argument of the launch file, or remap `image`"
        self._log.warning(f"No {wanted} has come on {topic} for {without:.0f} s; {hint}", throttle_duration_sec=30.0)


class _ToRosLog(logging.Handler):
    """What the rest of the package logs, in ROS's log."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        say = self._log.error if record.levelno >= logging.ERROR else self._log.warning
        say(record.getMessage())


def network_threads(image_size: int, encode_ahead: bool, kernels: bool) -> int:
    """Of one operation, where nobody has said how many.

    One for each core, of more than two cores one is left to the rest of the robot. Small images are encoded ahead on
    one half of the cores while objects are looked for on the other, unless whole parts of the network are one operation
    each, by our kernels for CPUs.
    """
    cores = len(os.sched_getaffinity(0))
    if encode_ahead and image_size <= SMALL and not kernels:
        return max(1, cores // 2)
    return cores if cores <= 2 else cores - 1


def _survive_impossible_transitions(node: Sam2Node) -> None:
    """Has a request like "activate", made to a node that is not configured, answered with no.

    rclpy (Jazzy) lets it raise through the executor, which ends the node, and nobody gets an answer.
    """
    service = node._service_change_state
    change_state = service.callback

    def answer(request, response):
        try:
            return change_state(request, response)
        except Exception as error:
            if node.context.ok():  # else the process is ending
                node._log.error(f"Transition refused: {error}", throttle_duration_sec=2.0)
            response.success = False
            return response

    service.callback = answer


def main() -> int:
    told = "Parameters are given as --ros-args -p NAME:=VALUE; config/sam2.yaml lists them and says what they mean."
    usage = "%(prog)s [-h] [--ros-args -r image:=TOPIC -p NAME:=VALUE ...]"
    words = argparse.ArgumentParser("sam2", usage, __doc__.splitlines()[0], told)
    words.parse_args(process.own_arguments("sam2"))
    return process.run("sam2", _run)


def _run() -> int:
    try:
        node = Sam2Node()
    except Exception as error:  # a parameter of the wrong type or out of range
        if rclpy.ok():  # else a signal came meanwhile
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
        except InvalidHandle:  # deactivating has destroyed a subscription while the executor was looking at it
            continue
        except Exception as error:  # of a callback; no message stops the node
            if rclpy.ok():  # else a shutdown came while the executor was about to wait
                node._log.error(f"{type(error).__name__}: {error}", throttle_duration_sec=2.0)
    stopping.stop()  # Python waits for the threads of callbacks, and one of them may be building kernels
    node.destroy_node()
    return 0


if __name__ == "__main__":
    sys.exit(main())
