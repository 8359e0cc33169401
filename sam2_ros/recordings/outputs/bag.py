"""A bag with the masklets of a run beside the original messages, or alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from pathlib import Path

from PIL import ExifTags

from sam2_ros.data.bag_copy import BagCopy
from sam2_ros.data.bag_types import typestore
from sam2_ros.data.bag_writer import BagWriter
from sam2_ros.data.images import opened
from sam2_ros.data.jpeg import encode_jpeg
from sam2_ros.recordings.bag_recording import BagRecording
from sam2_ros.recordings.folder_recording import FolderRecording
from sam2_ros.recordings.masklet_store import StoredFrame
from sam2_ros.recordings.outputs.finished_run import FinishedRun
from sam2_ros.recordings.outputs.messages import JPEG, MASKLETS, PROMPTS, Messages
from sam2_ros.recordings.recording import RecordedImage, Recording

MASKLET_TOPIC = "/sam2/masklets"
PROMPT_TOPIC = "/sam2/applied_prompts"
IMAGE_TOPIC = "/camera/image_raw/compressed"
"""Topic of the images of a video or folder."""

TOPICS = {MASKLET_TOPIC: (MASKLETS, 10), PROMPT_TOPIC: (PROMPTS, 100), IMAGE_TOPIC: (JPEG, 10)}
"""Type and depth of each topic."""

_FOREVER = {"sec": 9223372036, "nsec": 854775807}
QOS = {
    "history": "keep_last",
    "depth": 10,
    "reliability": "reliable",
    "durability": "volatile",
    "deadline": _FOREVER,
    "lifespan": _FOREVER,
    "liveliness": "automatic",
    "liveliness_lease_duration": _FOREVER,
    "avoid_ros_namespace_conventions": False,
}
"""That of the live node's publishers."""

QUALITY = 95
"""Of JPEGs, 1 .. 100."""

THREADS = 2
"""That pack JPEGs."""

Message = tuple[int, str, bytes]
"""Time of receipt, ns; topic; data."""


def write(run: FinishedRun, folder: Path) -> list[str]:
    """Write the bag. Returns what the user should know.

    Raises:
        OSError: the folder cannot be written, or the recording cannot be read.
        ClipError: the recording is damaged.
    """
    recording = run.recording
    bag = BagWriter(folder)
    try:
        if run.originals and isinstance(recording, BagRecording):
            notes = _beside(bag, run, recording)
        else:
            notes = []
            topics = _add_topics(bag, [MASKLET_TOPIC, PROMPT_TOPIC, *[IMAGE_TOPIC] * run.originals])
            for time, topic, data in _with_images(run) if run.originals else _answers(run):
                bag.write(topics[topic], time, data)
    except BaseException:
        bag.abandon()
        raise
    bag.close()
    return notes


def _beside(bag: BagWriter, run: FinishedRun, recording: BagRecording) -> list[str]:
    """Write all messages of the recording, and those of the run behind their images."""
    lost_images = run.store.frame_count < len(recording.span)
    copy = BagCopy(recording.path, {MASKLET_TOPIC, PROMPT_TOPIC}, verify=lost_images)
    pieces, answers = copy.write(bag), _answers(run)
    next(pieces)
    topics = _add_topics(bag, [MASKLET_TOPIC, PROMPT_TOPIC])
    answer = next(answers, None)
    for newest in chain(pieces, [2**64]):
        while answer is not None and answer[0] <= newest:
            time, topic, data = answer
            bag.write(topics[topic], time, data)
            answer = next(answers, None)
    notes = []
    if copy.left_out:
        replaced = " and ".join(sorted(copy.left_out))
        notes.append(f"{replaced} of {recording.path} are replaced by those of this run")
    if copy.damaged:
        chunks = "a damaged chunk" if copy.damaged == 1 else f"{copy.damaged} damaged chunks"
        notes.append(f"{chunks} of {recording.path} {'is' if copy.damaged == 1 else 'are'} left out of the bag")
    return notes


def _add_topics(bag: BagWriter, names: Sequence[str]) -> dict[str, int]:
    """Add topics of this module; their numbers by name."""
    store = typestore()
    numbers = {}
    for name in names:
        kind, depth = TOPICS[name]
        qos = [{**QOS, "depth": depth}]
        definition, _ = store.generate_msgdef(kind, ros_version=2)
        numbers[name] = bag.add_topic(name, kind, definition, store.hash_rihs01(kind), qos)
    return numbers


def _answers(run: FinishedRun) -> Iterator[Message]:
    """For each image the prompts on it, and its masklets."""
    messages = Messages(run.recording.frame_id, run.store.labels)
    for frame in run.store.frames():
        yield from _answers_on(frame, run, messages)
        run.on_frame()


def _with_images(run: FinishedRun) -> Iterator[Message]:
    """As `_answers`, each after its image as JPEG."""
    messages = Messages(run.recording.frame_id, run.store.labels)
    for jpeg, frame in _jpegs(run):
        yield frame.stamp, IMAGE_TOPIC, messages.jpeg(jpeg, frame.stamp)
        yield from _answers_on(frame, run, messages)
        run.on_frame()


def _jpegs(run: FinishedRun) -> Iterator[tuple[bytes, StoredFrame]]:
    """All images as JPEG, packed by threads a few images ahead."""
    ahead: deque[tuple[Future[bytes], StoredFrame]] = deque()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="jpeg") as threads:
        for image, frame in run.pictures():
            ahead.append((threads.submit(_jpeg, run.recording, image), frame))
            if len(ahead) > 2 * THREADS:
                packed, its_frame = ahead.popleft()
                yield packed.result(), its_frame
        for packed, its_frame in ahead:
            yield packed.result(), its_frame


def _answers_on(frame: StoredFrame, run: FinishedRun, messages: Messages) -> Iterator[Message]:
    recording = run.recording
    time = int(recording.times[frame.frame]) if isinstance(recording, BagRecording) else frame.stamp
    for prompt in run.prompts_on(frame.frame):
        checked = prompt.checked(frame.height, frame.width, may_name=True)
        yield time, PROMPT_TOPIC, messages.prompt(checked, frame.stamp)
    if frame.masks or run.known is None:  # in a bag, an image without a MaskletArray is not annotated
        yield time, MASKLET_TOPIC, messages.masklets(frame)


def _jpeg(recording: Recording, image: RecordedImage) -> bytes:
    """An image as JPEG: that of a folder as it is, unless its EXIF data turn it."""
    if isinstance(recording, FolderRecording):
        file = recording.files[image.index]
        with opened(file, image.index) as picture:
            plain = picture.format == "JPEG" and picture.mode in ("RGB", "L")
            turned = picture.getexif().get(ExifTags.Base.Orientation, 1) != 1
        if plain and not turned:
            return file.read_bytes()
    return encode_jpeg(image.pixels, QUALITY)
