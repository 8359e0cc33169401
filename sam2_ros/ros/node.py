"""The `sam2` node: camera images and prompts in, masklets out."""

from __future__ import annotations

from sam2_ros.requirements import require

if __name__ == "__main__":
    require("sam2")  # before the imports that would fail

import os

# Must be set before PyTorch starts its threads. By default they spin while they wait for each other; as soon as another
# process needs a core, as on any robot, that takes most of the time (measured: 2.5 s instead of 0.1 s for a frame).
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# Images come from anywhere. What is wrong with one says our own log, whose rate is limited.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

import contextlib
import gc
import logging
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn

import cv2
import rclpy
import torch
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.exceptions import InvalidHandle
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from sam2_ros.acceleration import Network, choice_of
from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.checkpoints.load import check_memory, load_model
from sam2_ros.command_line import CommandParser
from sam2_ros.data.image_message import pixels_of
from sam2_ros.model.config import SAM2Config
from sam2_ros.model.input_size import IMAGE
from sam2_ros.model.sam2 import SAM2
from sam2_ros.ros import parameter_files, process, shared_memory
from sam2_ros.ros.call_queue import ClosedError
from sam2_ros.ros.clock_watch import ClockWatch
from sam2_ros.ros.declaration import declare, refuse_unknown_types
from sam2_ros.ros.diagnostics import array
from sam2_ros.ros.executor import Executor
from sam2_ros.ros.image_bridge import ImageBridge
from sam2_ros.ros.log import Log
from sam2_ros.ros.namesakes import Namesakes
from sam2_ros.ros.parameter_checks import CHECKS
from sam2_ros.ros.parameters import SAM2_PARAMETERS
from sam2_ros.ros.problems import ERROR, WARN, Problem, lost_gpu
from sam2_ros.ros.prompt_inbox import MAX_WAITING_CALLS
from sam2_ros.ros.publishers import publisher
from sam2_ros.ros.tracked_camera import NOT_CONFIGURED, TRACKER_PARAMETERS, TrackedCamera
from sam2_ros.system import stopping
from sam2_ros.system.allocator import keep_freed_memory, limit_heaps
from sam2_ros.system.lost_device import loss_of_device
from sam2_ros.system.threads import network_threads
from sam2_ros.tracking.tracker import Tracker

DESCRIPTION = """The `sam2` node: camera images and prompts in, masklets out.

Parameters are given as --ros-args -p NAME:=VALUE; config/sam2.yaml and docs/parameters.md list them."""
EXAMPLES = """
%(prog)s --ros-args -r image:=/camera/color/image_raw
%(prog)s --ros-args -r image:=/camera/color/image_raw -p model:=sam2.1_hiera_tiny -p device:=cuda
%(prog)s --ros-args -p cameras:="[front, rear]" -r front/image:=/front/image_raw -r rear/image:=/rear/image_raw
"""

EXECUTOR_THREADS = 2 * MAX_WAITING_CALLS + 15
"""Threads of the executor for each camera: one per waiting call and per callback group, and one to refuse excess calls:
no callback blocks another."""


MOST_KEPT_MEMORY = 2**26
"""Bytes of freed memory that are kept for the next image, for each heap."""

HEAPS = 2
"""Heaps of the process. With more, it grows for long if images of many sizes come, as any thread of the executor may
take them."""

REPORT_PERIOD = 1.0
"""Seconds between two messages on /diagnostics."""

STEADY = Clock(clock_type=ClockType.STEADY_TIME)


