"""Plots of measurements."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stages import STAGES, TRACK

from peers.measurement import peak_ms, title, unit
from peers.table import short

COLOURS = ("#9aa5b1", "#3b6ea8", "#c8553d", "#e3a857", "#6b8f71", "#c9a0a0", "#84739d", "#d9d9d9")


def plot_stages(results: list[dict[str, Any]], path: Path) -> None:
    """Draw stacked stages of each side, a group of bars for each measurement, and the peak as a line across ours."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = [(result, name, side) for result in results for name, side in result["sides"].items()]
    figure, axes = plt.subplots(
        len(results), 1, figsize=(9, 0.9 + 0.38 * len(rows) + 0.65 * len(results)), squeeze=False, layout="constrained"
    )
    for axis, result in zip(axes[:, 0], results, strict=True):
        names = list(result["sides"])
        for row, name in enumerate(names):
            median = result["sides"][name]["median_ms"]
            parts = [*(median[stage] for stage in STAGES), median["all"] - sum(median[stage] for stage in STAGES)]
            left = 0.0
            for part, colour, stage in zip(parts, COLOURS, (*STAGES, "the rest"), strict=True):
                axis.barh(row, max(part, 0), left=left, color=colour, label=stage if row == 0 else None)
                left += max(part, 0)
            ratio = median["all"] / result["sides"]["ours"]["median_ms"]["all"]
            axis.text(left, row, f" {short(left)} ms" + (f", x {ratio:.2f}" if name != "ours" else ""), va="center")
        peak = sum(peak_ms(result, stage) for stage in STAGES if stage != TRACK)
        axis.plot([peak, peak], [-0.45, 0.45], color="black", linewidth=1.5, label="plain network at peak rates")
        axis.set_yticks(range(len(names)), names)
        axis.invert_yaxis()
        axis.margins(x=0.15)
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_title(title(result), loc="left", fontsize=10)
    axes[-1, 0].set_xlabel(f"{unit(results[-1])} a frame")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False, fontsize=9)
    figure.savefig(path, dpi=110)


def plot_objects(results: list[dict[str, Any]], path: Path) -> None:
    """Draw the time of a frame by the number of objects: a line for each side and dtype."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
    for dtype in dict.fromkeys(result["dtype"] for result in results):
        of_dtype = [result for result in results if result["dtype"] == dtype]
        for name in of_dtype[0]["sides"]:
            objects = [result["objects"] for result in of_dtype]
            ms = [result["sides"][name]["median_ms"]["all"] for result in of_dtype]
            slope = (ms[-1] - ms[0]) / (objects[-1] - objects[0])
            axis.plot(objects, ms, marker="o", label=f"{name}, {dtype}: {slope:.3g} ms more for each object")
    axis.set_xlabel("objects")
    axis.set_ylabel(f"{unit(results[-1])} a frame")
    axis.set_ylim(bottom=0)
    axis.set_xticks([result["objects"] for result in results])
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_title(f"{results[-1]['model']} at {results[-1]['size']}", loc="left", fontsize=10)
    axis.legend(frameon=False)
    figure.savefig(path, dpi=110)
