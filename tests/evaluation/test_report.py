"""Tables, JSON and curves."""

import io
import json
import math

import cv2
import numpy as np
import pytest
from rich.console import Console

from sam2_ros.evaluation import curves
from sam2_ros.evaluation.report import MAX_LISTED_CLIPS, Curves, Report, Rows, Table, mean, percent
from sam2_ros.evaluation.scores import FrameScore, ObjectScore
from sam2_ros.evaluation.vos import vos_report


def test_rows_of_clips_and_challenges():
    rows = Rows(["motion-0", "motion-1", "blur-0"], {"motion-0": "motion", "motion-1": "motion", "blur-0": "blur"})
    assert rows.tables() == {
        "clip": {"motion-0": {"motion-0"}, "motion-1": {"motion-1"}, "blur-0": {"blur-0"}, "all": set(rows.clips)},
        "challenge": {"motion": {"motion-0", "motion-1"}, "blur": {"blur-0"}},
    }
    assert list(rows.lines()) == ["motion", "blur", "all"]
    assert list(Rows(["a", "b"]).tables()) == ["clip"] and list(Rows(["a", "b"]).lines()) == ["a", "b", "all"]
    assert list(Rows([str(n) for n in range(9)]).lines()) == ["all"]  # too many for a figure
    many = Rows([str(n) for n in range(MAX_LISTED_CLIPS + 1)])
    assert list(many.tables()["clip"]) == ["all"] and len(many.by_clip()) == MAX_LISTED_CLIPS + 1


def test_undefined_means():
    assert math.isnan(mean([])) and percent(math.nan) == "-"
    assert percent(mean([0.25, 0.5])) == "37.5"


def test_report_on_the_screen_and_in_files(tmp_path):
    table = Table("clip", ["J&F"], [("walk", ["12.5"]), ("all", ["-"])])
    data = {"total": math.nan, "values": [1 / 3, np.float64(0.5), 2, True], "name": "walk"}
    report = Report({"model": "m"}, [table], ["What it means."], data, Curves({"all": ([1], [0.5])}, "x", "y"))
    report.save(tmp_path / "new")
    text = (tmp_path / "new/scores.md").read_text()
    assert "- model: m\n\n| clip | J&F |\n|---|--:|\n| walk | 12.5 |\n| all | - |\n\nWhat it means.\n" in text
    saved = json.loads((tmp_path / "new/scores.json").read_text())
    assert saved == {"settings": {"model": "m"}, "total": None, "values": [0.33333, 0.5, 2, True], "name": "walk"}
    console = Console(record=True, width=80)
    report.print(console)
    assert "12.5" in console.export_text()


def scores(clip, values, start=0):
    """An object that is visible on every frame, with the same J and F."""
    one = ObjectScore(clip, 1, start)
    one.frames += [FrameScore(start + age, v, v, True, v > 0, 1) for age, v in enumerate(values, 1)]
    return one


def test_challenges_and_curves_computed_by_hand():
    of_clips = [scores("blur-0", [0.8, 0.6]), scores("blur-1", [0.4, 0.2, 0.0], start=3), scores("motion-0", [1.0])]
    rows = Rows(["blur-0", "blur-1", "motion-0"], {"blur-0": "blur", "blur-1": "blur", "motion-0": "motion"})
    report = vos_report({}, {"click": of_clips}, rows)
    clips, challenges = report.tables
    assert [name for name, _ in clips.rows] == ["blur-0", "blur-1", "motion-0", "all"]
    assert clips.rows[3][1] == ["3", "6", "63.3", "63.3", "63.3", "100.0", "83.3", "90.9", "0"]
    assert [(name, cells[:3]) for name, cells in challenges.rows] == [
        ("blur", ["2", "5", "45.0"]),
        ("motion", ["1", "1", "100.0"]),
    ]
    ages, values = report.curves.lines["blur"]  # by time since the prompt, whenever that was
    assert ages == [1, 2, 3] and values == pytest.approx([0.6, 0.4, 0.0])
    saved = json.loads(report.json())
    assert saved["challenges"]["blur"]["j_and_f"] == 0.45
    assert saved["objects"][1] == {
        "clip": "blur-1", "object_id": 1, "prompted": 3, "frame": [4, 5, 6], "j": [0.4, 0.2, 0.0], "f": [0.4, 0.2, 0.0],
        "visible": [True] * 3, "present": [True, True, False], "switches": 0,
    }  # fmt: skip


def test_table_of_several_kinds_of_prompts():
    by_kind = {"click": [scores("walk", [0.5])], "mask": [scores("walk", [0.75])]}
    report = vos_report({}, by_kind, Rows(["walk"]))
    kinds, clips = report.tables
    assert kinds.heading == "prompt" and [(name, cells[2]) for name, cells in kinds.rows] == [
        ("click", "50.0"),
        ("mask", "75.0"),
    ]
    assert (clips.columns, clips.rows[1]) == (["click", "mask"], ("all", ["50.0", "75.0"]))
    assert list(report.curves.lines) == ["click", "mask"]
    assert json.loads(report.json())["prompts"]["mask"]["total"]["j"] == 0.75


def test_curves_are_drawn(tmp_path):
    lines = {"motion": ([1, 2, 3], [0.5, 0.6, 0.7]), "all": ([1, 2], [0.4, math.nan])}
    curves.draw(Curves(lines, "clicks", "mIoU"), "a title", tmp_path / "new/curves.png")
    picture = cv2.imread(str(tmp_path / "new/curves.png"))
    assert picture.shape[:2] == (540, 960)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50


@pytest.mark.parametrize("name", ["video [/b]", "[red]x", "two\nlines | cells", "caf\udce9"])
def test_clip_names_are_escaped(tmp_path, name):
    shown = io.StringIO()
    table = Table("clip", ["J&F"], [(name, ["1.0"])])
    report = Report({}, [table], [f"Skipped: {name}"], {}, Curves({}, "", ""))
    report.print(Console(file=shown, width=100))
    report.save(tmp_path)
    assert f"Skipped: {name}" in shown.getvalue() and name.splitlines()[0] in shown.getvalue().split("Skipped")[0]
    (row,) = [line for line in (tmp_path / "scores.md").read_text("utf-8").splitlines() if line.endswith("| 1.0 |")]
    assert row.startswith("| ") and row.replace("\\|", "").count("|") == 3


def test_dollars_in_names_are_not_formulas(tmp_path):
    curve = ([1, 2], [0.5, 0.6])
    curves.draw(Curves({"cost $\\frac$": curve, "all": curve}, "x", "y"), "masks $\\frac$", tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size
