"""sam2_ros annotate label, remove, undo, redo and log."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping

from rich.console import Console

from sam2_ros.annotation.action import Action
from sam2_ros.annotation.project import Project, ProjectError
from sam2_ros.commands.annotation.listing import say_table
from sam2_ros.commands.annotation.running import annotator, frame_at, opened, say


def label(options: argparse.Namespace, console: Console) -> None:
    """Name an object. Raises `commands.errors.ERRORS`."""
    with Project(options.project) as project:
        seen, known = project.last_action, project.object(options.object)
        attributes = {**known.attributes, **dict(options.attribute)}
        attributes = {key: value for key, value in attributes.items() if value}
        project.describe(annotator(options), options.object, options.label, attributes, seen)
        now = project.object(options.object)
        named = f"{now.label!r}" if now.label else "without a name"
        say(console, f"object {now.object_id}: {named}{_pairs(now.attributes)}")


def remove(options: argparse.Namespace, console: Console) -> None:
    """Forget a mask. Raises `commands.errors.ERRORS`."""
    with opened(options) as (project, recording):
        seen, frame = project.last_action, frame_at(options.at, recording)
        project.remove_mask(annotator(options), options.object, frame, seen)
        say(console, f"object {options.object}: its mask on frame {frame} is forgotten")


def undo(options: argparse.Namespace, console: Console) -> None:
    """Undo an annotator's last action. Raises `commands.errors.ERRORS`."""
    with Project(options.project) as project:
        by = annotator(options)
        _say_reversed(project.undo(by), "undone", f"{by} has nothing to undo", console)


def redo(options: argparse.Namespace, console: Console) -> None:
    """Do again what was undone last. Raises `commands.errors.ERRORS`."""
    with Project(options.project) as project:
        by = annotator(options)
        _say_reversed(
            _again(project, project.redo(by)), "done again", f"{by} has undone nothing since the last action", console
        )


def log(options: argparse.Namespace, console: Console) -> None:
    """List actions. Raises `commands.errors.ERRORS`."""
    with Project(options.project) as project:
        actions = [
            action
            for action in project.actions()
            if options.by in (None, action.annotator) and options.object in (None, action.object_id)
        ]
    shown = actions[-options.last :] if options.last > 0 else actions
    names = ("action", "when", "who", "what", "object", "frame", "phase", "seconds", "")
    say_table(console, names, map(_cells, shown), left=("when", "who", "what", "phase", ""))
    if len(shown) < len(actions):
        say(console, f"the last {len(shown)} of {len(actions)}; --last 0 lists all", "dim")


def _cells(action: Action) -> list[str]:
    numbers = (action.object_id, action.frame, action.phase)
    hidden = ("new_clicks", "new_box")  # clicks has them all
    detail = {key: value for key, value in action.detail.items() if value not in ("", None) and key not in hidden}
    undone = "" if action.undone_by is None else f"undone by {action.undone_by}"
    undoes = "" if action.undoes is None else f"of {action.undoes}"
    notes = [undone, undoes, ", ".join(f"{key} {value}" for key, value in detail.items())]
    return [
        str(action.action_id),
        time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(action.time)),
        action.annotator,
        action.kind,
        *("" if number is None else str(number) for number in numbers),
        f"{action.seconds:.1f}" if action.seconds else "",
        "; ".join(filter(None, notes)),
    ]


def _again(project: Project, undo: Action | None) -> Action | None:
    """What an `undo` had undone, and is there again."""
    if undo is None or undo.undoes is None:
        return undo
    return next(project.actions(undo.undoes - 1))


def _say_reversed(action: Action | None, said: str, otherwise: str, console: Console) -> None:
    if action is None:
        raise ProjectError(otherwise)
    where = "" if action.object_id is None else f" of object {action.object_id}"
    where += "" if action.frame is None else f" on frame {action.frame}"
    say(console, f"{said}: action {action.action_id}, {action.kind}{where}")


def _pairs(attributes: Mapping[str, str]) -> str:
    return "".join(f", {key} {value}" for key, value in attributes.items())
