"""sam2_ros annotate export: verified masklets as data sets and bags."""

from __future__ import annotations

import argparse
from contextlib import ExitStack

from rich.console import Console

from sam2_ros.annotation.export import EXPORT_FORMATS, Source, export_all
from sam2_ros.annotation.project import Project
from sam2_ros.annotation.project_recording import recording_of
from sam2_ros.commands.annotation.running import say
from sam2_ros.commands.progress import Progress


def export(options: argparse.Namespace, console: Console) -> None:
    """Export projects. Raises `commands.errors.ERRORS`."""
    folders = {folder.resolve(): folder for folder in options.projects}.values()  # each once
    with ExitStack() as stack:
        projects = [stack.enter_context(Project(folder)) for folder in folders]
        sources = [Source(project, recording_of(project, options.recordings)) for project in projects]
        with Progress(console) as progress:
            exported = export_all(
                sources,
                options.out,
                options.format,
                options.unverified,
                progress.on_export,
                options.verified_only,
            )
    for note in exported.notes:
        say(console, f"note: {note}", "yellow")
    for path in exported.paths:
        unchanged = "" if path in exported.new else " (unchanged)"
        say(console, f"{path}  {EXPORT_FORMATS[path.name].description}{unchanged}")
