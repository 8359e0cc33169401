"""Export of annotation projects: their verified masklets as data sets and bags.

An export is a folder with a folder for each format, in which every project is a clip. `bag` and `sav` hold which masks
are known, object by object. The other formats take an image without a mask for one on which the object is not visible:
in them, only the images on which the masks of all exported objects are known are annotated.
"""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from sam2_ros.annotation.annotated_object import OPEN, PROPOSED, VERIFIED
from sam2_ros.annotation.project import Project, ProjectError
from sam2_ros.annotation.project_masklets import ProjectMasklets, has_masks
from sam2_ros.data import coco, davis, mose, sav, yolo, youtube_vos
from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError
from sam2_ros.data.json_file import read_json
from sam2_ros.data.labels import MAX_ID
from sam2_ros.data.replaced import replacing
from sam2_ros.recordings.outputs import bag, video
from sam2_ros.recordings.outputs.completely import alone_in, remove_unfinished, write_completely
from sam2_ros.recordings.outputs.finished_run import FinishedRun
from sam2_ros.recordings.outputs.stored_clip import stored_clip
from sam2_ros.recordings.recording import Recording

VERSION = 1
"""Of what is written: with another one, everything is written again."""

LIST = "export.json"
"""File beside the formats: which of them are of an export, and of what projects."""

OnProgress = Callable[[int, int, str], None]
"""Called with the number of images that are written, that of all formats together, and the name of the format; before
that, with those that are read, and `READING`. An error that it raises ends the export; what is complete stays."""

READING = "reading"
"""What is done first."""


class ExportError(ProjectError):
    """Projects cannot be exported as they are; the message says what to do."""


@dataclass(frozen=True)
class Source:
    """A project that is exported."""

    project: Project
    recording: Recording
    """That of the project."""
    name: str = ""
    """Of its clip; empty: that of the recording."""


@dataclass(frozen=True)
class ExportedClip:
    """A project, as formats get it."""

    name: str
    """Unique in the data set."""
    run: FinishedRun
    masklets: ProjectMasklets

    def clip(self) -> Clip:
        """For the writers of data sets; made to be read once, in order."""
        clip = replace(stored_clip(self.run), name=self.name)
        return replace(clip, ious=None) if self.masklets.all_verified else clip

    def renumbered(self) -> Clip:
        """The same, for formats that have object IDs up to 254: if there are higher ones, the IDs are 1, 2, 3, ..."""
        clip = self.clip()
        if max(clip.object_ids, default=0) <= MAX_ID:
            return clip
        ids = range(1, len(clip.object_ids) + 1)
        labels = dict(zip(ids, self.masklets.labels.values(), strict=True))
        attributes = dict(zip(ids, self.masklets.attributes.values(), strict=True))
        return replace(clip, object_ids=tuple(ids), labels=labels, attributes=attributes)


@dataclass(frozen=True)
class ExportFormat:
    """A format of data sets."""

    name: str
    """As users choose it, and of its folder."""
    description: str
    write: Callable[[Sequence[ExportedClip], Path], list[str]]
    """Writes projects into a folder, and returns what the user should know."""
    few_ids: bool = False
    """Whether there can be 254 objects in a clip at most."""
    one_size: bool = False
    """Whether all images of a recording must be of one size."""
    unknown: bool = False
    """Whether a mask can be unknown on an image on which others are known."""
    unverified: bool = False
    """Whether it says which masklets are not verified."""


@dataclass(frozen=True)
class Exported:
    """What an export has done."""

    paths: list[Path]
    """All formats, those that were complete before as well."""
    new: list[Path]
    """Those that were written now."""
    clips: list[str]
    """Names of the clips, in the order of the projects."""
    notes: list[str]
    """What the user should know, a sentence each."""


def export(
    project: Project,
    recording: Recording,
    out: Path | str,
    formats: Iterable[str],
    unverified: bool = False,
    on_progress: OnProgress = lambda done, total, what: None,
    verified_only: bool = False,
) -> Exported:
    """Export one project; see `export_all`."""
    return export_all([Source(project, recording)], out, formats, unverified, on_progress, verified_only)


