"""Recordings: rosbags (MCAP or SQLite) with images and the MaskletArrays that belong to them by stamp. Needs no ROS."""

from __future__ import annotations

import dataclasses
import io
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from PIL import Image
from rosbags.highlevel import AnyReader
from rosbags.image import message_to_cvimage
from rosbags.image.image import to_cvtype
from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError, Clips, Lazy
from sam2_ros.tracking import rle

IMAGES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
MASKLETS = "sam2_ros/msg/MaskletArray"
SUFFIXES = (".mcap", ".db3")

_COLOUR_ORDER = {"8UC1": "mono8", "8UC3": "bgr8", "8UC4": "bgra8"}  # names without one mean OpenCV's


def bags(root: str | Path) -> list[Path]:
    """The bag that this is, or those in this folder: folders with a metadata.yaml, and files .mcap or .db3."""

    def is_bag(path: Path) -> bool:
        return (path / "metadata.yaml").is_file() or (path.is_file() and path.suffix in SUFFIXES)

    root = Path(root)
    if is_bag(root):
        return [root]
    return sorted(filter(is_bag, root.iterdir())) if root.is_dir() else []


def clips(root: str | Path, images: str | None = None, masklets: str | None = None) -> Clips:
    """All bags in a folder, or one bag, each as a clip; for the other arguments see `read`. Raises ClipError."""
    named = {path.stem if path.is_file() else path.name: path for path in bags(root)}
    if not named:
        raise ClipError(root, "there is no bag (a folder with metadata.yaml, or a file .mcap or .db3)")
    return Clips(list(named), partial(_read, named, images, masklets))


def _read(named: dict[str, Path], images: str | None, masklets: str | None, name: str) -> Clip:
    return read(named[name], images, masklets)


def read(path: str | Path, images: str | None = None, masklets: str | None = None) -> Clip:
    """The images of a bag, by stamp, with what its MaskletArrays say of them. Images decode when they are asked for.

    An image without a MaskletArray of its stamp is not annotated. An object that its MaskletArray doesn't name (because
    it was pointed out later, or removed before) counts as not visible there.

    Args:
        path: the bag's folder or file.
        images: topic of Image or CompressedImage; may be left out if there is only one.
        masklets: topic of MaskletArray, likewise. A bag without one gives a clip without objects.

    Raises:
        ClipError: the bag is damaged, or has no such topic.
    """
    path = Path(path)
    with _errors(path):
        reader = AnyReader([path], default_typestore=_typestore() if _definitions() else None)
        reader.open()  # stays open as long as the clip is there
    image_topic = _topic(path, reader, "images", IMAGES, images)
    times: dict[int, int] = {}
    with _errors(path):
        for _, time, data in reader.messages([image_topic]):
            times.setdefault(_stamp(data), time)
    if not times:
        raise ClipError(path, f"there are no images on {image_topic.topic}")
    if 0 in times:
        raise ClipError(path, f"there are images without a stamp on {image_topic.topic}")
    stamps = sorted(times)

    arrays: dict[int, Any] = {}
    if masklets or any(connection.msgtype == MASKLETS for connection in reader.connections):
        masklet_topic = _topic(path, reader, "masklets", (MASKLETS,), masklets)
        with _errors(path):
            for _, _, data in reader.messages([masklet_topic]):
                arrays[_stamp(data)] = reader.deserialize(data, MASKLETS)  # the last word on an image counts
        if not arrays.keys() & times.keys():
            problem = f"no masklets on {masklet_topic.topic} have the stamp of an image on {image_topic.topic}"
            raise ClipError(path, problem)
    by_frame = [arrays.get(stamp) for stamp in stamps]
    object_ids = tuple(sorted({one.object_id for array in by_frame if array for one in array.masklets}))

    def frame(index: int) -> np.ndarray:
        stamp = stamps[index]
        with _errors(path, index):
            messages = reader.messages([image_topic], times[stamp], times[stamp] + 1)
            data = next(data for _, _, data in messages if _stamp(data) == stamp)
            pixels = _pixels(reader.deserialize(data, image_topic.msgtype))
        array, (height, width) = by_frame[index], pixels.shape[:2]
        if array is not None and (array.height, array.width) != (height, width):
            problem = f"the image is {width} x {height} pixels, its masklets {array.width} x {array.height}"
            raise ClipError(path, problem, index)
        return pixels

    def masks(index: int) -> np.ndarray | None:
        array = by_frame[index]
        if array is None:
            return None
        here = np.zeros((len(object_ids), array.height, array.width), bool)
        for one in array.masklets:
            if one.present:
                try:
                    here[object_ids.index(one.object_id)] = rle.decode(one.mask.counts, array.height, array.width)
                except ValueError as error:
                    raise ClipError(path, f"object {one.object_id}: {error}", index) from error
        return here

    fps = 1e9 / float(np.median(np.diff(stamps))) if len(stamps) > 1 else 24.0
    name = path.stem if path.is_file() else path.name
    return Clip(name, Lazy(len(stamps), frame), object_ids, Lazy(len(stamps), masks), fps)


