"""A picture of where the annotator had to work: frames that were clicked and drawn, in phases 2 and 3."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from sam2_ros.annotation.annotated_mask import DRAWN, PROMPTED, PROPAGATED
from sam2_ros.annotation.simulated_phases import PlayedClip, PlayedObject

MAX_OBJECTS = 40
CLICKED, DRAWN_BY_HAND, TRACKED, NONE = "#2b6cb0", "#181a20", "#e6ece4", "#ffffff"
LEGEND = {"clicked": CLICKED, "drawn, or not visible": DRAWN_BY_HAND, "propagated": TRACKED}


def draw(clips: Sequence[PlayedClip], title: str, path: Path) -> None:
    """Draw a line for each of the first objects and each of the phases 2 and 3; a cell is a frame. Raises OSError."""
    played = [one for clip in clips for one in clip.objects if one.phase > 1]
    objects = [list(lines) for _, lines in groupby(played, key=lambda one: (one.clip, one.object_id))][:MAX_OBJECTS]
    lines = [one for both in objects for one in both]
    width = max(len(one.frames) for one in lines)
    cells = np.stack([_cells(one, width) for one in lines])
    figure = Figure(figsize=(9, 1.1 + 0.2 * len(lines)), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(cells, aspect="auto", interpolation="nearest")
    axes.set_xticks(np.arange(-0.5, width), minor=True)
    axes.set_yticks(np.arange(-0.5, len(lines)), minor=True)
    axes.grid(which="minor", color=NONE, linewidth=0.8)
    for line in range(0, len(lines), 2):  # between objects
        axes.axhline(line - 0.5, color=NONE, linewidth=4)
    axes.tick_params(which="both", length=0, labelsize=8)
    names = [f"{one.clip}, object {one.object_id}, phase {one.phase}" for one in lines]
    axes.set_yticks(range(len(lines)), names, parse_math=False)
    axes.set_xlabel("annotated frame", fontsize=9)
    axes.set_title(title, loc="left", fontsize=10, parse_math=False)
    axes.spines[:].set_visible(False)
    patches = [Patch(color=colour, label=name) for name, colour in LEGEND.items()]
    figure.legend(handles=patches, loc="outside lower center", ncols=len(patches), frameon=False, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _cells(one: PlayedObject, width: int) -> np.ndarray:
    """Colours [width, 3] of the frames of an object."""
    colours = {PROMPTED: CLICKED, DRAWN: DRAWN_BY_HAND, PROPAGATED: TRACKED}
    names = [colours[frame.origin] for frame in one.frames]
    return np.array([to_rgb(name) for name in [*names, *[NONE] * (width - len(names))]])