def export_all(
    sources: Sequence[Source],
    out: Path | str,
    formats: Iterable[str],
    unverified: bool = False,
    on_progress: OnProgress = lambda done, total, what: None,
    verified_only: bool = False,
) -> Exported:
    """Export projects into one data set of each format, as they are now, whatever annotators do meanwhile.

    Each format is written into a folder beside it and moved to its place when it is complete. What an earlier export
    has written of the same masklets is left as it is; what it has written of others is replaced.

    Args:
        sources: the projects. Clips whose names are taken get a number.
        out: the folder, which need not exist.
        formats: names in `EXPORT_FORMATS`.
        unverified: whether masklets that nobody has verified are exported as well. Bags (with their predicted IoU,
            which keeps training from taking them for the truth), COCO, SA-V and YouTube-VOS (as an attribute) say which
            these are.
        verified_only: whether to leave them out instead. Then objects can be seen in images of which the data set
            says nothing.
        on_progress: see `OnProgress`.

    Raises:
        ExportError: there are unverified masklets, and neither is said of them; there are no masklets; or a format
            cannot hold them.
        ProjectError: a project is of another recording.
        ValueError: a format is unknown.
        FileExistsError: there is something else in a format's place.
        ClipError: a recording is damaged.
        OSError: the disk is full, or the folder cannot be written. The message says what to do.
    """
    out, chosen = Path(out), _chosen(formats)
    if unverified and verified_only:
        raise ExportError("unverified masklets can be exported or left out, not both")
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "is no folder; choose another one", str(out))
    with ExitStack() as opened:
        projects = [opened.enter_context(Project(one.project.folder, one.recording)) for one in sources]
        for project in projects:
            opened.enter_context(project.snapshot())
        if not unverified and not verified_only:
            _refuse_unverified(projects)
        states = (VERIFIED, OPEN, PROPOSED) if unverified else (VERIFIED,)
        if not any(has_masks(project, one) for project in projects for one in project.objects(*states)):
            what = "masklets" if unverified else "verified masklets"
            raise ExportError(f"there are no {what} to export in {', '.join(str(one.folder) for one in projects)}")
        read = _Progress(sum(len(one.recording.span) for one in sources), READING, on_progress)
        clips, notes = list[ExportedClip](), list[str]()
        for name, project, source in zip(clip_names(sources), projects, sources, strict=True):
            masklets = ProjectMasklets(project, source.recording, project.objects(*states), read)
            known, attributes = masklets.known, masklets.attributes
            run = FinishedRun(source.recording, masklets, masklets.prompts, known=known, attributes=attributes)
            if masklets.labels:
                clips.append(ExportedClip(name, run, masklets))
            else:
                notes.append(f"{name} is left out: {project.folder} has no masklets to export")
        for output in chosen:
            for clip in clips:
                notes += _check(output, clip)
        opened.enter_context(alone_in(out))
        return _write(out, chosen, clips, notes, on_progress)


def clip_names(sources: Iterable[Source]) -> list[str]:
    """A name for the clip of each project, all different, also where case does not count."""
    names: list[str] = []
    taken: set[str] = set()
    for source in sources:
        plain = (source.name or source.recording.name).replace("/", "-").replace("\\", "-").lstrip(".") or "clip"
        name, number = plain, 2
        while name.casefold() in taken:
            name, number = f"{plain}-{number}", number + 1
        taken.add(name.casefold())
        names.append(name)
    return names


def _chosen(formats: Iterable[str]) -> list[ExportFormat]:
    names = set(formats)
    if unknown := sorted(names - EXPORT_FORMATS.keys()):
        raise ValueError(f"there is no format {unknown[0]}; choose {', '.join(EXPORT_FORMATS)}")
    if not names:
        raise ValueError(f"choose a format: {', '.join(EXPORT_FORMATS)}")
    return [output for name, output in EXPORT_FORMATS.items() if name in names]