@contextmanager
def _errors(path: Path, frame: int | None = None) -> Iterator[None]:
    """Whatever goes wrong inside becomes a ClipError."""
    try:
        yield
    except Exception as error:  # rosbags lets through what its parsers, SQLite and decompressors raise
        advice = "" if frame is not None else " (a recording that was cut off: `ros2 bag reindex`, or `mcap recover`)"
        raise ClipError(path, f"cannot be read: {error or type(error).__name__}{advice}", frame) from error


def _topic(path: Path, reader: AnyReader, argument: str, types: tuple[str, ...], topic: str | None) -> Connection:
    """The one topic of these types, or the named one of them."""
    found = {connection.topic: connection for connection in reader.connections if connection.msgtype in types}
    if topic is None and len(found) == 1:
        topic = next(iter(found))
    if topic not in found:
        kinds = " or ".join(types)
        there = ", ".join(sorted(found)) or "none"
        wanted = "there must be one topic" if topic is None else f"there is no topic {topic}"
        raise ClipError(path, f"{wanted} of {kinds}; there are: {there} (choose by {argument}=...)")
    return found[topic]


def _stamp(data: bytes | memoryview) -> int:
    """ns; of a serialised message that begins with a header, without a look at the rest of it (a whole image)."""
    order = "<" if data[1] & 1 else ">"
    seconds, nanoseconds = struct.unpack_from(f"{order}iI", data, 4)
    return seconds * 1_000_000_000 + nanoseconds


def _pixels(message: Any) -> np.ndarray:
    """uint8 [H, W, 3] RGB."""
    if hasattr(message, "format"):  # compressed. Pillow, as OpenCV returns the upper part of a JPEG that was cut off
        with Image.open(io.BytesIO(message.data)) as image:
            if image.mode.startswith(("I", "F")):
                raise ValueError(f"has pixels of more than 8 bits (mode {image.mode})")
            return np.array(image.convert("RGB"))  # not turned by EXIF: its masklets are not either
    _, _, number, channels = to_cvtype(message.encoding)
    row = message.width * channels * np.dtype(number).itemsize  # bytes
    if message.step < row:
        raise ValueError(f"step is {message.step} bytes, but a row takes {row}")
    if message.data.size != message.height * message.step:
        raise ValueError(f"{message.data.size} bytes of data instead of {message.height * message.step}")
    data = np.ascontiguousarray(message.data.reshape(message.height, message.step)[:, :row])  # without padding
    encoding = _COLOUR_ORDER.get(message.encoding, message.encoding)
    message = dataclasses.replace(message, encoding=encoding, step=row, data=data.reshape(-1))
    return np.ascontiguousarray(message_to_cvimage(message, "rgb8"))


def _definitions() -> Path | None:
    """The folder of our .msg files: in the source, or in what was sourced, or in this environment."""
    prefixes = [*filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)), sys.prefix]
    folders = [Path(__file__).parents[2] / "msg", *(Path(prefix) / "share/sam2_ros/msg" for prefix in prefixes)]
    return next((folder for folder in folders if (folder / "MaskletArray.msg").is_file()), None)


@cache
def _typestore() -> Typestore:
    """The messages of ROS 2 and ours."""
    folder = _definitions()
    if folder is None:
        raise FileNotFoundError("the .msg files of sam2_ros are not installed: source the ROS workspace that has them")
    store = get_typestore(Stores.ROS2_JAZZY)
    for file in sorted(folder.glob("*.msg")):
        store.register(get_types_from_msg(file.read_text(), f"sam2_ros/msg/{file.stem}"))
    return store


def write(clip: Clip, path: str | Path, images: str = "/camera/image_raw", masklets: str = "/sam2/masklets",
          storage: Literal["mcap", "sqlite3"] = "mcap") -> None:  # fmt: skip
    """Writes a clip as a new bag: rgb8 images, the first with a stamp of 1 s, and MaskletArrays of those with masks.

    Raises FileNotFoundError where the message definitions are not installed, and rosbags' WriterError if `path` exists.
    """
    store = _typestore()
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
                found = [_masklet(types, *one) for one in zip(clip.object_ids, masks, strict=True)]
                array = types[MASKLETS](header, height, width, found)
                writer.write(masklet_topic, stamp, store.serialize_cdr(array, MASKLETS))


def _masklet(types: dict[str, Any], object_id: int, mask: np.ndarray) -> Any:
    height, width = mask.shape
    seen = bool(mask.any())
    x, y, box_width, box_height = cv2.boundingRect(mask.view(np.uint8))
    return types["sam2_ros/msg/Masklet"](
        object_id=object_id,
        label="",
        present=seen,
        presence=float(seen),
        iou=1.0,
        box=types["sensor_msgs/msg/RegionOfInterest"](x, y, box_height, box_width, False),
        mask=types["sam2_ros/msg/Mask"](height, width, rle.encode(mask)),
    )
