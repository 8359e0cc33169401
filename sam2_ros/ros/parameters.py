"""The parameters of the nodes: the only definition of their names, types, defaults, ranges and descriptions.

The nodes declare them, the launch file takes them as arguments, and `python -m sam2_ros.ros.parameter_docs` writes them
into config/sam2.yaml and docs/parameters.md. Importing this file loads neither PyTorch nor OpenCV.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sam2_ros.ros.excerpt import excerpt
from sam2_ros.tracking.masklet import BOX_MIN_PART

Value = bool | int | float | str | tuple[str, ...]

MAX_SHOWN_CHARACTERS = 80
"""Maximum length of a refused value in the message."""


@dataclass(frozen=True)
class ParameterSpec:
    """One parameter of a node, of the type of its default. A tuple is a list of texts."""

    name: str
    default: Value
    text: str
    """Description in full sentences, for all documentation."""
    range: tuple[float, float] | None = None
    """Smallest and largest value of a number."""
    choices: tuple[str, ...] = ()
    """All values of a string; empty: any string."""
    applies: Literal["start", "configure", "immediately"] = "configure"
    """When a value takes effect: when the node starts (read-only), when it is configured, or as soon as it is set."""
    numbers_are_strings: bool = False
    """Whether numbers are accepted for a string, since YAML reads the number of a webcam as one."""
    values: str = ""
    """Description of the accepted values if type, range and choices are not enough."""

    @property
    def accepted(self) -> str:
        """The accepted values in words, such as "a whole number from 1 to 1024"."""
        if self.values:
            return self.values
        if self.choices:
            return "one of: " + ", ".join(self.choices)
        kinds = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", tuple: "texts"}
        kind = kinds[type(self.default)]
        kind += " or a number" if self.numbers_are_strings else ""
        return kind + (f" from {self.range[0]:.10g} to {self.range[1]:.10g}" if self.range else "")

    def check(self, value: object) -> None:
        """Checks type, range and choices. Raises ValueError with one line that names the parameter."""
        kinds = {bool: (bool,), int: (int,), float: (int, float), str: (str,), tuple: (list, tuple)}[type(self.default)]
        if self.numbers_are_strings:
            kinds = (str, int, float)
        fits = type(value) in kinds and (self.default != () or all(isinstance(text, str) for text in value))
        fits = fits and (self.range is None or self.range[0] <= value <= self.range[1])
        if not fits or (self.choices and value not in self.choices):
            shown = excerpt(repr(value), MAX_SHOWN_CHARACTERS)
            raise ValueError(f"{self.name} is {shown}; it must be {self.accepted}")

    def parse(self, text: str) -> Value:
        """Reads a value from the command line. Raises ValueError with the accepted values if it has the wrong type."""
        kind = type(self.default)
        if kind is tuple:
            return tuple(filter(None, (part.strip(" []'\"") for part in text.split(","))))
        try:
            return {"true": True, "false": False, "1": True, "0": False}[text.lower()] if kind is bool else kind(text)
        except (KeyError, ValueError):
            raise ValueError(f"{self.name}:={text} cannot be: it must be {self.accepted}") from None


SAM2_PARAMETERS = (
    ParameterSpec(
        "autostart",
        True,
        "Configure and activate the node when it starts. false: wait for a lifecycle manager.",
        applies="start",
    ),
    ParameterSpec(
        "cameras",
        (),
        "Names of several cameras, as in [front, rear]. Each has topics and services of its own, such as front/image"
        " and ~/front/masklets, and all share one network. Empty: one camera, with image and ~/masklets.",
        applies="start",
        values="a list of different names: letters, digits and underscores, a letter first",
    ),
    ParameterSpec(
        "model",
        "",
        "The network: default, sam2_hiera_{tiny,small,base_plus,large} or sam2.1_hiera_{tiny,small,base_plus,large}."
        " Empty: the one that the checkpoint was made for, or, without a checkpoint, the small default model.",
    ),
    ParameterSpec(
        "checkpoint",
        "",
        "The weights: Meta's .pt, a .safetensors file, a Hugging Face folder, or a folder exported by"
        " sam2_ros.deployment, which ONNX Runtime runs on the CPU. Empty: the weights that belong to the model; Meta's"
        " are downloaded once.",
    ),
    ParameterSpec(
        "image_size",
        0,
        "Input size of the network: the side of a square with about as many pixels as images are resized to. Smaller is"
        " faster, larger shows smaller things. 0: the model's own.",
        range=(0, 4096),
        values="0, or a multiple of 32 up to 4096",
    ),
    ParameterSpec(
        "image_aspect",
        "",
        "Aspect (width to height) of the network's input, as in 16:9 or 1280x720; image: that of each image. Empty: the"
        " model's own, which is image for the small default model and a square for Meta's.",
    ),
    ParameterSpec(
        "device", "", "The device that runs the network: cpu, cuda, cuda:1 ... Empty: the first GPU, or else the CPU."
    ),
    ParameterSpec(
        "dtype",
        "auto",
        "The data type that the network computes in. auto: on a GPU float16 for the default model and bfloat16 for"
        " others, on a CPU float32.",
        choices=("auto", "float32", "bfloat16", "float16"),
    ),
    ParameterSpec(
        "accelerate",
        True,
        "Run the network with the kernels and graphs that are fastest on this device. false runs the plain network as"
        " the paper defines it, for comparison.",
        values="true (as fast as this device allows) or false (the plain network)",
    ),
    ParameterSpec(
        "threads",
        0,
        "CPU threads of one operation of the network. 0: one per core, except that one core is left to the rest of the"
        " robot where there are more than two; or, without kernels for this CPU, one per two cores where images up to"
        " 512 pixels are encoded ahead.",
        range=(0, 1024),
    ),
    ParameterSpec(
        "encode_ahead",
        False,
        "Encode the next image, if it has already arrived, while objects are still tracked in this one. true: up to 1.3"
        " times as many images per second on two cores or more, each masklet 1.3 to 1.9 times as late; for recordings,"
        " where rate counts. false: each image is the newest at the time its turn comes; for robots that act on it.",
    ),
    ParameterSpec(
        "image_transport",
        "raw",
        "raw: sensor_msgs/Image on the image topic. compressed: sensor_msgs/CompressedImage on"
        " <image topic>/compressed.",
        choices=("raw", "compressed"),
    ),
    ParameterSpec(
        "range_16bit",
        "auto",
        "The values of 16-bit images (mono16, rgb16, bayer_rggb16 ..., PNG) that become black and white: MIN..MAX as in"
        " 7600..8000, or full for 0..65535. auto: the values that occur in the images, followed slowly; images that use"
        " all 16 bits are left as they are.",
    ),
    ParameterSpec(
        "use_cv_bridge",
        True,
        "Read raw images with cv_bridge where it is installed, in those encodings for which a trial at the start gives"
        " the same pixels as this package. false: do not load it.",
    ),
    ParameterSpec(
        "max_image_pixels",
        8192 * 8192,
        "Larger images are skipped, compressed ones before they are decoded.",
        range=(1, 2**27),
    ),
    ParameterSpec(
        "max_objects",
        16,
        "The number of objects that can be tracked at once; a prompt for one more is refused. It cannot become less"
        " than are tracked. On a GPU, more than when the node was configured are tracked without CUDA graphs, which is"
        " slower.",
        range=(1, 1024),
        applies="immediately",
    ),
    ParameterSpec(
        "history",
        16,
        "The number of recent images that are kept, so that a late prompt is applied to the image it was made on.",
        range=(1, 1024),
    ),
    ParameterSpec(
        "prompted_memories",
        4,
        "The number of prompted images per object in the memory bank: the first, and the latest of the others. Each"
        " costs time in every image for as long as the object is tracked. Meta's predictor keeps all of them.",
        range=(2, 64),
    ),
    ParameterSpec(
        "closer_look",
        "auto",
        "Look at small things that are prompted in a window around them: a better first mask for one more encoding, and"
        " a copy of each image of the history. auto: on for the default model, off for others.",
        choices=("auto", "on", "off"),
    ),
    ParameterSpec(
        "non_overlap_masks",
        False,
        "true: each pixel belongs to at most one object, the one with the highest logit there. false: masks may"
        " overlap, like those of a cup and its handle.",
        applies="immediately",
    ),
    ParameterSpec(
        "box_min_part",
        BOX_MIN_PART,
        "Parts of a mask smaller than this share of its largest part do not count for its box, so that stray pixels do"
        " not widen it. The mask itself does not change. 0: all parts count.",
        range=(0.0, 1.0),
        applies="immediately",
    ),
    ParameterSpec(
        "publish_masks",
        False,
        "true: publish each tracked object's mask as a mono8 image on a topic of its own, ~/masks/object_ID, for tools"
        " that read nothing else.",
        applies="immediately",
    ),
    ParameterSpec(
        "keep_all",
        False,
        "true: process every image in order, for bags. false: when images come faster than they are processed, only the"
        " newest is. Cameras are subscribed to with best-effort QoS; to lose nothing on the way either, make both ends"
        " reliable (qos_overrides.<image topic>.subscription.reliability).",
    ),
    ParameterSpec(
        "max_rate",
        0.0,
        "The most images per second that are processed, by their stamps, to save computation and power; others are left"
        " out before they are decoded, also with keep_all. 0: all.",
        range=(0.0, 1000.0),
        applies="immediately",
    ),
    ParameterSpec(
        "queue_size",
        100,
        "With keep_all, the number of images that may wait. Any more are lost, with an error in the log.",
        range=(2, 100_000),
    ),
    ParameterSpec(
        "time_jump",
        "forget",
        "What happens to the tracked objects when stamps jump back by more than 2 s, as when a bag is looped or a"
        " simulation restarts. forget: they are removed, and IDs start again at 1. keep: they stay. A single wrong"
        " stamp is no jump, and a clock that is set back by less removes nothing.",
        choices=("forget", "keep"),
    ),
    ParameterSpec(
        "depth_transport",
        "raw",
        "raw: sensor_msgs/Image on the depth topic. compressedDepth: sensor_msgs/CompressedImage on"
        " <depth topic>/compressedDepth, as PNG.",
        choices=("raw", "compressedDepth"),
    ),
    ParameterSpec(
        "depth_tolerance",
        0.02,
        "Seconds that the stamps of an image and of its depth image may differ. Of several depth images, the nearest is"
        " used.",
        range=(0.0, 10.0),
        applies="immediately",
    ),
    ParameterSpec(
        "depth_wait",
        0.5,
        "Seconds that points and boxes wait for depth that comes later than the masklets, which do not wait.",
        range=(0.0, 60.0),
        applies="immediately",
    ),
    ParameterSpec(
        "depth_queue_size",
        30,
        "The number of depth images that are kept, up to 256 MiB, for images that are still being processed. With"
        " keep_all, as many as images may wait.",
        range=(1, 100_000),
    ),
    ParameterSpec(
        "image_rectified",
        False,
        "true: images and depth are rectified (image_rect), so that P of camera_info holds. false: K and the distortion"
        " do (image_raw).",
        applies="immediately",
    ),
    ParameterSpec(
        "points_layout",
        "objects",
        "The points of ~/points. objects: those of objects, in a row. organized: one for each pixel of the depth image,"
        " NaN beside objects. scene: the same with all points, those of no object with ID 0.",
        choices=("objects", "organized", "scene"),
        applies="immediately",
    ),
    ParameterSpec(
        "boxes_3d",
        "oriented",
        "The boxes of ~/objects_3d. oriented: turned so that they fit. axis_aligned: along the axes of the camera.",
        choices=("oriented", "axis_aligned"),
        applies="immediately",
    ),
    ParameterSpec(
        "publish_tf",
        False,
        "Publish the centroid of each visible object as a frame on /tf, such as sam2/object_3, below the frame of the"
        " image.",
        applies="immediately",
    ),
    ParameterSpec(
        "prompt_timeout",
        10.0,
        "Seconds that a prompt waits for an image with its stamp or a newer one before it is refused.",
        range=(0.0, 3600.0),
        applies="immediately",
    ),
    ParameterSpec(
        "detection_min_score",
        0.5,
        "Detections (vision_msgs) with a lower score are ignored.",
        range=(0.0, 1.0),
        applies="immediately",
    ),
    ParameterSpec(
        "detection_max_overlap",
        0.3,
        "A detection becomes a new object unless its box overlaps that of a tracked object by more than this IoU, or by"
        " more than twice as much that of one which has another detection in the same message.",
        range=(0.0, 1.0),
        applies="immediately",
    ),
    ParameterSpec(
        "detections_do",
        "both",
        "What detections do. start: start an object for what is new. correct: prompt an object again from which its"
        " masklet has drifted, or which is back after an absence; start nothing. both.",
        choices=("start", "correct", "both"),
        applies="immediately",
    ),
    ParameterSpec(
        "detection_confirm",
        2,
        "The number of the last detection_confirm_within messages of detectors in which a thing must have been detected"
        " before an object starts. 1: at once, also for false boxes.",
        range=(1, 50),
        applies="immediately",
    ),
    ParameterSpec(
        "detection_confirm_within",
        3,
        "The number of messages of detectors among which detection_confirm counts; at least as many as that count.",
        range=(1, 50),
        applies="immediately",
    ),
    ParameterSpec(
        "detection_correct_below",
        0.6,
        "An object is corrected when the IoU of its masklet's box with its detection is lower than this"
        " detection_correct_after times in a row.",
        range=(0.0, 1.0),
        applies="immediately",
    ),
    ParameterSpec(
        "detection_trust_above",
        0.7,
        "The IoU from which on a detection agrees with a masklet, so that earlier disagreements are forgotten.",
        range=(0.0, 1.0),
        applies="immediately",
    ),
    ParameterSpec(
        "detection_correct_after",
        3,
        "The number of detections in a row that must disagree with a masklet before its object is corrected. It doubles"
        " with each correction that does not help.",
        range=(1, 1000),
        applies="immediately",
    ),
    ParameterSpec(
        "detection_correct_all",
        False,
        "true: detections also correct objects that a person has prompted. false: only those that detections have"
        " started. They never remove a person's object.",
        applies="immediately",
    ),
    ParameterSpec(
        "detection_forget_after",
        0.0,
        "Seconds after which an object that only a detector has prompted and that is not visible is removed, to make"
        " room for others. 0: never.",
        range=(0.0, 1e6),
        applies="immediately",
    ),
    ParameterSpec(
        "overlay_opacity",
        0.15,
        "How strongly ~/overlay tints objects. 0: outlines and labels alone. 1: nothing of the object is seen.",
        range=(0.0, 1.0),
        applies="immediately",
    ),
    ParameterSpec(
        "overlay_labels",
        True,
        "Write ID, label and presence of each object into ~/overlay.",
        applies="immediately",
    ),
    ParameterSpec(
        "overlay_max_rate",
        0.0,
        "The most pictures per second on ~/overlay, to save computation and bandwidth; each shows the newest image."
        " 0: one for every image.",
        range=(0.0, 1000.0),
        applies="immediately",
    ),
    ParameterSpec(
        "save_folder",
        "",
        "The folder below which ~/save writes, and nowhere else. Empty: ~/.local/share/sam2_ros/saved.",
        applies="start",
    ),
    ParameterSpec(
        "resume_file",
        "",
        "A file in which the tracked objects are kept, written every second: after a crash or a power failure the node"
        " starts with the same objects. Its folder is made where it does not exist. Empty: a node starts without"
        " objects. See docs/resuming.md.",
        applies="start",
    ),
)

CAMERA_PARAMETERS = (
    ParameterSpec(
        "source",
        "",
        "What to play: a video file, a folder of images (frame_2 before frame_10), the number of a webcam or its"
        " device, or an address (rtsp://...).",
        applies="start",
        numbers_are_strings=True,
    ),
    ParameterSpec("rate", 0.0, "Images per second. 0: the source's own rate.", range=(0.0, 1000.0), applies="start"),
    ParameterSpec("loop", False, "Start again at the end. The stamps go on.", applies="start"),
    ParameterSpec(
        "wait_for_masklets",
        False,
        "Play as fast as images are processed: send the next image when a message on the `masklets` topic carries the"
        " stamp of the last. `rate` is ignored, and no image is lost: an image without masklets is sent again.",
        applies="start",
    ),
    ParameterSpec(
        "wait_for_subscribers",
        1,
        "The number of subscribers to wait for before playing. 0: play immediately.",
        range=(0, 1000),
        applies="start",
    ),
    ParameterSpec("frame_id", "camera", "frame_id of the images.", applies="start", numbers_are_strings=True),
)

FOLLOW_PARAMETERS = (
    ParameterSpec(
        "label",
        "",
        "The label of the object to follow. Empty: any.",
        applies="immediately",
        numbers_are_strings=True,
    ),
    ParameterSpec(
        "object_id",
        0,
        "The ID of the object to follow. 0: of the visible objects with the label, the one with the lowest ID.",
        range=(0, 2**32 - 1),
        applies="immediately",
    ),
    ParameterSpec(
        "stop_distance",
        0.8,
        "Metres between the robot and the visible side of the object at the goal.",
        range=(0.0, 100.0),
        applies="immediately",
    ),
    ParameterSpec("period", 1.0, "Seconds between goals.", range=(0.0, 3600.0), applies="immediately"),
)

DESK_PARAMETERS = (
    ParameterSpec(
        "host",
        "127.0.0.1",
        "The address that the page is served on. 127.0.0.1: only for browsers on this machine. 0.0.0.0: for other"
        " machines, too; the address that is printed then has a token, without which nobody gets in.",
        applies="start",
    ),
    ParameterSpec("port", 8642, "The port of the page. 0: any free one.", range=(0, 65535), applies="start"),
    ParameterSpec(
        "token_file",
        "",
        "A file with the token for other machines, so that the address stays the same; it is made if it is not there."
        " Empty: a new token at each start.",
        applies="start",
    ),
    ParameterSpec(
        "max_width",
        1920,
        "Wider pictures are scaled down for the page, which draws masks in the image's own pixels all the same. 0: none"
        " are.",
        range=(0, 16384),
        applies="start",
    ),
    ParameterSpec(
        "picture_rate",
        30.0,
        "The most pictures per second that each camera is shown with. 0: all that have masklets.",
        range=(0.0, 1000.0),
        applies="start",
    ),
    ParameterSpec(
        "jpeg_quality",
        80,
        "The quality of pictures from raw images; JPEGs of the camera are passed on as they are.",
        range=(1, 100),
        applies="start",
    ),
    ParameterSpec(
        "picture_transport",
        "node",
        "Where pictures come from. node: from the topic that the sam2 node takes its images from. raw, compressed: from"
        " that one beside it, such as compressed for a desk on another machine than the camera.",
        choices=("node", "raw", "compressed"),
        applies="start",
    ),
    ParameterSpec(
        "kept_pictures",
        64,
        "The number of past pictures that are kept of each camera that is watched, to go back to and point at. The sam2"
        " node keeps as many images as its own parameter history says.",
        range=(1, 1024),
        applies="start",
    ),
    ParameterSpec(
        "kept_memory",
        128,
        "The most memory for the pictures of each camera, MiB.",
        range=(1, 65536),
        applies="start",
    ),
    ParameterSpec(
        "timeline_minutes",
        5.0,
        "The minutes that the timeline of each camera goes back.",
        range=(0.1, 120.0),
        applies="start",
    ),
)
