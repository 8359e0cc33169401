"""sam2_ros annotate prompt, draw and propagate: what the model does for a person."""

from __future__ import annotations

import argparse
import time

import cv2
import numpy as np
from rich.console import Console

from sam2_ros.annotation.annotated_mask import BY_HAND, AnnotatedMask
from sam2_ros.annotation.assistant import Assistant
from sam2_ros.annotation.project import Project, ProjectError
from sam2_ros.annotation.project_recording import pixels_of
from sam2_ros.commands.annotation.pictures import frame_picture, write_picture
from sam2_ros.commands.annotation.running import annotator, command, frame_at, opened, say, say_damaged, seconds_at
from sam2_ros.commands.loaded_model import loaded_model
from sam2_ros.commands.progress import Progress
from sam2_ros.data.mask_file import read_mask
from sam2_ros.recordings.recording import Recording
from sam2_ros.tracking.prompt import Prompt


def prompt(options: argparse.Namespace, console: Console) -> None:
    """Segment an object by clicks or a box. Raises `commands.errors.ERRORS`."""
    with opened(options) as (project, recording):
        seen, by, frame = project.last_action, annotator(options), frame_at(options.at, recording)
        height, width, _ = pixels_of(recording, frame).shape
        given: Prompt = options.prompt.checked(height, width)
        phase = options.phase or (1 if options.object is None else 3)
        if options.object is not None:
            project.object(options.object)
        assistant = Assistant(project, recording, loaded_model(options), by)
        if options.object is None:
            mask = assistant.begin(frame, given, options.label, phase, options.seconds)
        elif phase == 3:
            mask = assistant.correct(options.object, frame, given, seen, options.seconds)
        else:
            mask = assistant.segment(options.object, frame, given, phase, seen, options.seconds)
        _answer(options, project, recording, mask, console)


def draw(options: argparse.Namespace, console: Console) -> None:
    """Store a mask that was drawn. Raises `commands.errors.ERRORS`."""
    with opened(options) as (project, recording):
        seen, by, frame = project.last_action, annotator(options), frame_at(options.at, recording)
        height, width, _ = pixels_of(recording, frame).shape
        if options.absent:
            pixels = np.zeros((height, width), bool)
        else:
            checked = Prompt(mask=read_mask(options.mask)).checked(height, width).mask
            assert checked is not None
            pixels = checked
        drawn = AnnotatedMask.drawn(options.object or 0, frame, pixels, options.phase)
        if options.object is None:
            object_id = project.begin(by, drawn, None, options.label, options.seconds)
        else:
            object_id = options.object
            project.put_mask(by, drawn, None, seen, options.seconds)
        mask = project.mask(object_id, frame)
        assert mask is not None
        _answer(options, project, recording, mask, console)


def propagate(options: argparse.Namespace, console: Console) -> None:
    """Follow an object from a mask by hand on. Raises `commands.errors.ERRORS`."""
    with opened(options) as (project, recording):
        seen, by, object_id = project.last_action, annotator(options), options.object
        project.object(object_id)
        frame = _newest_by_hand(project, object_id) if options.at is None else frame_at(options.at, recording)
        first = recording.span.start if options.begin is None else frame_at(options.begin, recording, "--from")
        last = recording.span.stop - 1 if options.end is None else frame_at(options.end, recording, "--to")
        assistant = Assistant(project, recording, loaded_model(options), by)
        begin = time.monotonic()
        with Progress(console) as progress:
            count = assistant.propagate(
                object_id,
                frame,
                options.phase,
                range(first, last + 1),
                progress.on_pass,
                seen=seen,
                seconds=options.seconds,
            )
        say_damaged(console, recording)
        extent = project.extents()[object_id]
        say(
            console,
            f"object {object_id}: {count} masks from frame {frame} on, in {time.monotonic() - begin:.1f} s; visible on"
            f" {extent.visible} of {extent.known} frames, mean predicted IoU {extent.iou:.2f}",
        )
        say(console, f"next: {command('show', project.folder, '--strip', object_id, f'{object_id}.png')}", "dim")


def _newest_by_hand(project: Project, object_id: int) -> int:
    """The frame with the mask by hand that was made last. Raises ProjectError: there is none."""
    by_hand = [mask for mask in project.masks_of(object_id) if mask.origin in BY_HAND]
    if not by_hand:
        remedy = command("prompt", project.folder, object_id, "--at WHEN --click X,Y")
        raise ProjectError(f"object {object_id} has no mask by hand; point at it first: {remedy}")
    return max(by_hand, key=lambda mask: mask.action_id).frame


def _answer(
    options: argparse.Namespace, project: Project, recording: Recording, mask: AnnotatedMask, console: Console
) -> None:
    """Say what has come of a prompt."""
    where = f"object {mask.object_id} on frame {mask.frame} ({seconds_at(recording, mask.frame)})"
    if mask.present:
        pixels = mask.mask
        x, y, width, height = cv2.boundingRect(pixels.view(np.uint8))
        rating = "drawn by hand" if mask.iou == 1.0 else f"predicted IoU {mask.iou:.2f}"
        said = f"box {x},{y},{width},{height}, {int(pixels.sum())} pixels, {rating}"
    else:
        said = "not visible"
    say(console, f"{where}: {said}")
    if options.picture is not None:
        write_picture(options.picture, frame_picture(project, recording, mask.frame))
        say(console, str(options.picture))
    say(console, f"next: {command('propagate', project.folder, mask.object_id)}", "dim")
