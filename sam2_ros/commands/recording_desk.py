"""`sam2_ros desk RECORDING`: the page of a recording's annotation project."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before PyTorch starts its threads; see the sam2 node

import argparse
import getpass
import sys
import webbrowser
from functools import partial
from pathlib import Path

from sam2_ros.annotation.project import FILE, Project
from sam2_ros.annotation.project_recording import recording_of
from sam2_ros.commands.annotation.new_project import created, project_beside
from sam2_ros.commands.errors import ERRORS, one_line
from sam2_ros.commands.loaded_model import loaded_model
from sam2_ros.commands.recording_options import MODEL
from sam2_ros.desk.address import CannotListen
from sam2_ros.desk.recorded.commands import Commands
from sam2_ros.desk.recorded.recording_desk import RecordingDesk
from sam2_ros.desk.server import DEFAULT_PORT, Server
from sam2_ros.recordings.open_recording import open_recording
from sam2_ros.recordings.recording import Recording
from sam2_ros.system import stopping


def run(options: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C. Returns the exit status.

    Args:
        options: those of `recording_options`, with `recording`, `host` and `port` (None: the defaults), `no_browser`.
    """
    try:
        folder, recording = opened(options)
        for notice in recording.notices:
            print(f"note: {notice}")
        desk = RecordingDesk(
            folder,
            recording,
            partial(loaded_model, options),
            Commands(folder, recording.path, {name: getattr(options, name) for name in MODEL}),
            _model_name(options),
            options.annotator or _login_name(),
        )
        port = DEFAULT_PORT if options.port is None else options.port
        server = Server(desk, options.host or "127.0.0.1", port)
        server.run_forever(partial(_ready, server, folder, options.no_browser))
        stopping.stop()  # downloads and compilations in the network's thread
    except (*ERRORS, CannotListen) as error:
        print(f"desk: {one_line(error)}", file=sys.stderr)
        return 2
    return 0


def opened(options: argparse.Namespace) -> tuple[Path, Recording]:
    """The project's folder and its recording. A project that is not there yet is made.

    Raises:
        ProjectError, ClipError, OSError, ValueError: the message says what to do.
    """
    given = Path(options.recording)
    if (given / FILE).is_file():  # a project
        if options.project is not None:
            raise ValueError(f"{given} is an annotation project itself; leave --project out")
        with Project(given) as project:
            return given, recording_of(project, images=options.images)
    folder = options.project or project_beside(given)
    if folder.resolve() == given.resolve():
        raise ValueError(f"{folder} is the recording itself; give another folder for the project: --project FOLDER")
    if (folder / FILE).is_file():
        with Project(folder) as project:
            return folder, recording_of(project, images=options.images, place=given)
    recording = open_recording(given, options.images, options.fps)
    created(folder, recording, options.annotated_fps).close()
    return folder, recording


def _ready(server: Server, folder: Path, no_browser: bool) -> None:
    print(f"desk: {server.url}  ({folder}; Ctrl-C ends it, everything is stored)", flush=True)
    if not no_browser:
        webbrowser.open(server.url)


def _model_name(options: argparse.Namespace) -> str:
    return options.model or (options.checkpoint.stem if options.checkpoint else "default")


def _login_name() -> str:
    """Empty: nobody is logged in; the page asks."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
