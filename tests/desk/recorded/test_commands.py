"""The commands that a desk shows and runs are ones that there are."""

from __future__ import annotations

from pathlib import Path

from sam2_ros.annotation import fine_tune
from sam2_ros.commands.annotation.options import parse
from sam2_ros.desk.recorded.command_job import command_line
from sam2_ros.desk.recorded.commands import Commands

MODEL = {"model": "default", "checkpoint": Path("w.safetensors"), "size": 512, "aspect": None, "device": "cpu"}


def test_they_are_understood() -> None:
    commands = Commands(Path("my project"), Path("run 1"), MODEL)
    for arguments in (
        commands.propose(),
        commands.export(["sav", "coco"]),
        commands.export(["bag"], unverified=True),
        commands.export(["bag"], verified_only=True),
    ):
        command, action, *rest = map(str, arguments)
        assert command == "annotate"
        parse(action, "sam2_ros annotate", rest)
    command, action, *rest = map(str, commands.fine_tune(2.5))
    options = fine_tune.arguments().parse_args(rest)
    assert (command, action) == ("annotate", "fine-tune") and options.minutes == 2.5 and options.device == "cpu"


def test_as_they_are_typed() -> None:
    line = command_line(Commands(Path("my project"), Path("run")).export(["sav"]))
    assert line == "sam2_ros annotate export 'my project' --out 'my project/export' --format sav"
