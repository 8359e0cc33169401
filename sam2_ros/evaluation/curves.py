"""Figure of score curves."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from sam2_ros.evaluation.report import ALL, Curves

INK, FAINT = "#181a20", "#d8dae0"


def draw(curves: Curves, title: str, path: Path) -> None:
    """Draw a figure as PNG: y in percent, the line of all clips in black. Raises OSError."""
    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    for name, (x, y) in curves.lines.items():
        marker = "o" if len(x) <= 12 else ""
        values = [100 * value for value in y]
        if name == ALL:
            axes.plot(x, values, color=INK, linewidth=2.4, marker=marker, markersize=5, zorder=3, label=name)
        else:
            axes.plot(x, values, linewidth=1.4, marker=marker, markersize=3, label=name)
    longest = max((x for x, _ in curves.lines.values()), key=len)
    if len(longest) <= 12:
        axes.set_xticks(longest)
    axes.set_ylim(0, 102)
    axes.set_xlabel(curves.x, color=INK)
    axes.set_ylabel(f"{curves.y}, %", color=INK)
    axes.set_title(title, loc="left", fontsize=11, color=INK, parse_math=False)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if len(curves.lines) > 1:
        legend = axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=9)
        for text in legend.get_texts():
            text.set_parse_math(False)  # names may contain dollars
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
