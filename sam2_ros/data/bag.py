"""Recordings: rosbags (MCAP or SQLite) with images and the MaskletArrays that belong to them by stamp. Needs no ROS."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer

from sam2_ros.data.bag_types import IMAGES, MASKLETS, definitions, typestore
from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError, Clips, DataWarning, Lazy
from sam2_ros.data.image_message import as_rgb, pixels_of
from sam2_ros.data.message_stamp import stamp_of
from sam2_ros.data.natural_order import natural
from sam2_ros.data.value_range import FULL, ValueRange, next_range
from sam2_ros.tracking import rle

SUFFIXES = (".mcap", ".db3")


def bags(root: str | Path) -> list[Path]:
    """The bag at a path, or all bags in that folder: folders with a metadata.yaml, and files .mcap or .db3."""

    def is_bag(path: Path) -> bool:
        return (path / "metadata.yaml").is_file() or (path.is_file() and path.suffix in SUFFIXES)

    root = Path(root)
    if is_bag(root):
        return [root]
    return sorted(filter(is_bag, root.iterdir()), key=lambda path: natural(path.name)) if root.is_dir() else []


def clips(root: str | Path, images: str | None = None, masklets: str | None = None) -> Clips:
    """All bags in a folder, or one bag, each as a clip; for the other arguments see `read`. Raises ClipError.

    Incomplete recordings in the folder are left out, with a DataWarning that names the command to recover them.
    """
    paths = bags(root)
    hint = _recovery_hint(root)
    if not paths:
        raise ClipError(root, f"there is no bag (a folder with metadata.yaml, or a file .mcap or .db3){hint}")
    if hint:
        warnings.warn(f"{root}: bags without metadata.yaml are left out{hint}", DataWarning, stacklevel=2)
    names = Counter(_name(path) for path in paths)
    by_name = {_name(path) if names[_name(path)] == 1 else path.name: path for path in paths}  # run1 beside run1.mcap
    return Clips(list(by_name), partial(_read, by_name, images, masklets))


def _recovery_hint(root: str | Path) -> str:
    """Advice for recovering recordings without metadata.yaml, as the end of a sentence; empty if there are none."""
    folders = {file.parent for file in Path(root).glob("*/*.mcap")}
    incomplete = sorted(folder for folder in folders if not (folder / "metadata.yaml").is_file())
    arguments = " ".join(str(folder) for folder in incomplete[:3])
    return f"; `sam2_ros recover {arguments}` completes interrupted recordings" if incomplete else ""


def _name(path: Path) -> str:
    return path.stem if path.is_file() else path.name


def _read(by_name: dict[str, Path], images: str | None, masklets: str | None, name: str) -> Clip:
    return replace(read(by_name[name], images, masklets), name=name)


def read(path: str | Path, images: str | None = None, masklets: str | None = None) -> Clip:
    """Read a bag as a clip: its images in the order of stamps, and the masks of its MaskletArrays. Decodes lazily.

    An image without a MaskletArray of its stamp is not annotated. The mask of an object that its MaskletArray doesn't
    list (because it was prompted later, or removed before) is unknown there.

    Args:
        path: the bag's folder or file.
        images: topic of Image or CompressedImage. None: the only one with the masklets' stamps, except for the node's
            own overlay and labels, and for <topic>/compressed beside <topic>.
        masklets: topic of MaskletArray. None: the only one; without any, the clip has no objects.

    Raises:
        ClipError: the bag is damaged, or has no such topic.
    """
    path = Path(path)
    with clip_errors(path):
        reader = AnyReader([path], default_typestore=typestore() if definitions() else None)
        reader.open()  # stays open as long as the clip exists
        key = (path, images, masklets, max(file.stat().st_mtime_ns for file in (path, *path.glob("*"))))
    arrays: dict[int, Any] = {}
    if key not in _CONTENTS:
        _CONTENTS[key], arrays = _indexed(path, reader, images, masklets)
    contents = _CONTENTS[key]
    topics = {connection.topic: connection for connection in reader.connections}

    def message(topic: str, time: int, index: int) -> Any:
        """The last message of an image's time and stamp."""
        with clip_errors(path, index):
            messages = reader.messages([topics[topic]], time, time + 1)
            data = [data for _, _, data in messages if stamp_of(data) == contents.stamps[index]][-1]
            return reader.deserialize(data, topics[topic].msgtype)

    def decoded(index: int) -> np.ndarray:
        image = message(contents.images, int(contents.times[index]), index)
        with clip_errors(path, index):
            return pixels_of(image)

    def values(index: int, pixels: np.ndarray) -> ValueRange:
        """The value range of a 16-bit image, as in a node that has received all earlier images."""
        ranges = contents.ranges
        for earlier in range(len(ranges), index + 1):
            before = ranges[-1] if ranges else None
            try:
                image_pixels = pixels if earlier == index else decoded(earlier)
            except ClipError:  # raised when that image is read
                ranges.append(before)
            else:
                ranges.append(next_range(before, image_pixels) if image_pixels.dtype == np.uint16 else before)
        return ranges[index] or FULL

    def frame(index: int) -> np.ndarray:
        pixels = decoded(index)
        pixels = as_rgb(pixels, values(index, pixels) if pixels.dtype == np.uint16 else FULL)
        (height, width), (mask_height, mask_width) = pixels.shape[:2], contents.sizes[index].tolist()
        if contents.annotated[index] >= 0 and (mask_height, mask_width) != (height, width):
            problem = f"the image is {width} x {height} pixels, its masklets {mask_width} x {mask_height}"
            raise ClipError(path, problem, index)
        return pixels

    def masks(index: int) -> np.ndarray | None:
        time = int(contents.annotated[index])
        if time < 0:
            return None
        array = arrays.get(index) or message(contents.masklets, time, index)
        masks_of_frame = np.zeros((len(contents.object_ids), array.height, array.width), bool)
        for masklet in array.masklets:
            if masklet.present:
                row = contents.object_ids.index(masklet.object_id)
                try:
                    masks_of_frame[row] = rle.decode(masklet.mask.counts, array.height, array.width)
                except ValueError as error:
                    raise ClipError(path, f"object {masklet.object_id}: {error}", index) from error
        return masks_of_frame

    frames = len(contents.stamps)
    fps = 1e9 / float(np.median(np.diff(contents.stamps))) if frames > 1 else 24.0
    return Clip(_name(path), Lazy(frames, frame), contents.object_ids, Lazy(frames, masks), fps, contents.known)


