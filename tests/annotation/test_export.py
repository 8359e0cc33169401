"""Annotation projects out: every format read back, what is unknown or unverified, and trouble in the middle."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from rosbags.highlevel import AnyReader
from small_clips import make_clip, same_frames, same_masks

from sam2_ros.annotation.annotated_mask import PROMPTED, PROPAGATED, AnnotatedMask
from sam2_ros.annotation.annotated_object import OPEN, PROPOSED
from sam2_ros.annotation.export import EXPORT_FORMATS, LIST, ExportError, Source, clip_names, export, export_all
from sam2_ros.annotation.project import NO_OBJECT, SATISFACTORY, Project, ProjectError
from sam2_ros.data import bag, davis, mose, sav, youtube_vos
from sam2_ros.data.bag_corrections import uncorrected
from sam2_ros.data.bag_types import typestore
from sam2_ros.data.clip import Clip
from sam2_ros.data.images import write_jpeg
from sam2_ros.recordings.bag_prompts import read_bag_prompts
from sam2_ros.recordings.clip_recording import ClipRecording
from sam2_ros.recordings.open_recording import open_recording
from sam2_ros.recordings.outputs.completely import UNFINISHED
from sam2_ros.recordings.recording import Recording
from sam2_ros.tracking.prompt import Click, Prompt
from sam2_ros.training.uncorrected import warn_of_uncorrected

LABELS = ("cup", "", "ball")


def annotate(
    folder: Path, clip: Clip, recording: Recording | None = None, frames: Sequence[Sequence[int]] = (range(9),) * 3
) -> Project:
    """A project with the masks of a clip on some frames of each object, prompted on its fifth; all verified."""
    project = Project.create(folder, recording or ClipRecording(clip))
    for row, (label, known) in enumerate(zip(LABELS, frames, strict=True)):
        if row >= len(clip.object_ids):
            break
        one = project.add_object("ann", label, {"colour": "red"} if label == "cup" else {})
        drawn = {frame: AnnotatedMask.drawn(one, frame, clip.masks[frame][row], 3) for frame in known}
        tracked = [
            replace(mask, origin=PROPAGATED, iou=0.75, presence=0.875 if mask.present else 0.125)
            for mask in drawn.values()
        ]
        if row == 1 and 2 in drawn:
            project.put_mask("ann", drawn[2])
        if 4 in drawn:
            prompt = Prompt(one, (Click(20 + row, 20), Click(60, 40, False)))
            project.put_mask("ann", replace(drawn[4], origin=PROMPTED), prompt)
        project.put_propagated("ann", one, tracked)
        project.judge("bob", one, SATISFACTORY)
    return project


def numbered(clip: Clip) -> Clip:
    """With the object IDs that a project gives."""
    return replace(clip, object_ids=tuple(range(1, len(clip.object_ids) + 1)))


@pytest.fixture
def clip() -> Clip:
    return numbered(make_clip())


@pytest.fixture
def recording(clip: Clip) -> ClipRecording:
    return ClipRecording(clip)


@pytest.fixture
def project(tmp_path: Path, clip: Clip, recording: Recording) -> Iterator[Project]:
    with annotate(tmp_path / "project", clip, recording) as made:
        yield made


def content(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_label_images_of_davis_mose_and_youtube_vos(
    project: Project, recording: Recording, clip: Clip, tmp_path: Path
) -> None:
    export(project, recording, tmp_path / "out", ["davis", "mose", "youtube-vos"])
    for again in (
        davis.read(tmp_path / "out/davis", "walk"),
        mose.read(tmp_path / "out/mose", "walk"),
        youtube_vos.read(tmp_path / "out/youtube-vos", "walk"),
    ):
        same_masks(again, clip)
        same_frames(again, clip, tolerance=4)
    objects = json.loads((tmp_path / "out/youtube-vos/meta.json").read_text())["videos"]["walk"]["objects"]
    assert [one["category"] for one in objects.values()] == ["cup", "object", "ball"]
    assert objects["1"]["attributes"] == {"colour": "red"}


def test_sav(project: Project, recording: Recording, clip: Clip, tmp_path: Path) -> None:
    export(project, recording, tmp_path / "out", ["sav"])
    again = sav.read(tmp_path / "out/sav/walk.mp4")
    same_masks(again, replace(clip, masks=[mask if i % 4 == 0 else None for i, mask in enumerate(clip.masks)]))
    same_frames(again, clip, tolerance=6)
    assert again.known is None


def test_coco_read_by_pycocotools(project: Project, recording: Recording, clip: Clip, tmp_path: Path) -> None:
    export(project, recording, tmp_path / "out", ["coco"])
    api = COCO(tmp_path / "out/coco/annotations.json")
    assert len(api.imgs) == 9 and {one["name"] for one in api.cats.values()} == {"cup", "object", "ball"}
    for index, (number, image) in enumerate(sorted(api.imgs.items())):
        assert image["file_name"] == f"walk-{index:05d}.jpg"
        found = {one["track_id"]: one for one in api.imgToAnns[number]}
        assert found.keys() == {i for i, mask in zip((1, 2, 3), clip.masks[index], strict=True) if mask.any()}
        for track, one in found.items():
            np.testing.assert_array_equal(api.annToMask(one).astype(bool), clip.masks[index][track - 1])
            assert "score" not in one and one.get("attributes", {}) == ({"colour": "red"} if track == 1 else {})


def test_yolo_has_every_object(project: Project, recording: Recording, clip: Clip, tmp_path: Path) -> None:
    export(project, recording, tmp_path / "out", ["yolo"])
    for index, masks in enumerate(clip.masks):
        rows = (tmp_path / f"out/yolo/labels/walk/{index:05d}.txt").read_text().splitlines()
        assert [int(row.split()[0]) for row in rows] == [i for i in range(3) if masks[i].any()]
        for row in rows:
            number, *corners = row.split()
            drawn = np.zeros((48, 64), np.uint8)
            cv2.fillPoly(drawn, [(np.array(corners, float).reshape(-1, 2) * (64, 48)).astype(np.int32)], 1)
            if number == "0":
                np.testing.assert_array_equal(drawn > 0, masks[0])


def test_a_bag_has_masklets_and_prompts(project: Project, recording: Recording, clip: Clip, tmp_path: Path) -> None:
    export(project, recording, tmp_path / "out", ["bag"])
    path = tmp_path / "out/bag/walk"
    again = bag.read(path)
    same_masks(again, clip)
    same_frames(again, clip, tolerance=4)
    assert again.known.all()
    stamps = list(recording.stamps)
    found, _ = read_bag_prompts(path, "/sam2/applied_prompts", stamps, stamps)
    told = [
        (stamps.index(one.moment.value), one.prompt.object_id, one.prompt.label, one.prompt.mask is None)
        for one in found
    ]
    assert told == [(2, 2, "", False), (4, 1, "cup", True), (4, 2, "", True), (4, 3, "ball", True)]
    assert list(found[1].prompt.clicks) == [Click(20, 20), Click(60, 40, False)]
    np.testing.assert_array_equal(found[0].prompt.mask > 0, clip.masks[2][1])
    with AnyReader([path], default_typestore=typestore()) as reader:
        connections = [one for one in reader.connections if one.topic == "/sam2/masklets"]
        arrays = [reader.deserialize(data, one.msgtype) for one, _, data in reader.messages(connections)]
    masklets = [masklet for array in arrays for masklet in array.masklets]
    assert {(one.present, one.iou, one.presence) for one in masklets} == {(True, 1.0, 1.0), (False, 0.0, 0.0)}
    assert {one.label for one in masklets} == set(LABELS)
    assert uncorrected(path) == []


def test_a_bag_keeps_the_original_messages(clip: Clip, tmp_path: Path) -> None:
    bag.write(clip, tmp_path / "source", masklets="/sam2/masklets")
    recording = open_recording(tmp_path / "source")
    with annotate(tmp_path / "project", clip, recording) as project:
        told = export(project, recording, tmp_path / "out", ["bag"])
    again = bag.read(tmp_path / "out/bag/source")
    same_masks(again, clip)
    same_frames(again, clip, tolerance=0)
    assert told.notes == [f"/sam2/masklets of {tmp_path}/source are replaced by those of this run"]


def test_a_video(project: Project, recording: Recording, tmp_path: Path) -> None:
    export(project, recording, tmp_path / "out", ["video"])
    assert len(open_recording(tmp_path / "out/video/walk.mp4")) == 9


# ---- what is unknown


@pytest.mark.slow
def test_unknown_masks_are_never_called_empty(clip: Clip, recording: Recording, tmp_path: Path) -> None:
    """Object 1 is known everywhere, 2 on the first seven frames, 3 from the fifth on; nothing on the last but one."""
    frames = [[0, 1, 2, 3, 4, 5, 6, 8], range(7), [4, 5, 6, 8]]
    known = np.array([[frame in one for one in frames] for frame in range(9)])
    with annotate(tmp_path / "project", clip, recording, frames) as project:
        told = export(project, recording, tmp_path / "out", EXPORT_FORMATS)
    expected = replace(
        clip,
        masks=[
            mask & here[:, None, None] if here.any() else None for mask, here in zip(clip.masks, known, strict=True)
        ],
    )
    again = bag.read(tmp_path / "out/bag/walk")
    same_masks(again, expected)
    np.testing.assert_array_equal(again.known, known)
    again = sav.read(tmp_path / "out/sav/walk.mp4")
    every_fourth = np.arange(9) % 4 == 0
    np.testing.assert_array_equal(again.known, known & every_fourth[:, None])
    same_masks(
        again, replace(expected, masks=[m if f else None for m, f in zip(expected.masks, every_fourth, strict=True)])
    )
    for again in (
        davis.read(tmp_path / "out/davis", "walk"),
        mose.read(tmp_path / "out/mose", "walk"),
        youtube_vos.read(tmp_path / "out/youtube-vos", "walk"),
    ):
        same_masks(again, replace(clip, masks=[m if h.all() else None for m, h in zip(clip.masks, known, strict=True)]))
    images = json.loads((tmp_path / "out/coco/annotations.json").read_text())["images"]
    assert [one["file_name"] for one in images] == [f"walk-{frame:05d}.jpg" for frame in (4, 5, 6)]
    assert sorted(file.stem for file in (tmp_path / "out/yolo/labels/walk").iterdir()) == ["00004", "00005", "00006"]
    why = "5 of 9 images of walk are not annotated, because masks of some objects are unknown there"
    assert told.notes == [f"{name}: {why}" for name in ("davis", "mose", "youtube-vos", "coco", "yolo")]


def test_formats_that_could_hold_nothing_are_refused_before_anything_is_written(
    clip: Clip, recording: Recording, tmp_path: Path
) -> None:
    with annotate(tmp_path / "project", clip, recording, [[1, 2], [1, 3], [5]]) as project:
        for name, problem in (
            ("coco", "coco: there is no image of walk on which the masks of all 3 objects are known; propagate them"),
            ("sav", "sav: holds every fourth image, and no mask is known on those of walk; propagate the masks"),
        ):
            with pytest.raises(ExportError, match=problem):
                export(project, recording, tmp_path / "out", ["bag", name])
            assert not (tmp_path / "out").exists()
        export(project, recording, tmp_path / "out", ["bag", "video"])


def test_damaged_images_are_left_out(clip: Clip, tmp_path: Path) -> None:
    for index, frame in enumerate(clip.frames):
        write_jpeg(tmp_path / f"walk/{index}.jpg", frame, 95)
    (tmp_path / "walk/3.jpg").write_bytes((tmp_path / "walk/3.jpg").read_bytes()[:300])
    recording, kept = open_recording(tmp_path / "walk"), [0, 1, 2, 4, 5, 6, 7, 8]
    with annotate(tmp_path / "project", clip, recording, [kept] * 3) as project:
        calls: list[tuple[int, int, str]] = []
        export(project, recording, tmp_path / "out", ["davis"], on_progress=lambda *call: calls.append(call))
    same_masks(
        davis.read(tmp_path / "out/davis", "walk"),
        replace(clip, frames=[clip.frames[i] for i in kept], masks=[clip.masks[i] for i in kept]),
    )
    assert [call for call in calls if call[2] == "davis"] == [(done, 8, "davis") for done in range(1, 9)]


# ---- what is not verified


@pytest.fixture
def unverified(project: Project, clip: Clip) -> Project:
    """With one that is open again, a proposal, a rejected proposal, and a name without masks."""
    masks = [AnnotatedMask.drawn(0, frame, clip.masks[frame][0], 3) for frame in range(9)]
    masks = [replace(mask, origin=PROPAGATED, phase=0, iou=0.5, presence=0.75) for mask in masks]
    project.add_object("network", "thing", state=PROPOSED, masks=masks)
    rejected = project.add_object("network", "shadow", state=PROPOSED, masks=masks)
    project.judge("bob", rejected, NO_OBJECT)
    project.add_object("ann", "nothing yet")
    project.put_mask("ann", AnnotatedMask.drawn(3, 8, clip.masks[8][2], 3))
    assert project.object(3).state == OPEN
    return project


def test_unverified_masklets_are_refused(unverified: Project, recording: Recording, tmp_path: Path) -> None:
    words = (
        f"2 of 4 masklets are not verified, in {unverified.folder}: verify them first, export them as they are with"
        " --unverified, or leave them out with --verified-only"
    )
    with pytest.raises(ExportError) as caught:
        export(unverified, recording, tmp_path / "out", ["davis"])
    assert str(caught.value) == words
    assert not (tmp_path / "out").exists()


def test_unverified_masklets_are_exported_when_asked_for_and_marked(
    unverified: Project, recording: Recording, tmp_path: Path
) -> None:
    told = export(unverified, recording, tmp_path / "out", EXPORT_FORMATS, unverified=True)
    coco = json.loads((tmp_path / "out/coco/annotations.json").read_text())
    marks = {one["track_id"]: (one.get("attributes", {}).get("verified"), one["score"]) for one in coco["annotations"]}
    assert marks == {1: (None, 1.0), 2: (None, 1.0), 3: (False, 1.0), 4: (False, 0.5)}
    masklets = json.loads((tmp_path / "out/sav/walk_manual.json").read_text())
    assert masklets["masklet_attributes"] == [{"colour": "red"}, {}, {"verified": False}, {"verified": False}]
    objects = json.loads((tmp_path / "out/youtube-vos/meta.json").read_text())["videos"]["walk"]["objects"]
    assert objects["4"]["attributes"] == {"verified": False}
    assert told.notes == [
        f"{name} cannot say which masklets of walk are not verified" for name in ("davis", "mose", "yolo", "video")
    ]


def test_training_is_warned_of_a_bag_of_unverified_predictions(
    clip: Clip, recording: Recording, tmp_path: Path
) -> None:
    """The same masks: predicted ones as they come, and when somebody has found them satisfactory."""
    with Project.create(tmp_path / "project", recording) as project:
        one = project.add_object("ann", "cup")
        drawn = [AnnotatedMask.drawn(one, frame, clip.masks[frame][0], 3) for frame in range(9)]
        masks = [replace(mask, origin=PROPAGATED, iou=0.75) for mask in drawn]
        project.put_mask("ann", replace(masks[0], origin=PROMPTED), Prompt(one, (Click(5, 5),)))
        project.put_propagated("ann", one, masks)
        export(project, recording, tmp_path / "raw", ["bag"], unverified=True)
        project.judge("bob", one, SATISFACTORY)
        export(project, recording, tmp_path / "verified", ["bag"])
    with pytest.warns(UserWarning, match="never corrected"):
        warn_of_uncorrected([tmp_path / "raw/bag"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_uncorrected([tmp_path / "verified/bag"])


def test_unverified_masklets_can_be_left_out(
    unverified: Project, recording: Recording, clip: Clip, tmp_path: Path
) -> None:
    export(unverified, recording, tmp_path / "out", ["davis", "coco"], verified_only=True)
    expected = replace(clip, object_ids=(1, 2), masks=[masks[:2] for masks in clip.masks])
    same_masks(davis.read(tmp_path / "out/davis", "walk"), expected)
    assert "verified" not in (tmp_path / "out/coco/annotations.json").read_text()
    with pytest.raises(ExportError, match="not both"):
        export(unverified, recording, tmp_path / "out", ["davis"], unverified=True, verified_only=True)


def test_nothing_to_export_is_said(recording: Recording, tmp_path: Path) -> None:
    with Project.create(tmp_path / "empty", recording) as project:
        for unverified, words in ((False, "no verified masklets to export in"), (True, "no masklets to export in")):
            with pytest.raises(ExportError, match=words):
                export(project, recording, tmp_path / "out", ["davis"], unverified)


# ---- several projects


@pytest.mark.slow
def test_several_projects_of_one_name_are_one_data_set(tmp_path: Path) -> None:
    clips = [numbered(make_clip()), numbered(make_clip(ids=(1, 2))), numbered(make_clip("run", frames=9))]
    clips[1] = replace(clips[1], frames=[frame + np.uint8(20) for frame in clips[1].frames])
    recordings = [ClipRecording(one) for one in clips]
    projects = [annotate(tmp_path / f"project{n}", one, recordings[n]) for n, one in enumerate(clips)]
    sources = [Source(project, recording) for project, recording in zip(projects, recordings, strict=True)]
    told = export_all(sources, tmp_path / "out", EXPORT_FORMATS)
    assert told.clips == ["walk", "walk-2", "run"]
    readers = {
        "davis": lambda name: davis.read(tmp_path / "out/davis", name),
        "mose": lambda name: mose.read(tmp_path / "out/mose", name),
        "youtube-vos": lambda name: youtube_vos.read(tmp_path / "out/youtube-vos", name),
        "bag": lambda name: bag.read(tmp_path / "out/bag" / name),
    }
    for name, clip in zip(told.clips, clips, strict=True):
        for read in readers.values():
            same_masks(read(name), clip)
            same_frames(read(name), clip, tolerance=4)
        assert sav.read(tmp_path / f"out/sav/{name}.mp4").object_ids == clip.object_ids
        assert (tmp_path / f"out/video/{name}.mp4").is_file()
    coco = json.loads((tmp_path / "out/coco/annotations.json").read_text())
    clip_of = {image["id"]: image["file_name"][:-10] for image in coco["images"]}
    tracks = {(clip_of[one["image_id"]], one["track_id"]) for one in coco["annotations"]}
    assert tracks == {("walk", 1), ("walk", 2), ("walk", 3), ("walk-2", 4), ("walk-2", 5)} | {
        ("run", i) for i in (6, 7, 8)
    }
    for project in projects:
        project.close()


def test_names_do_not_collide(recording: Recording, project: Project) -> None:
    given = ["walk", "WALK", "walk-2", "", "a/b", "..", "walk"]
    assert clip_names([Source(project, recording, name) for name in given]) == [
        "walk", "WALK-2", "walk-2-2", "walk-3", "a-b", "clip", "walk-4",
    ]  # fmt: skip


def test_project_without_masklets_among_others_is_left_out(
    project: Project, recording: Recording, tmp_path: Path
) -> None:
    other = ClipRecording(make_clip("empty"))
    with Project.create(tmp_path / "empty", other) as empty:
        told = export_all([Source(empty, other), Source(project, recording)], tmp_path / "out", ["davis"])
    assert told.clips == ["walk"] and told.notes == [f"empty is left out: {tmp_path}/empty has no masklets to export"]


# ---- limits


@pytest.mark.slow
def test_ids_above_254_are_renumbered_where_they_must_be(clip: Clip, recording: Recording, tmp_path: Path) -> None:
    with Project.create(tmp_path / "project", recording) as project:
        for _ in range(253):
            project.undo("ann") if project.add_object("ann") else None
        numbers = [project.add_object("ann", label) for label in LABELS]
        for row, one in enumerate(numbers):
            for frame in range(9):
                project.put_mask("ann", AnnotatedMask.drawn(one, frame, clip.masks[frame][row], 1))
            project.judge("bob", one, SATISFACTORY)
        assert numbers == [254, 255, 256]
        export(project, recording, tmp_path / "out", ["youtube-vos", "davis", "bag"])
    same_masks(davis.read(tmp_path / "out/davis", "walk"), clip)
    objects = json.loads((tmp_path / "out/youtube-vos/meta.json").read_text())["videos"]["walk"]["objects"]
    assert {number: one["category"] for number, one in objects.items()} == {"1": "cup", "2": "object", "3": "ball"}
    assert bag.read(tmp_path / "out/bag/walk").object_ids == (254, 255, 256)


def test_images_of_several_sizes(clip: Clip, tmp_path: Path) -> None:
    masks = []
    for index, frame in enumerate(clip.frames):
        height, width = (30, 40) if index == 2 else (48, 64)
        write_jpeg(tmp_path / f"walk/{index}.jpg", frame[:height, :width], 95)
        masks.append(clip.masks[index][:, :height, :width])
    recording = open_recording(tmp_path / "walk")
    with annotate(tmp_path / "project", replace(clip, masks=masks), recording) as project:
        with pytest.raises(ExportError, match=r"davis: images must have one size, those of walk have 40 x 30, 64 x 48"):
            export(project, recording, tmp_path / "out", ["bag", "davis"])
        export(project, recording, tmp_path / "out", ["bag", "coco", "yolo", "video"])


def test_wrong_formats_and_recordings_are_refused(project: Project, recording: Recording, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no format png; choose bag, sav, davis"):
        export(project, recording, tmp_path / "out", ["png"])
    with pytest.raises(ValueError, match="choose a format: bag, sav"):
        export(project, recording, tmp_path / "out", [])
    with pytest.raises(ProjectError, match="is a project for another recording"):
        export(project, ClipRecording(make_clip("run")), tmp_path / "out", ["davis"])
    assert not (tmp_path / "out").exists()


# ---- again, and trouble


def test_only_what_changed_is_written_again(project: Project, recording: Recording, clip: Clip, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert [path.name for path in export(project, recording, out, ["davis", "coco"]).new] == ["davis", "coco"]
    before = content(out)
    assert export(project, recording, out, ["davis", "coco"]).new == []
    assert [path.name for path in export(project, recording, out, ["yolo", "davis"]).new] == ["yolo"]
    assert {name: data for name, data in content(out).items() if name in before and name != LIST} == {
        name: data for name, data in before.items() if name != LIST
    }
    project.put_mask("ann", AnnotatedMask.drawn(1, 8, clip.masks[0][0], 3))
    project.judge("bob", 1, SATISFACTORY)
    assert [path.name for path in export(project, recording, out, ["davis"]).new] == ["davis"]
    np.testing.assert_array_equal(davis.read(out / "davis", "walk").masks[8][0], clip.masks[0][0])
    project.describe("ann", 2, "box")
    assert [path.name for path in export(project, recording, out, ["coco", "davis"], verified_only=True).new]


def test_what_others_do_meanwhile_is_not_exported(
    project: Project, recording: Recording, clip: Clip, tmp_path: Path
) -> None:
    def meanwhile(done: int, total: int, what: str) -> None:
        if done == 5:
            with Project(project.folder) as theirs:
                theirs.put_mask("eve", AnnotatedMask.drawn(1, 8, clip.masks[0][0], 3))

    export(project, recording, tmp_path / "out", ["davis", "mose"], on_progress=meanwhile)
    same_masks(davis.read(tmp_path / "out/davis", "walk"), clip)
    same_masks(mose.read(tmp_path / "out/mose", "walk"), clip)
    assert project.object(1).state == OPEN


def test_foreign_files_are_never_replaced(project: Project, recording: Recording, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "davis").mkdir(parents=True)
    (out / "davis/mine.txt").touch()
    with pytest.raises(FileExistsError, match="exists already and is of no export; delete it"):
        export(project, recording, out, ["davis", "coco"])
    assert content(out) == {"davis/mine.txt": b""}
    export(project, recording, out, ["coco"])
    (out / LIST).write_text("{}")
    with pytest.raises(FileExistsError, match="is no list of an export"):
        export(project, recording, out, ["coco"])
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="is no folder; choose another one"):
        export(project, recording, tmp_path / "file", ["coco"])


def test_interruption_leaves_what_is_complete(project: Project, recording: Recording, tmp_path: Path) -> None:
    def interrupt(done: int, total: int, what: str) -> None:
        if what == "coco":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(project, recording, tmp_path / "out", ["davis", "coco", "yolo"], on_progress=interrupt)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["davis", LIST]
    assert [path.name for path in export(project, recording, tmp_path / "out", ["davis", "coco"]).new] == ["coco"]


def test_two_exports_into_one_folder_do_not_mix(project: Project, recording: Recording, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    folder = os.open(out, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="another process is writing into it; wait until it is done") as caught:
            export(project, recording, out, ["davis"])
        assert caught.value.errno == errno.EBUSY
    finally:
        os.close(folder)
    export(project, recording, out, ["davis"])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a file system")
@pytest.mark.parametrize("name", [name for name in EXPORT_FORMATS if name != "mose"])
def test_full_and_read_only_disks(tmp_path: Path, name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (9, 96, 128, 3), np.uint8)
    walk = make_clip()
    clip = replace(walk, frames=list(noise), masks=[np.pad(one, ((0, 0), (0, 48), (0, 64))) for one in walk.masks])
    recording = ClipRecording(clip)
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("this container may not mount a file system")
    try:
        with annotate(tmp_path / "project", clip, recording) as project:
            with pytest.raises(OSError, match="the disk is full; make room"):
                export(project, recording, disk / "out", [name])
            assert list((disk / "out").iterdir()) == []
            subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
            with pytest.raises(OSError, match="cannot be written; choose another folder"):
                export(project, recording, disk / "out", [name])
            subprocess.run(["mount", "-o", "remount,rw,size=30m", disk], check=True)
            export(project, recording, disk / "out", [name])
        assert sorted(path.name for path in (disk / "out").iterdir()) == sorted([name, LIST])
    finally:
        subprocess.run(["umount", disk], check=True)


KILLED = """
import os, signal, sys
from pathlib import Path
from small_clips import make_clip
from sam2_ros.annotation.export import export
from sam2_ros.annotation.project import Project
from sam2_ros.recordings.clip_recording import ClipRecording

folder, moment = Path(sys.argv[1]), int(sys.argv[2])
def step(done, total, what):
    if done == moment and what != "reading":
        os.kill(os.getpid(), signal.SIGKILL)
recording = ClipRecording(make_clip())
export(Project(folder / "project"), recording, folder / "out", ["bag", "davis", "coco"], on_progress=step)
"""


@pytest.mark.slow
@pytest.mark.parametrize("moment", [4, 13, 27])
def test_kill_leaves_no_half_format(project: Project, recording: Recording, tmp_path: Path, moment: int) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path, str(moment)], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    out, names = tmp_path / "out", ["bag", "davis", "coco"]
    done = names[: (moment - 1) // 9]
    assert {path.name for path in out.iterdir()} == {UNFINISHED, *done, *([LIST] if done else [])}
    assert [path.name for path in export(project, recording, out, names).new] == names[len(done) :]
    export(project, recording, tmp_path / "truth", names)
    assert content(out) == content(tmp_path / "truth")
