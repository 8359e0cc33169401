"""`sam2_ros desk RECORDING`: the page of a recording's annotation project."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before PyTorch starts its threads; see the sam2 node

import argparse
import getpass
import sys
import threading
import webbrowser
from functools import partial
from pathlib import Path

from sam2_ros.acceleration import Network
from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.commands.annotation.opened_project import opened_project
from sam2_ros.commands.errors import ERRORS
from sam2_ros.commands.loaded_model import loaded_model
from sam2_ros.commands.recording_options import MODEL
from sam2_ros.desk.address import CannotListen
from sam2_ros.desk.recorded.commands import Commands
from sam2_ros.desk.recorded.recording_desk import RecordingDesk
from sam2_ros.desk.server import DEFAULT_PORT, Server
from sam2_ros.model.sam2 import SAM2
from sam2_ros.system import stopping
from sam2_ros.system.device import device_of
from sam2_ros.system.error_text import one_line

SCREENS = ("DISPLAY", "WAYLAND_DISPLAY")
"""One of these is set where windows can be shown. Elsewhere the browser would be one in this terminal."""


def run(options: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C. Returns the exit status.

    Args:
        options: those of `recording_options`, with `recording`, `host` and `port` (None: the defaults), `no_browser`.
    """
    try:
        _check_model(options)
        folder, recording = opened_project(options)
        for notice in recording.notices:
            print(f"note: {notice}")
        desk = RecordingDesk(
            folder,
            recording,
            partial(_load, options),
            Commands(folder, recording.path, {name: getattr(options, name) for name in MODEL}),
            _model_name(options),
            options.annotator or _login_name(),
        )
        port = DEFAULT_PORT if options.port is None else options.port
        server = Server(desk, options.host or "127.0.0.1", port)
        server.run_forever(partial(_ready, server, folder, options.no_browser))
        stopping.stop()  # downloads and compilations in the network's thread, which Python waits for
    except (*ERRORS, CannotListen) as error:
        print(f"desk: {one_line(error)}", file=sys.stderr)
        return 2
    return 0


def _ready(server: Server, folder: Path, no_browser: bool) -> None:
    print(f"desk: {server.url}  ({folder}; Ctrl-C ends it, everything is stored)", flush=True)
    if not no_browser and any(os.environ.get(name) for name in SCREENS):
        threading.Thread(target=webbrowser.open, args=[server.url], daemon=True).start()


def _check_model(options: argparse.Namespace) -> None:
    """Find out what can be known of a model without loading it. Raises CheckpointError or ValueError."""
    device_of(options.device)
    if options.checkpoint is not None and not options.checkpoint.expanduser().exists():
        raise CheckpointError(f"{options.checkpoint}: no such file; give weights, or a folder of exported graphs")


def _load(options: argparse.Namespace) -> SAM2 | Network:
    """While pages are open already: they say what goes wrong, and so does the terminal."""
    try:
        return loaded_model(options)
    except ERRORS as error:
        print(f"desk: the model cannot be loaded: {one_line(error)}", file=sys.stderr, flush=True)
        raise


def _model_name(options: argparse.Namespace) -> str:
    return options.model or (options.checkpoint.stem if options.checkpoint else "default")


def _login_name() -> str:
    """Empty: nobody is logged in; the page asks."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