@dataclass(frozen=True, eq=False)
class _Contents:
    """Index of a bag. Cached, because it takes reading all images; it is small."""

    images: str
    """Topic."""
    masklets: str
    """Topic; empty: none."""
    stamps: np.ndarray
    """Stamps of images, ns, ascending: int64 [T]."""
    times: np.ndarray
    """Times at which images were recorded, ns: int64 [T]."""
    annotated: np.ndarray
    """Times at which their MaskletArrays were recorded, ns; -1: none: int64 [T]."""
    sizes: np.ndarray
    """Height and width in MaskletArrays: int32 [T, 2]."""
    object_ids: tuple[int, ...]
    known: np.ndarray
    """Whether MaskletArrays list each object: bool [T, N]."""
    ranges: list[ValueRange | None] = field(default_factory=list)
    """Value ranges of 16-bit images, from the first to the last one read."""


_CONTENTS: dict[tuple[Path, str | None, str | None, int], _Contents] = {}
"""Cached contents by path, requested topics, and time of the last change."""


def _indexed(
    path: Path, reader: AnyReader, images: str | None, masklets: str | None
) -> tuple[_Contents, dict[int, Any]]:
    """Index of a bag, and its MaskletArrays by the index of their image. Raises ClipError."""
    pictures = _topics(reader, IMAGES)
    answers = _topics(reader, (MASKLETS,))
    answer = _chosen(path, "masklets", (MASKLETS,), answers, masklets) if masklets or answers else None
    if images is None and answer is not None and len(pictures) > 1:
        own = answer.topic.rpartition("/")[0]
        node_topics = {f"{own}/overlay", f"{own}/overlay/compressed", f"{own}/labels"}
        pictures = {topic: connection for topic, connection in pictures.items() if topic not in node_topics}
    if images is not None or len(pictures) < 2 or answer is None:
        chosen = _chosen(path, "images", IMAGES, pictures, images)
        pictures = {chosen.topic: chosen}

    times: dict[str, dict[int, int]] = {topic: {} for topic in pictures}
    arrays: dict[int, tuple[int, Any]] = {}  # time and MaskletArray by stamp; the last one of an image counts
    with clip_errors(path):
        for connection, time, data in reader.messages([*pictures.values(), *([answer] if answer else [])]):
            if connection.topic in times:
                times[connection.topic].setdefault(stamp_of(data), time)
            else:
                arrays[stamp_of(data)] = time, reader.deserialize(data, MASKLETS)
    if len(pictures) > 1:
        matching = [topic for topic in pictures if arrays.keys() & times[topic].keys()]
        compressed = {f"{topic}/compressed" for topic in matching}
        pictures = {topic: pictures[topic] for topic in matching if topic not in compressed} or pictures
    topic = _chosen(path, "images", IMAGES, pictures, images).topic
    if not times[topic]:
        raise ClipError(path, f"there are no images on {topic}")
    if 0 in times[topic]:
        raise ClipError(path, f"there are images without a stamp on {topic}")
    if answer is not None and not arrays.keys() & times[topic].keys():
        raise ClipError(path, f"no masklets on {answer.topic} have the stamp of an image on {topic}")

    stamps = sorted(times[topic])
    by_frame = {index: arrays[stamp] for index, stamp in enumerate(stamps) if stamp in arrays}
    object_ids = tuple(sorted({masklet.object_id for _, array in by_frame.values() for masklet in array.masklets}))
    annotated, sizes = np.full(len(stamps), -1), np.zeros((len(stamps), 2), np.int32)
    known = np.zeros((len(stamps), len(object_ids)), bool)
    for index, (time, array) in by_frame.items():
        annotated[index], sizes[index] = time, (array.height, array.width)
        known[index] = np.isin(object_ids, [masklet.object_id for masklet in array.masklets])
    contents = _Contents(
        topic,
        answer.topic if answer else "",
        np.array(stamps),
        np.array([times[topic][stamp] for stamp in stamps]),
        annotated,
        sizes,
        object_ids,
        known,
    )
    return contents, {index: array for index, (_, array) in by_frame.items()}


