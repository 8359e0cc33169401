"""The table that `sam2_ros track` prints at the end."""

from __future__ import annotations

from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text

from sam2_ros.recordings.masklet_store import MaskletStore
from sam2_ros.recordings.recording import Recording

ROWS = 20
"""Maximum number of objects that are listed."""


def tracking_table(store: MaskletStore, recording: Recording) -> Table:
    """For each object: where it begins, on how many images it is seen, and the model's own estimate of its masks."""
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="bold")
    for title in ("object", "label", "first image", "seen on", "mean predicted IoU"):
        justify: JustifyMethod = "left" if title == "label" else "right"
        table.add_column(title, justify=justify, overflow="fold")  # in a narrow terminal, nothing is cut off
    labels, first_frames, life = store.labels, store.first_frames, store.lives
    for object_id in list(labels)[:ROWS]:
        images, seen, iou = life.get(object_id, (0, 0, None))
        table.add_row(
            str(object_id),
            _plain(labels[object_id]),
            str(first_frames[object_id]),
            f"{seen} of {images} images",
            "" if iou is None else f"{iou:.2f}",
        )
    if len(labels) > ROWS:
        table.add_row("", f"and {len(labels) - ROWS} more", "", "", "")
    return table


def _plain(label: str) -> Text:
    """A label as it is, whatever brackets it has; control characters would steer the terminal."""
    return Text("".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in label))