def _refuse_unverified(projects: Sequence[Project]) -> None:
    """Raise ExportError, with the numbers, if there are masklets that somebody has to look at."""
    waiting = [sum(has_masks(project, one) for one in project.objects(OPEN, PROPOSED)) for project in projects]
    if not any(waiting):
        return
    total = sum(waiting) + sum(len(project.objects(VERIFIED)) for project in projects)
    first, *others = (project.folder for project, count in zip(projects, waiting, strict=True) if count)
    raise ExportError(
        f"{sum(waiting)} of {total} masklets {'is' if sum(waiting) == 1 else 'are'} not verified, in {first}"
        f"{f' and {len(others)} more projects' if others else ''}: verify them first, export them as they are with"
        " --unverified, or leave them out with --verified-only"
    )


def _check(output: ExportFormat, clip: ExportedClip) -> list[str]:
    """Check that a format can hold a clip. Returns what the user should know. Raises ExportError."""
    masklets, notes = clip.masklets, list[str]()
    objects, known = len(masklets.labels), masklets.known
    if output.one_size and len(masklets.sizes) > 1:
        named = ", ".join(f"{width} x {height}" for height, width in masklets.sizes[:4])
        problem = f"images must have one size, those of {clip.name} have {named}"
        raise ExportError(f"{output.name}: {problem}; choose {_others('one_size')}")
    if output.few_ids and objects > MAX_ID:
        problem = f"a clip has at most {MAX_ID} objects, {clip.name} has {objects}"
        raise ExportError(f"{output.name}: {problem}; choose {_others('few_ids')}")
    if output.name == "sav":
        here, every = int(known[:: sav.STEP].any(axis=1).sum()), int(known.any(axis=1).sum())
        if not here:
            problem = f"holds every fourth image, and no mask is known on those of {clip.name}"
            raise ExportError(f"{output.name}: {problem}; propagate the masks, or choose bag")
        if here < every // sav.STEP:
            notes.append(f"sav holds every fourth image: {here} of the {every} annotated ones of {clip.name}")
    if not output.unknown:
        partly = int((known.any(axis=1) & ~known.all(axis=1)).sum())
        why = "are not annotated, because masks of some objects are unknown there"
        if not known.all(axis=1).any():
            problem = f"there is no image of {clip.name} on which the masks of all {objects} objects are known"
            raise ExportError(f"{output.name}: {problem}; propagate them, or choose bag or sav")
        if partly:
            notes.append(f"{output.name}: {partly} of {len(known)} images of {clip.name} {why}")
    if not output.unverified and not masklets.all_verified:
        notes.append(f"{output.name} cannot say which masklets of {clip.name} are not verified")
    return notes


def _others(limit: str) -> str:
    """The formats without a limit."""
    return ", ".join(name for name, output in EXPORT_FORMATS.items() if not getattr(output, limit))


def _write(
    out: Path, chosen: Sequence[ExportFormat], clips: Sequence[ExportedClip], notes: list[str], on_progress: OnProgress
) -> Exported:
    listed = _listed(out)
    content = [[clip.name, clip.masklets.content] for clip in clips]
    made_of = {
        output.name: hashlib.sha256(json.dumps([VERSION, output.name, content]).encode()).hexdigest()
        for output in chosen
    }
    for output in chosen:
        path = out / output.name
        if (path.exists() or path.is_symlink()) and output.name not in listed:
            problem = "exists already and is of no export; delete it, or choose another folder"
            raise FileExistsError(errno.EEXIST, problem, str(path))
    remove_unfinished(out)
    missing = [
        output
        for output in chosen
        if not ((out / output.name).exists() and listed[output.name]["made_of"] == made_of[output.name])
    ]
    images = sum(clip.masklets.frame_count for clip in clips)
    progress = _Progress(images * len(missing), "", on_progress)
    described = [
        {"clip": clip.name, "recording": str(clip.run.recording.path.absolute()), "objects": len(clip.masklets.labels)}
        for clip in clips
    ]

    def note(name: str) -> None:
        listed[name] = {"made_of": made_of[name], "clips": described}
        with replacing(out / LIST) as part:
            part.write_text(json.dumps({"sam2_ros": "export", "formats": listed}, indent=1) + "\n")

    for output in missing:
        progress.what = output.name
        counted = [replace(clip, run=replace(clip.run, on_frame=progress)) for clip in clips]
        write, its_note = partial(output.write, counted), partial(note, output.name)
        notes += write_completely(out / output.name, write, its_note)
    on_progress(progress.total, progress.total, "")
    return Exported(
        [out / output.name for output in chosen],
        [out / output.name for output in missing],
        [clip.name for clip in clips],
        notes,
    )