@contextmanager
def clip_errors(path: Path, frame: int | None = None) -> Iterator[None]:
    """Turn all errors inside into ClipErrors."""
    try:
        yield
    except Exception as error:  # rosbags doesn't wrap errors of its parsers, SQLite and decompressors
        sqlite = path.suffix == ".db3" or any(path.glob("*.db3"))
        command = f"{'ros2 bag reindex' if sqlite else 'sam2_ros recover'} {path}"
        advice = "" if frame is not None else f" (if the recording was interrupted, `{command}` completes it)"
        raise ClipError(path, f"cannot be read: {error or type(error).__name__}{advice}", frame) from error


def _topics(reader: AnyReader, types: tuple[str, ...]) -> dict[str, Connection]:
    """Connections of these types, by topic."""
    return {connection.topic: connection for connection in reader.connections if connection.msgtype in types}


def _chosen(
    path: Path, argument: str, types: tuple[str, ...], available: dict[str, Connection], topic: str | None
) -> Connection:
    """The connection of a topic. None: the only one. Raises ClipError."""
    if topic is None and len(available) == 1:
        topic = next(iter(available))
    if topic not in available:
        kinds = " or ".join(types)
        topics = ", ".join(sorted(available)) or "none"
        problem = "there must be one topic" if topic is None else f"there is no topic {topic}"
        advice = f" (choose with --{argument} TOPIC, in Python {argument}=...)" if available else ""
        raise ClipError(path, f"{problem} of {kinds}; there are: {topics}{advice}")
    return available[topic]


def write(clip: Clip, path: str | Path, images: str = "/camera/image_raw", masklets: str = "/sam2/masklets",
          storage: Literal["mcap", "sqlite3"] = "mcap") -> None:  # fmt: skip
    """Write a clip as a new bag: rgb8 images, the first with a stamp of 1 s, and MaskletArrays of annotated ones.

    A MaskletArray lists the objects whose masks are known.

    Raises FileNotFoundError if the message definitions are not installed, and rosbags' WriterError if `path` exists.
    """
    store = typestore()
    types = store.types
    plugin = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}[storage]
    with Writer(Path(path), version=9, storage_plugin=plugin) as writer:
        image_topic = writer.add_connection(images, IMAGES[0], typestore=store)
        masklet_topic = writer.add_connection(masklets, MASKLETS, typestore=store)
        for index, (frame, masks) in enumerate(zip(clip.frames, clip.masks, strict=True)):
            stamp = 1_000_000_000 + round(index * 1e9 / clip.fps)  # a stamp of 0 means "no time"
            time = types["builtin_interfaces/msg/Time"](*divmod(stamp, 1_000_000_000))
            header = types["std_msgs/msg/Header"](time, "camera")
            height, width = frame.shape[:2]
            data = np.ascontiguousarray(frame).reshape(-1)
            image = types[IMAGES[0]](header, height, width, "rgb8", 0, 3 * width, data)
            writer.write(image_topic, stamp, store.serialize_cdr(image, IMAGES[0]))
            if masks is not None:
                known = clip.object_ids if clip.known is None else np.array(clip.object_ids)[clip.known[index]].tolist()
                messages = [
                    _masklet(types, i, mask) for i, mask in zip(clip.object_ids, masks, strict=True) if i in known
                ]
                array = types[MASKLETS](header, height, width, messages)
                writer.write(masklet_topic, stamp, store.serialize_cdr(array, MASKLETS))


def _masklet(types: dict[str, Any], object_id: int, mask: np.ndarray) -> Any:
    height, width = mask.shape
    visible = bool(mask.any())
    x, y, box_width, box_height = cv2.boundingRect(mask.view(np.uint8))
    return types["sam2_ros/msg/Masklet"](
        object_id=object_id,
        label="",
        present=visible,
        presence=float(visible),
        iou=1.0,
        box=types["sensor_msgs/msg/RegionOfInterest"](x, y, box_height, box_width, False),
        mask=types["sam2_ros/msg/Mask"](height, width, rle.encode(mask)),
    )
