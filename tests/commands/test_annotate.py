"""`sam2_ros annotate` from a recording to verified masklets, with the default model on a small clip."""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from small_disk import mounted

from sam2_ros.annotation import database
from sam2_ros.annotation.annotated_mask import DRAWN, PROMPTED, PROPAGATED, AnnotatedMask
from sam2_ros.annotation.project import Project
from sam2_ros.commands import annotate as module
from sam2_ros.commands.annotate import ACTIONS, help_of, main
from sam2_ros.commands.annotation.options import FORMATS
from sam2_ros.commands.main import COMMANDS
from sam2_ros.data import davis, sav
from sam2_ros.data.clip import Clip

FRAMES, HEIGHT, WIDTH = 12, 96, 128
FAST = ("--size", "128", "--device", "cpu")
WITH_MODEL = ("prompt", "propagate")

Run = Callable[..., tuple[int, str, str]]


def moving_square() -> Clip:
    """A red square that moves to the right over a smooth picture, three pixels an image."""
    rng = np.random.default_rng(1)
    picture = cv2.resize(rng.integers(40, 140, (4, 5, 3), np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    images, masks = [], []
    for index in range(FRAMES):
        mask = np.zeros((1, HEIGHT, WIDTH), bool)
        mask[0, 26:58, 8 + 3 * index : 40 + 3 * index] = True
        image = picture.copy()
        image[mask[0]] = (230, 40, 30)
        images.append(image)
        masks.append(mask)
    return Clip("square", images, (1,), masks, 12.0)


CLIP = moving_square()


def write_images(folder: Path, clip: Clip = CLIP) -> Path:
    folder.mkdir(parents=True)
    for index, frame in enumerate(clip.frames):
        Image.fromarray(frame).save(folder / f"{index:05}.png")
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("source") / "square")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Run:
    """Does an action in this process: exit status, output, and errors."""
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("LOGNAME", "ann")

    def run(action: str, *arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        fast = FAST if action in WITH_MODEL or "--propose" in arguments else ()
        monkeypatch.setattr(sys, "argv", ["sam2_ros annotate", action, *map(str, arguments), *fast])
        try:
            status = main()
        except SystemExit as error:  # argparse
            status = int(error.code or 0)
        printed = capsys.readouterr()
        return status, " ".join(printed.out.split()), printed.err

    return run


@pytest.fixture
def project(run: Run, images: Path, tmp_path: Path) -> Path:
    """A project of the clip, with nothing in it."""
    folder = tmp_path / "project"
    assert run("new", images, folder, "--fps", 12)[0] == 0
    return folder


def refused(result: tuple[int, str, str], *phrases: str) -> None:
    """The action has failed with one line that holds these phrases."""
    status, _, errors = result
    assert status == 2 and errors.startswith("annotate") and errors.count("\n") == 1, errors
    for phrase in phrases:
        assert phrase in errors, errors


def iou(project: Project, object_id: int, frame: int) -> float:
    mask = project.mask(object_id, frame)
    assert mask is not None
    found, truth = mask.mask, CLIP.masks[frame][0]
    return float((found & truth).sum() / (found | truth).sum())


# ------------------------------------------------------------------------------------------------------ what it does


@pytest.mark.slow
def test_from_a_recording_to_a_data_set(run: Run, images: Path, project: Path, tmp_path: Path) -> None:
    """One project through all actions."""
    status, output, errors = run(
        "prompt", project, "--at", "0.25s", "--click", "24,40", "--label", "squar", "--picture", tmp_path / "frame.png",
        "--seconds", 2.5,
    )  # fmt: skip
    assert (status, errors) == (0, ""), errors
    assert output.startswith("object 1 on frame 3 (0.25 s): box ") and "predicted IoU 0." in output
    assert Image.open(tmp_path / "frame.png").size == (640, 480)
    status, output, _ = run("prompt", project, 1, "--at", 3, "--click=24,40-100,80", "--phase", 1)
    assert status == 0, "clicks on the same frame accumulate"
    status, output, errors = run("propagate", project, 1)
    assert (status, errors) == (0, "") and "object 1: 11 masks from frame 3 on" in output
    assert "visible on 12 of 12 frames" in output
    with Project(project) as opened:
        origins = [mask.origin for mask in opened.masks_of(1)]
        assert origins == [PROPAGATED] * 3 + [PROMPTED] + [PROPAGATED] * 8
        assert min(iou(opened, 1, frame) for frame in range(FRAMES)) > 0.7
        (given,) = opened.prompts_of(1)
        assert len(given.prompt.clicks) == 3

    # corrected by hand on another frame, and propagated from there, to a part
    Image.fromarray(CLIP.masks[9][0]).save(tmp_path / "mask.png")
    status, output, _ = run("draw", project, 1, "--at", 9, "--mask", tmp_path / "mask.png", "--phase", 3)
    assert status == 0 and "object 1 on frame 9 (0.75 s): box 35,26,32,32, 1024 pixels, drawn by hand" in output
    status, output, _ = run("propagate", project, 1, "--from", 8, "--phase", 3)
    assert status == 0 and "object 1: 3 masks from frame 9 on" in output
    assert run("prompt", project, 1, "--at", 11, "--box", "41,26,32,32")[0] == 0
    with Project(project) as opened:
        assert opened.mask(1, 9).origin == DRAWN and iou(opened, 1, 9) == 1.0
        assert opened.mask(1, 11).phase == 3 and iou(opened, 1, 11) > 0.7

    # names, and undoing
    assert run("label", project, 1, "square", "--attribute", "colour=red")[1] == "object 1: 'square', colour red"
    assert run("undo", project)[1] == "undone: action 7, describe of object 1"
    assert run("redo", project)[1] == "done again: action 7, describe of object 1"
    assert run("label", project, 1, "--attribute", "colour=")[1] == "object 1: 'square'"
    assert run("draw", project, 1, "--at", 2, "--absent")[0] == 0
    status, output, _ = run("remove", project, 1, "--at", 2)
    assert (status, output) == (0, "object 1: its mask on frame 2 is forgotten")
    for _ in range(2):
        assert run("undo", project)[0] == 0
    status, output, _ = run("log", project, "--last", 4)
    assert "undone by 14" in output and "14 " in output and "the last 4 of 14" in output
    with Project(project) as opened:
        assert [action.seconds for action in opened.actions()][:2] == [2.5, 0.0]

    # pictures
    pictures = [tmp_path / name for name in ("sheet.jpg", "strip.png", "frame.jpg")]
    status, output, _ = run(
        "show", project, "--sheet", pictures[0], "--strip", 1, pictures[1], "--frame", "0.5s", pictures[2]
    )
    assert status == 0 and output == " ".join(map(str, pictures)) and all(map(Path.is_file, pictures))
    status, output, _ = run("show", project)
    assert (
        "least sure: object 1 on frame " in output
        and "1 object: 1 open" in output
        and "1 square open 12 of 12 3 9" in output
    )

    # verified by somebody else
    assert run("verify", project)[1].startswith("nothing waits for ann's verdict those that are left are")
    status, output, _ = run("verify", project, "--by", "ben")
    assert status == 0 and "1 square open 12 of 12" in output and (project / "strips/1.png").is_file()
    refused(run("verify", project, 1, "satisfactory"), "object 1 is ann's own work; somebody else has to look at it")
    refused(run("export", project, "--out", tmp_path / "data", "--format", "sav"), "1 of 1 masklets", "--unverified")
    status, output, _ = run("verify", project, 1, "unsatisfactory", "--reason", "drifts", "--by", "ben")
    assert (status, output) == (0, "object 1: open (drifts)")
    assert run("verify", project, 1, "satisfactory", "--by", "ben")[1] == "object 1: verified"
    status, output, errors = run("export", project, "--out", tmp_path / "data", "--format", "davis", "sav")
    assert (status, errors) == (0, "") and str(tmp_path / "data/davis") in output
    (clip,) = davis.clips(tmp_path / "data/davis")
    assert len(clip) == FRAMES and clip.object_ids == (1,)
    assert len(sav.clips(tmp_path / "data/sav")) == 1


@pytest.mark.slow
def test_proposals_are_verified_on_a_terminal(
    run: Run, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is found, and what `sam2_ros track` has written; twice, without doubles."""
    folder = tmp_path / "project"
    status, output, errors = run("new", images, folder, "--propose", "--max-masklets", 3)
    assert (status, errors) == (0, "") and "proposals: " in output and "next: sam2_ros annotate verify" in output
    status, output, _ = run("new", images, folder, "--propose", "--max-masklets", 3)
    assert status == 0 and "is there already" in output and "no new proposals" in output
    refused(run("new", images, folder, "--propose", "--max-masklets", 2), "other search", "--restart forgets it")
    track = ("track", str(images), "--click", "24,40", "--label", "square", "--out", str(tmp_path / "tracked"), *FAST)
    monkeypatch.setattr(sys, "argv", ["sam2_ros track", *track[1:]])
    from sam2_ros.commands.track import main as track_main

    assert track_main() == 0
    assert run("new", images, folder, "--tracked", tmp_path / "tracked")[0] == 0
    with Project(folder) as project:
        count = len(project.objects("proposed"))
        assert project.objects()[-1].label == "square" and count >= 2
    terminal = Terminal("x\ns\nn\na shadow\n\nq\n")
    monkeypatch.setattr(sys, "stdin", terminal)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    status, output, errors = run("verify", folder)
    assert (status, errors) == (0, "") and f"{count} wait for ann's verdict" in output
    with Project(folder) as project:
        assert len(project.objects("verified")) == 1 and project.objects("rejected")[0].reason == "a shadow"
        verdicts = [action for action in project.actions() if action.kind == "verdict"]
        assert len(verdicts) == 2 and all(action.seconds > 0 for action in verdicts)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_recording_that_was_moved_is_found_again(run: Run, tmp_path: Path) -> None:
    images, folder = write_images(tmp_path / "here/square"), tmp_path / "project"
    assert run("new", images, folder)[0] == 0
    images.rename(tmp_path / "moved")
    picture = ("--frame", 0, tmp_path / "frame.png")
    refused(run("show", folder, *picture), "is not there", "--recording PATH")
    other = write_images(tmp_path / "other", replace(CLIP, frames=CLIP.frames[::-1]))
    refused(run("show", folder, *picture, "--recording", other), f"{other} is not the recording that {folder}")
    assert run("show", folder, *picture, "--recording", tmp_path / "moved")[0] == 0
    assert run("show", folder, *picture)[0] == 0, "the project remembers it"
    (tmp_path / "both").mkdir()
    for name in ("moved", "project"):
        (tmp_path / name).rename(tmp_path / "both" / name)
    assert run("show", tmp_path / "both/project", *picture)[0] == 0, "it lies beside the project"


# ------------------------------------------------------------------------------------------------------ bad input


def test_project_of_a_part_of_a_recording(run: Run, images: Path, tmp_path: Path) -> None:
    folder = tmp_path / "part"
    made = run("new", images, folder, "--from", 2, "--to", "0.58s", "--annotated-fps", 4, "--fps", 12)
    status, output, errors = made
    assert (status, errors) == (0, "") and f"{folder}: made; phase 1 annotates 2 of 6 frames" in output
    assert "--at 2 --click" in output
    assert "is there already" in run("new", images, folder)[1], "the same part"
    other = run("new", images, folder, "--from", 3)
    refused(other, f"{folder} is of the frames 2 to 7; for others, make another project")
    refused(run("new", images, tmp_path / "other", "--from", 5, "--to", 3), "--to frame 3 is before --from frame 5")
    Image.fromarray(CLIP.masks[2][0]).save(tmp_path / "mask.png")
    refused(run("draw", folder, "--at", 1, "--mask", tmp_path / "mask.png"), "frame 1")
    assert run("draw", folder, "--at", 2, "--mask", tmp_path / "mask.png")[0] == 0
    assert "5 masks from frame 2 on" in run("propagate", folder, 1)[1]
    assert "frames 2 to 7 of 12 frames" in run("show", folder)[1]
    strip = tmp_path / "strip.png"
    assert run("show", folder, "--strip", 1, strip, "--sheet", tmp_path / "sheet.png")[0] == 0 and strip.is_file()
    assert run("verify", folder, 1, "satisfactory", "--by", "ben")[0] == 0
    assert run("export", folder, "--out", tmp_path / "data", "--format", "davis")[0] == 0
    (clip,) = davis.clips(tmp_path / "data/davis")
    assert len(clip) == 6


def test_wrong_input_is_one_line(run: Run, images: Path, project: Path, tmp_path: Path) -> None:
    other = write_images(tmp_path / "other", replace(CLIP, frames=CLIP.frames[::-1]))
    refused(run("new", other, project), "a project for another recording", "another folder for the project")
    refused(run("new", tmp_path / "none"), "there is no such file or folder")
    refused(run("new", images, images), "is the recording itself")
    refused(run("new", images, project, "--tracked", tmp_path), "there are no masklets")
    refused(run("show", tmp_path), "is no annotation project")
    refused(run("prompt", project, "--at", 12, "--click", "5,5"), "--at frame 12: the recording has 12 images")
    refused(run("prompt", project, "--at", 1, "--click", "500,5"), "outside")
    refused(run("prompt", project, 7, "--at", 1, "--click", "5,5"), "there is no object 7; there are: none")
    refused(run("draw", project, "--at", 1, "--mask", images / "00000.png", "--by", ""), "name is missing")
    refused(run("propagate", project, 7), "there is no object 7")
    refused(run("label", project, 7, "cup"), "there is no object 7")
    refused(run("verify", project, 7, "satisfactory"), "there is no object 7")
    refused(run("undo", project), "ann has nothing to undo")
    refused(run("show", project, "--frame", "9s", tmp_path / "a.png"), "--frame 9 s: the recording is 1.0 s long")
    refused(run("show", project, "--sheet", images / "00000.png/a.png"), "choose another place")
    refused(run("export", project, "--out", tmp_path / "data", "--format", "sav"), "no verified masklets to export")
    with Project(project) as opened:
        assert opened.objects() == [], "nothing is left of what was refused"


def test_letters_are_shown_as_they_are(run: Run, project: Path) -> None:
    label, name = "[/red] [bold]cup :smile:", "o\"br'ien;-- [/x]"
    with Project(project) as opened:
        opened.add_object("ann", label, {"[/a]": "[/b]"})
        opened.judge("ben", 1, "unsatisfactory", "[/why]")
    assert run("label", project, 1, label, "--by", name)[:2] == (0, f"object 1: '{label}', [/a] [/b]")
    status, shown, _ = run("show", project)
    assert status == 0 and f"1 {label} open ([/why])" in shown and f"describe by {name}" in shown
    status, logged, _ = run("log", project)
    assert status == 0 and name in logged and "reason [/why]" in logged


def test_tables_are_whole_in_narrow_terminals(
    run: Run, images: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(CLIP.masks[0][0]).save(project / "mask.png")
    assert run("draw", project, "--at", 0, "--mask", project / "mask.png", "--label", "cup")[0] == 0
    with Project(project) as opened:
        mask = opened.mask(1, 0)
        assert mask is not None
        opened.put_propagated("ann", 1, [replace(mask, frame=n, origin=PROPAGATED) for n in range(1, FRAMES)])
    monkeypatch.setenv("COLUMNS", "40")
    shown = run("show", project)[1]
    assert (
        "object label state visible on by hand propagated predicted IoU who 1 cup open 12 of 12 1 11 1.00 ann" in shown
    )
    strip = project / "strips" / "1.png"
    assert f"1 cup open 12 of 12 1.00 {strip}" in run("verify", project, "--by", "ben")[1]
    assert strip.is_file()


def test_letters_that_cannot_be_shown_are_refused(run: Run, project: Path) -> None:
    with Project(project) as opened:
        opened.add_object("ann", "cup")
    refused(run("label", project, 1, "a\nb"), "a label with a line break")
    refused(run("label", project, 1, "x" * 10_000), "a label of 10000 letters; at most 256")
    refused(run("label", project, 1, "--attribute", "colour=a\x1b[31m"), "the value of 'colour' with a line break or")
    refused(run("label", project, 1, "mug", "--by", "ann\nben"), "a name with a line break")
    refused(run("label", project, 1, "mug", "--by", "n" * 10_000), "a name of 10000 letters")
    refused(run("undo", project, "--by", ""), "name is missing")
    with Project(project) as opened:
        assert opened.object(1).label == "cup" and opened.last_action == 1


def test_project_that_is_named_twice_is_exported_once(run: Run, project: Path, tmp_path: Path) -> None:
    with Project(project) as opened:
        masks = [AnnotatedMask.drawn(1, frame, CLIP.masks[frame][0], 1) for frame in range(FRAMES)]
        opened.add_object("ann", "cup", masks=masks)
    again = project.parent / "." / project.name / ".." / project.name
    arguments = ("--out", tmp_path / "data", "--format", "davis", "--unverified")
    assert run("export", project, again, *arguments)[0] == 0
    assert davis.sequences(tmp_path / "data" / "davis") == ["square"]


def test_damaged_images_are_named(run: Run, tmp_path: Path) -> None:
    images, folder = write_images(tmp_path / "damaged"), tmp_path / "project"
    (images / "00003.png").write_bytes(b"no image")
    assert run("new", images, folder, "--fps", 12)[0] == 0
    refused(run("prompt", folder, "--at", 3, "--click", "30,40"), "the image of frame 3 is damaged", "another one")
    Image.fromarray(CLIP.masks[2][0]).save(tmp_path / "mask.png")
    assert run("draw", folder, "--at", 2, "--mask", tmp_path / "mask.png")[0] == 0
    status, said, _ = run("propagate", folder, 1)
    assert status == 0 and "note: damaged images, skipped: 1, such as 3 (00003.png" in said
    with Project(folder) as opened:
        assert [mask.frame for mask in opened.masks_of(1)] == [0, 1, 2, *range(4, FRAMES)]


def test_object_without_a_mask_by_hand_is_not_propagated(run: Run, project: Path) -> None:
    with Project(project) as opened:
        opened.add_object("ann", "cup")
    refused(run("propagate", project, 1), "object 1 has no mask by hand; point at it first: sam2_ros annotate prompt")
    refused(run("remove", project, 1, "--at", 3), "object 1 has no mask on frame 3")


def test_what_others_have_changed_is_not_overwritten(run: Run, project: Path, tmp_path: Path) -> None:
    Image.fromarray(CLIP.masks[0][0]).save(tmp_path / "mask.png")
    assert run("draw", project, "--at", 0, "--mask", tmp_path / "mask.png")[0] == 0
    assert run("label", project, 1, "cup", "--by", "ben")[0] == 0
    result = run("verify", project, 1, "no-object", "--by", "carl", "--seen", 1)
    refused(result, "object 1 was changed by ben in the meantime; look at it again")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("prompt", "p", "--at", "x", "--click", "1,2"), "argument --at: 'x' is neither the number of an image"),
        (("prompt", "p", "--at", "1", "--click", "1"), "argument --click: '1' is no click"),
        (("prompt", "p", "--at", "1", "--click", "-5,1"), "argument --click: '-5,1' begins with -"),
        (("prompt", "p", "--at", "1"), "one of the arguments --click --box is required"),
        (("prompt", "p", "x", "--at", "1", "--click", "1,2"), "'x' is no number of an object"),
        (
            ("prompt", "p", "3", "--at", "1", "--click", "1,2", "--label", "cup"),
            "name this one by `label PROJECT 3 cup`",
        ),
        (("prompt", "p", "9" * 30, "--at", "1", "--click", "1,2"), "is no number of an object"),
        (("prompt", "p", "--at", "1", "--click", "1,2", "--seconds", "-1"), "'-1' is no number of seconds"),
        (("draw", "p", "--at", "1", "--absent"), "say which OBJECT is not visible"),
        (("new", "r", "--propose", "--tracked", "t"), "--propose and --tracked exclude each other"),
        (("new", "r", "--rejected"), "add --propose or --tracked"),
        (("verify", "p", "3"), "say what you think of object 3"),
        (("verify", "p", "3", "fine"), "invalid choice: 'fine'"),
        (("label", "p", "3"), "give the NAME"),
        (("show", "p", "--sheet", "sheet.gif"), "no name of a picture; end it with .png"),
        (("show", "p", "--strip", "x", "a.png"), "--strip or --frame: 'x' is no number of an object"),
        (("export", "p", "--out", "o", "--format", "avi"), "invalid choice: 'avi'"),
    ],
)
def test_wrong_form_names_the_option(run: Run, arguments: tuple[str, ...], message: str) -> None:
    status, _, errors = run(*arguments)
    assert status == 2 and message in errors.splitlines()[-1], errors


def test_damaged_and_locked_databases(run: Run, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 0.05)
    with Project(project) as opened:
        opened.add_object("ann", "cup")
    with closing(sqlite3.connect(project / "project.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        refused(run("label", project, 1, "mug"), "project.db: another process has held it")
    assert run("label", project, 1, "mug")[0] == 0
    for name in ("project.db-wal", "project.db-shm"):
        (project / name).unlink(missing_ok=True)
    (project / "project.db").write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 64)
    refused(run("show", project), "project.db: is damaged")


def test_folder_that_cannot_be_written(run: Run, images: Path, project: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused(run("new", images, tmp_path / "file"), "file: it is no folder; give another folder")
    with mounted(tmp_path / "disk", "size=4m") as disk:
        shutil.copytree(project, disk / "project")
        os.system(f"mount -o remount,ro {disk}")
        refused(run("new", images, disk / "other"), "Read-only file system; give another folder: new RECORDING PROJECT")
        refused(run("show", disk / "project"), "cannot be written; is its folder read-only?")


def test_full_disk(run: Run, images: Path, tmp_path: Path) -> None:
    """The mask of a frame does not fit: it is refused, and what was there before stays."""
    rng = np.random.default_rng(0)
    with mounted(tmp_path / "disk", "size=256k") as disk:
        assert run("new", images, disk / "project")[0] == 0
        for frame in range(FRAMES):
            Image.fromarray(rng.random((HEIGHT, WIDTH)) < 0.5).save(tmp_path / "mask.png")
            target = ("--at", frame, "--mask", tmp_path / "mask.png")
            result = run("draw", disk / "project", *((1,) if frame else ()), *target)
            if result[0]:
                break
        refused(result, "the disk is full; make room")
        with Project(disk / "project") as project:
            assert len(list(project.masks_of(1))) == frame > 0


# ---------------------------------------------------------------------------------------------------------- helps


def test_helps_fit_one_screen(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert COMMANDS["annotate"].module == module.__name__
    lines = help_of("sam2_ros annotate").splitlines()
    assert len(lines) <= 45 and max(map(len, lines)) <= 100
    for action in ACTIONS:
        monkeypatch.setattr(sys, "argv", ["sam2_ros annotate", action, "--help"])
        with pytest.raises(SystemExit) as ended:
            main()
        lines = capsys.readouterr().out.splitlines()
        assert ended.value.code == 0 and len(lines) <= 45
        assert lines[0].startswith(f"usage: sam2_ros annotate {action} ")
        assert lines[lines.index("examples:") + 1].startswith(f"  sam2_ros annotate {action} ")


def test_unknown_action_is_answered_with_the_nearest(run: Run) -> None:
    refused(run("propagat"), "there is no action 'propagat'; do you mean `sam2_ros annotate propagate`?")
    refused(run("xyz"), "`sam2_ros annotate --help` lists them")


def test_formats_are_those_of_the_export() -> None:
    from sam2_ros.annotation.export import EXPORT_FORMATS

    assert {*FORMATS} == EXPORT_FORMATS.keys()