def _listed(out: Path) -> dict[str, Any]:
    """What an earlier export has noted. Raises FileExistsError for somebody else's file."""
    file = out / LIST
    if not file.exists():
        return {}
    try:
        content = read_json(file, {"sam2_ros": str, "formats": dict})
    except ClipError as error:
        problem = "is no list of an export; delete it, or choose another folder"
        raise FileExistsError(errno.EEXIST, problem, str(file)) from error
    return dict(content["formats"])


class _Progress:
    """Counts images.

    Args:
        total: of all.
        what: what is done with them.
    """

    def __init__(self, total: int, what: str, on_progress: OnProgress) -> None:
        self.total, self.what, self._on_progress = total, what, on_progress
        self._done = 0

    def __call__(self) -> None:
        self._done += 1
        self._on_progress(self._done, self.total, self.what)


def _write_bags(clips: Sequence[ExportedClip], folder: Path) -> list[str]:
    return [note for clip in clips for note in bag.write(clip.run, folder / clip.name)]


def _write_videos(clips: Sequence[ExportedClip], folder: Path) -> list[str]:
    folder.mkdir()
    return [note for clip in clips for note in video.write(clip.run, folder / f"{clip.name}.mp4")]


def _writer(
    write: Callable[[Iterator[Clip], Path], None], clip: Callable[[ExportedClip], Clip] = ExportedClip.clip
) -> Callable[[Sequence[ExportedClip], Path], list[str]]:
    """A format by a writer of data sets."""

    def written(clips: Sequence[ExportedClip], folder: Path) -> list[str]:
        write(map(clip, clips), folder)
        return []

    return written


_LABEL_IMAGES: dict[str, Any] = {"few_ids": True, "one_size": True}
_few = ExportedClip.renumbered

EXPORT_FORMATS = {
    output.name: output
    for output in (
        ExportFormat("bag", "ROS 2 bags (MCAP) with masklets and prompts", _write_bags, unknown=True, unverified=True),
        ExportFormat(
            "sav",
            "SA-V: videos, and JSON with run lengths of every fourth image",
            _writer(sav.write),
            one_size=True,
            unknown=True,
            unverified=True,
        ),
        ExportFormat("davis", "DAVIS: JPEG images and PNG masks", _writer(davis.write, _few), **_LABEL_IMAGES),
        ExportFormat("mose", "MOSE: the same, without a resolution", _writer(mose.write, _few), **_LABEL_IMAGES),
        ExportFormat(
            "youtube-vos",
            "YouTube-VOS: the same, with categories in meta.json",
            _writer(youtube_vos.write, _few),
            **_LABEL_IMAGES,
            unverified=True,
        ),
        ExportFormat("coco", "COCO: JPEG images, and JSON with run lengths", _writer(coco.write), unverified=True),
        ExportFormat("yolo", "YOLO: JPEG images, and polygons for segmentation", _writer(yolo.write)),
        ExportFormat("video", "videos with the masklets drawn over them", _write_videos, unknown=True),
    )
}
"""The formats that can be chosen, by name, which is also that of their folder."""