class Sam2Node(LifecycleNode):
    """Tracks prompted objects through the streams of one or several cameras.

    Configuring loads the weights; activating subscribes to images and prompts; deactivating unsubscribes and keeps the
    tracked objects; cleaning up frees everything. Spin it with a `MultiThreadedExecutor`, so that a call of ~/prompt,
    which may wait, does not block other callbacks.

    Args:
        on_lost: called in any thread if the GPU is lost to this process. None: the node refuses everything and says so.
    """

    def __init__(self, on_lost: Callable[[], None] | None = None, **kwargs: Any) -> None:
        super().__init__("sam2", **kwargs)
        self._on_lost = on_lost
        self._losing, self._lost = threading.Lock(), False
        self._log = Log(self.get_logger())
        self._configured = self._configuring = False
        self._configure_error = ""
        self.cameras: tuple[TrackedCamera, ...] = ()
        self._bridge: ImageBridge | None = None  # while configured, if cv_bridge may be used
        checks = {**CHECKS, "max_objects": self._check_max_objects}
        declare(self, SAM2_PARAMETERS, checks, lambda: self.is_configured)
        refuse_unknown_types(self)
        _refuse_impossible_transitions(self)
        self._log_handler = _RosLogHandler(self._log)
        package = logging.getLogger("sam2_ros")
        package.addHandler(self._log_handler)
        package.setLevel(logging.INFO)  # it says that kernels are compiled, which takes a minute

        on_lost, names = self._end_lost, self._value("cameras") or [""]
        self.cameras = tuple(TrackedCamera(self, name, self._log, on_lost) for name in names)
        self.add_post_set_parameters_callback(self._apply_parameters)
        # In every state, since monitors need it.
        self._diagnostics = publisher(self, DiagnosticArray, "/diagnostics", depth=10, always=True)

        if (warning := shared_memory.size_warning(rclpy.get_rmw_implementation_identifier())) is not None:
            self._log.warning(warning)
        self._namesakes = Namesakes(self, [camera.outputs.masklets.topic for camera in self.cameras])
        self._clock_watch = ClockWatch(self)

        parameter_files.warn_of_unused(self, sys.argv)
        # In a group of its own: configuring takes a while, which monitors should hear.
        self.create_timer(REPORT_PERIOD, self._report, MutuallyExclusiveCallbackGroup(), clock=STEADY)
        if self.get_parameter("autostart").value:
            self._autostart = self.create_timer(0.0, self._start, clock=STEADY)  # fires once the node is spun

    @property
    def is_configured(self) -> bool:
        return self._configured

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
        self._configuring = True
        try:
            self._load()
        except stopping.Stopped:
            return TransitionCallbackReturn.FAILURE
        except Exception as error:  # no such file or device, too little memory ...
            self._release()
            kind = "" if isinstance(error, CheckpointError) else f"{type(error).__name__}: "
            self._configure_error = f"Not configured: {kind}{error}"
            self._log.error(self._configure_error)
            # Without a trial on the GPU: where no process can use it, starting again and again would not help.
            if (why := loss_of_device(error, torch.device("cpu"))) is not None:
                self._end_lost(lost_gpu(why))
            return TransitionCallbackReturn.FAILURE
        finally:
            self._configuring = False
        self._configure_error = ""
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        result = super().on_activate(state)
        try:
            for camera in self.cameras:
                camera.open()
        except Exception as error:  # impossible QoS, for instance; rclpy would not log it
            if not self.context.ok():  # the process is ending
                return TransitionCallbackReturn.FAILURE
            self._log.error(f"Not active: {type(error).__name__}: {error}")
            self.on_deactivate(state)
            return TransitionCallbackReturn.FAILURE
        for line in parameter_files.unused_qos(self):
            self._log.warning(line, once=True)
        topics = sorted(topic for camera in self.cameras for topic in camera.inputs.topic_names)
        self._log.info("Active, listening to " + ", ".join(topics))
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        for camera in self.cameras:
            camera.close()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._release(forget=True)
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
        keep_freed_memory(MOST_KEPT_MEMORY)
        self._bridge = ImageBridge(self._log) if self._value("use_cv_bridge") else None  # is tried in the meantime
        model = self._load_network()
        check_memory(model)  # before the kernels are built, which takes a minute
        dtype, closer_look = self._value("dtype"), self._value("closer_look")
        tracker = Tracker(
            model,
            history=self._value("history"),
            max_objects=self._value("max_objects"),
            prompted_memories=self._value("prompted_memories"),
            non_overlap_masks=self._value("non_overlap_masks"),
            box_min_part=self._value("box_min_part"),
            dtype=None if dtype == "auto" else getattr(torch, dtype),
            closer_look=None if closer_look == "auto" else closer_look == "on",
            accelerate=self._value("accelerate"),
        )
        config, choice = tracker.network.config, choice_of(tracker.network)
        threads = self._thread_count(config, kernels=model.device.type == "cpu" and choice.has_own_kernels)
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
        read = self._bridge.read if self._bridge is not None else pixels_of
        if not self._value("encode_ahead"):
            # One turn for everything: each operation has all cores, and images that wait meanwhile become one batch.
            tracker.encoder.turn = tracker.turn
        for i, camera in enumerate(self.cameras):
            camera.configure(tracker.sibling() if i else tracker, self._value("encode_ahead"), read)
        self._configured = True
        gc.collect()
        gc.freeze()  # what is there now stays: collections, during which no thread runs, need not visit it
        size = f"{config.image_size}x{config.image_size} pixels"
        shape = "the aspect of the images" if config.aspect == IMAGE else f"aspect {config.aspect}"
        model = f"model {config.name} at {size}, {shape}, on {model.device}"
        shared = f", for {len(self.cameras)} cameras" if len(self.cameras) > 1 else ""
        self._log.info(f"Configured: {model}, {threads} thread{'s' * (threads != 1)}, {choice}{shared}")

    def _load_network(self) -> SAM2 | Network:
        names = ("model", "device", "image_size", "image_aspect")
        model, device, size, aspect = (self._value(name) or None for name in names)
        checkpoint = self._value("checkpoint") or None
        return load_model(
            model, checkpoint, device, size, aspect, lambda config: self._thread_count(config, kernels=False)
        )

    def _thread_count(self, config: SAM2Config, kernels: bool) -> int:
        return self._value("threads") or network_threads(config.image_size, self._value("encode_ahead"), kernels)

    def _release(self, forget: bool = False) -> None:
        for camera in self.cameras:
            camera.release(forget)
        if self._bridge is not None:
            self._bridge.close()
            self._bridge = None
        if self._configured:
            self._configured = False
            gc.unfreeze()
            gc.collect()  # frees the network
            with contextlib.suppress(RuntimeError):  # of a GPU that is lost
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()

    def _value(self, parameter: str):
        return self.get_parameter(parameter).value

    def _check_max_objects(self, number: int) -> None:
        if (tracked := max((camera.objects for camera in self.cameras), default=0)) > number:
            raise ValueError(f"{tracked} objects are tracked; remove some first")

    def _apply_parameters(self, parameters: list[Parameter]) -> None:
        if {parameter.name for parameter in parameters}.isdisjoint(TRACKER_PARAMETERS):
            return
        try:
            for camera in self.cameras:
                camera.apply_parameters()
        except ClosedError:  # the stream has ended in the meantime
            return

    def _report(self) -> None:
        try:
            self._publish_diagnostics()
        except Exception:
            if self.context.ok():  # otherwise the process is ending
                raise

    def _publish_diagnostics(self) -> None:
        if (warning := self._namesakes.new_warning()) is not None:
            self._log.warning(warning)
        if (clock := self._clock_watch.problem()) is not None and self._configured:
            self._log.state(clock.sentence, every=30.0, kind=clock.name)
        found = self._unready(), self._namesakes.problem, clock
        standing = [problem for problem in found if problem is not None]
        statuses = [camera.status(standing) for camera in self.cameras]
        self._diagnostics.publish(array(statuses, self.get_clock().now().to_msg()))
        for camera in self.cameras:
            camera.warn()

    def _unready(self) -> Problem | None:
        """Why the node is not configured."""
        if self._configuring:
            text = "configuring: weights are loaded, and at the first start kernels are compiled, which takes a minute"
            return Problem("state", WARN, text)
        if self._configured:
            return None
        return Problem("state", ERROR, self._configure_error) if self._configure_error else NOT_CONFIGURED

    def _end_lost(self, reason: str) -> None:
        """Say that the GPU is lost, and end the process if it is ours. Called in the thread of each stream."""
        with self._losing:
            if self._lost:
                return
            self._lost = True
        self._log.error(f"The node cannot go on: {reason}. With respawn:=true, the launch file starts it again")
        with contextlib.suppress(Exception):  # a signal may arrive in the meantime
            self._report()
            self._diagnostics.wait_for_all_acked(Duration(seconds=0.5))
        if self._on_lost is not None:
            self._on_lost()


