"""The training layout of SA-V: <id>.mp4 with <id>_manual.json and <id>_auto.json, in a folder or folders of folders.

https://github.com/facebookresearch/sam2/tree/main/sav_dataset. 24 frames per second, every fourth is annotated. In the
JSON, `masklet` has a list of the objects' masks (COCO run lengths) for each annotated frame, and `masklet_id` their IDs
from 0; clips have them from 1. Labels and attributes are not in the data set; `write` adds them, and `read` takes them
if they are there. For the layout of the val and test sets see `sav_frames`.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sam2_ros.data import coco_rle
from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError, Clips, DataWarning, Lazy
from sam2_ros.data.hidden import files_below
from sam2_ros.data.json_file import read_json
from sam2_ros.data.left_out import LeftOut
from sam2_ros.data.natural_order import natural
from sam2_ros.data.object_folders import ObjectFolders
from sam2_ros.data.video import VideoFrames
from sam2_ros.data.video_writer import VideoWriter

STEP = 4
"""Distance of annotated frames."""
MANUAL = "_manual.json"


def clips(root: str | Path, auto: bool = False) -> Clips:
    """All videos below a folder, or a single video, named after their files, or their paths if files share a name.

    A warning lists videos without a JSON of manual masklets, and such JSONs without a video, which are left out.

    Args:
        root: the folder or video.
        auto: include automatic masklets, if there are any; their IDs follow those of the manual ones.

    Raises:
        ClipError: there are no videos.
    """
    root, omitted = Path(root), LeftOut()
    files: dict[str, Path] = {}
    of_videos: set[Path] = set()
    every = [root] if root.is_file() else list(files_below(root))
    for file in (file for file in every if file.suffix.lower() == ".mp4"):
        of_videos.add(manual := _json(file, "manual"))
        if not manual.is_file():
            omitted.add("videos without a JSON of manual masklets", file.name)
            continue
        name = file.stem
        if name in files:
            name = "-".join(file.relative_to(root).with_suffix("").parts)
        files[name] = file
    for file in every:
        if file.name.endswith(MANUAL) and file not in of_videos:
            omitted.add("JSONs of manual masklets without a video", file.name)
    if not files:
        raise ClipError(root, "contains no video <id>.mp4 with its <id>_manual.json")
    if omitted:
        warnings.warn(f"{root}: left out {omitted}", DataWarning, stacklevel=2)
    return Clips(sorted(files, key=natural), partial(_read, files, auto))


def _read(files: dict[str, Path], auto: bool, name: str) -> Clip:
    return replace(read(files[name], auto), name=name)


def _json(file: Path, kind: str) -> Path:
    return file.with_name(f"{file.stem}_{kind}.json")


def read(file: str | Path, auto: bool = False) -> Clip:
    """Read one video, <id>.mp4; frames and masks are decoded lazily.

    A frame is annotated if an object has a mask there, which may be empty; the masks of others are unknown then.

    Args:
        file: the video.
        auto: include automatic masklets, if there are any; their IDs follow those of the manual ones.

    Raises:
        ClipError: a file is missing or damaged.
    """
    file = Path(file)
    frames = VideoFrames(file)
    sources = [_json(file, "manual")]
    if auto and _json(file, "auto").is_file():
        sources.append(_json(file, "auto"))
    object_ids: list[int] = []
    labels, attributes = dict[int, str](), dict[int, dict[str, Any]]()
    masklets: list[tuple[Path, list[list[Any]], list[int]]] = []
    for source in sources:
        annotation = read_json(source, {"masklet": list, "masklet_id": list})
        ids = _ids(source, annotation["masklet_id"])
        _check(source, annotation["masklet"], len(ids), len(frames))
        offset = max(object_ids, default=0) + 1
        masklets.append((source, annotation["masklet"], np.argsort(ids).tolist()))
        object_ids += [offset + value for value in sorted(ids)]
        labels |= {offset + key: str(label) for key, label in _extra(source, annotation, "masklet_label", ids)}
        attributes |= {offset + key: dict(one) for key, one in _extra(source, annotation, "masklet_attributes", ids)}

    known = np.zeros((len(frames), len(object_ids)), bool)
    annotated = np.zeros(len(frames), bool)
    first = 0
    for _, masklet, order in masklets:
        for index, entries in enumerate(masklet):
            known[index * STEP, first : first + len(order)] = [entries[column] is not None for column in order]
            annotated[index * STEP] |= not entries
        first += len(order)
    annotated |= known.any(axis=1)

    def masks(frame: int) -> np.ndarray | None:
        if not annotated[frame]:
            return None
        masks_of_frame = np.zeros((len(object_ids), *frames.size), bool)
        row = 0
        for source, masklet, order in masklets:
            for column in order:
                if not known[frame, row]:
                    row += 1
                    continue
                try:
                    masks_of_frame[row] = coco_rle.decode(masklet[frame // STEP][column], frames.size)
                except ValueError as error:
                    raise ClipError(source, f"masklet {column}: {error}", frame) from error
                row += 1
        return masks_of_frame

    folders = ObjectFolders(None, {object_id: f"{object_id - 1:03d}" for object_id in object_ids})
    masklets_of = Lazy(len(frames), masks)
    all_known = bool(known[annotated].all())
    return Clip(
        file.stem,
        frames,
        tuple(object_ids),
        masklets_of,
        frames.fps or 24.0,
        None if all_known else known,
        mask_files=folders,
        labels=labels or None,
        attributes=attributes or None,
    )


def _extra(source: Path, annotation: dict[str, Any], key: str, ids: list[int]) -> list[tuple[int, Any]]:
    """IDs and what `write` has added of those objects of which there is something. Raises ClipError."""
    values = annotation.get(key)
    if values is None:
        return []
    kind = str if key == "masklet_label" else dict
    if not isinstance(values, list) or len(values) != len(ids) or not all(isinstance(one, kind) for one in values):
        raise ClipError(source, f"{key!r} must have a {kind.__name__} for each of the {len(ids)} objects")
    return [(number, value) for number, value in zip(ids, values, strict=True) if value]


def _ids(source: Path, ids: list[Any]) -> list[int]:
    numbers = coco_rle.whole(ids)
    if numbers is None or min(numbers, default=0) < 0 or len(set(numbers)) != len(ids):
        raise ClipError(source, f"the values of 'masklet_id' must be unique numbers from 0, not {ids}")
    return numbers


def _check(source: Path, masklet: list[Any], objects: int, frames: int) -> None:
    """Raise ClipError unless each annotated frame is in the video and has a mask for each object."""
    if len(masklet) > -(-frames // STEP):
        problem = f"annotates {len(masklet)} frames, one in {STEP}, but the video has only {frames} frames"
        raise ClipError(source, problem)
    for index, masks in enumerate(masklet):
        if not isinstance(masks, list) or len(masks) != objects:
            actual = f"{len(masks)} masks" if isinstance(masks, list) else f"a {type(masks).__name__}"
            raise ClipError(source, f"has {actual} for {objects} objects", index * STEP)


def write(clips: Iterable[Clip], root: str | Path) -> None:
    """Write clips as <name>.mp4 and <name>_manual.json, with the masks of every fourth frame.

    Unknown masks are null. Labels and attributes, if there are any, are in `masklet_label` and `masklet_attributes`,
    which the data set does not have. Video compression is lossy. Object IDs are written one lower, from 0, as in the
    data set. Raises OSError.
    """
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    for clip in clips:
        with VideoWriter(root / f"{clip.name}.mp4", clip.fps) as video:
            for frame in clip.frames:
                video.write(frame)
        annotation = _annotation(clip, *clip.frames[0].shape[:2])
        (root / f"{clip.name}_manual.json").write_text(json.dumps(annotation))


def _annotation(clip: Clip, height: int, width: int) -> dict[str, Any]:
    objects = len(clip.object_ids)
    masklet: list[list[Any]] = []
    areas = np.full((-(-len(clip) // STEP), objects), -1)  # pixels, -1 where not annotated
    for row in range(len(areas)):
        masks = clip.masks[row * STEP]
        masklet.append([None] * objects)
        if masks is not None:
            known = np.ones(objects, bool) if clip.known is None else clip.known[row * STEP]
            masklet[row] = [coco_rle.encode(mask) if here else None for mask, here in zip(masks, known, strict=True)]
            areas[row] = np.where(known, masks.sum(axis=(1, 2)), -1)
    sizes, first, changes = [], [], []
    for column in areas.T:
        seen = column > 0
        sizes.append(float(column[seen].mean()) if seen.any() else 0.0)
        first.append(float(seen.argmax()) if seen.any() else None)
        annotated = seen[column >= 0]
        changes.append(int(np.count_nonzero(np.diff(annotated[annotated.argmax() :]))) if annotated.size else 0)
    extra: dict[str, Any] = {}
    if any((clip.labels or {}).values()):
        extra["masklet_label"] = [(clip.labels or {}).get(object_id, "") for object_id in clip.object_ids]
    if any((clip.attributes or {}).values()):
        extra["masklet_attributes"] = [dict((clip.attributes or {}).get(one, {})) for one in clip.object_ids]
    return {
        "video_id": clip.name,
        "video_duration": len(clip) / clip.fps,
        "video_frame_count": float(len(clip)),
        "video_height": float(height),
        "video_width": float(width),
        "video_resolution": float(height * width),
        "video_environment": "",
        "video_split": "train",
        "masklet": masklet,
        "masklet_id": [object_id - 1 for object_id in clip.object_ids],
        "masklet_size_rel": [size / (height * width) for size in sizes],
        "masklet_size_abs": sizes,
        "masklet_size_bucket": ["small" if size < 32**2 else "medium" if size < 96**2 else "large" for size in sizes],
        "masklet_visibility_changes": changes,
        "masklet_first_appeared_frame": first,  # counted in annotated frames
        "masklet_frame_count": np.count_nonzero(areas >= 0, axis=0).tolist(),
        "masklet_edited_frame_count": [0] * objects,
        "masklet_type": ["manual"] * objects,
        "masklet_stability_score": [None] * objects,
        "masklet_num": objects,
        **extra,
    }
