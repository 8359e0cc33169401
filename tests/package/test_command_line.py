"""What all commands share: the words that were typed, and helps of one screen."""

from __future__ import annotations

import sys

import pytest

from sam2_ros.command_line import CommandParser, Rare, typed


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ("sam2_ros train", "sam2_ros train"),
        ("python -m sam2_ros train", "python -m sam2_ros train"),
        ("ros2 run sam2_ros record", "ros2 run sam2_ros record"),
        ("/robot/sam2_ros/training/__main__.py", "python -m sam2_ros.training"),
    ],
)
def test_words_that_were_typed(monkeypatch: pytest.MonkeyPatch, argv: str, said: str) -> None:
    monkeypatch.setattr(sys, "argv", [argv])
    assert typed("sam2_ros.training") == said


@pytest.mark.parametrize(("option", "shown"), [("--help", False), ("--help-all", True)])
def test_rare_options_are_shown_by_help_all(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str, shown: bool
) -> None:
    monkeypatch.setattr(sys, "argv", ["sam2_ros mow"])
    monkeypatch.setenv("COLUMNS", "60")
    parser = CommandParser("sam2_ros.mowing", "Mows a lawn. " * 10, "%(prog)s lawn\n%(prog)s lawn --low", rare=True)
    parser.add_argument("--low", action="store_true", help="mow it short")
    parser.add_argument_group("for experts").add_argument("--blade", help=Rare("its number"))
    with pytest.raises(SystemExit) as exit:
        parser.parse_args([option])
    help = capsys.readouterr().out
    assert exit.value.code == 0 and max(map(len, help.splitlines())) <= 60
    assert help.endswith("examples:\n  sam2_ros mow lawn\n  sam2_ros mow lawn --low\n")
    assert "--low" in help and ("its number" in help) == ("for experts" in help) == shown
    assert parser.parse_args(["--blade", "7"]).blade == "7"