class _RosLogHandler(logging.Handler):
    """Passes the package's Python log to ROS's log."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR:
            self._log.error(record.getMessage())
        elif record.levelno >= logging.WARNING:
            self._log.warning(record.getMessage())
        else:
            self._log.info(record.getMessage())


def _refuse_impossible_transitions(node: Sam2Node) -> None:
    """Makes the node refuse impossible transitions, such as "activate" of a node that is not configured.

    In rclpy (Jazzy) they raise through the executor, which ends the node without an answer to the request; and rcl logs
    each label that it does not know, however long and often.
    """
    service = node._service_change_state
    change_state = service.callback

    def answer(request, response):
        number, label = request.transition.id, request.transition.label  # a label counts more
        try:
            possible = {label: number for number, label, *_ in node._state_machine.available_transitions}
            if label in possible if label else number in possible.values():
                return change_state(request, response)
            error = f"{label or number} is none of the possible ones: {', '.join(possible)}"
        except Exception as exception:
            error = str(exception)
        if node.context.ok():  # otherwise the process is ending
            node._log.error(f"Transition refused: {error}", throttle_duration_sec=2.0)
        response.success = False
        return response

    service.callback = answer


def main() -> NoReturn:
    usage = "%(prog)s [-h] [--ros-args -r image:=TOPIC -p NAME:=VALUE ...]"
    parser = CommandParser("sam2_ros.ros.node", DESCRIPTION, EXAMPLES, usage)
    parser.parse_args(process.own_arguments("sam2"))
    limit_heaps(HEAPS)
    process.exit_now(process.run("sam2", _run))


def _run() -> int:
    lost = threading.Event()

    def end() -> None:
        lost.set()
        process.exit_soon(process.LOST)
        rclpy.try_shutdown()

    try:
        node = Sam2Node(on_lost=end)
    except Exception as error:  # a parameter of the wrong type or out of range
        if rclpy.ok():  # otherwise a signal has arrived in the meantime
            print(f"sam2: {error}", file=sys.stderr)
            return 1
        return 0
    executor = Executor(EXECUTOR_THREADS * len(node.cameras), node._log)
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
    stopping.stop()
    node.destroy_node()
    executor.wait_for_callbacks()  # one may be building kernels, and removes its files now
    return process.LOST if lost.is_set() else 0


if __name__ == "__main__":
    main()
