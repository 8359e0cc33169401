"""The table of one measurement."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from stages import STAGES, TRACK

from peers.measurement import peak_ms, title, unit


def show(console: Console, result: dict[str, Any]) -> None:
    """Print the result of `measure`."""
    sides = result["sides"]
    table = Table(f"{title(result)}; {unit(result)}", title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("plain at peak", justify="right")
    for name in sides:
        table.add_column(name, justify="right")
    for stage in STAGES:
        if not any(side["median_ms"][stage] for side in sides.values()):
            continue
        peak = peak_ms(result, stage)
        cells = [short(side["median_ms"][stage]) for side in sides.values()]
        table.add_row(stage, short(peak) if peak else "", *cells)
    peak = sum(peak_ms(result, stage) for stage in STAGES if stage != TRACK)
    whole = [short(side["median_ms"]["all"]) for side in sides.values()]
    table.add_row("all", short(peak), *whole, style="bold")
    table.add_row("all, p99", "", *(short(side["p99_ms"]) for side in sides.values()))
    table.add_row("GFLOP", f"{sum(result['gflop'].values()):.1f}")
    table.add_row("peak memory, MB", "", *(f"{side['peak_memory_mb']:.0f}" for side in sides.values()))
    if sides["ours"]["joules"] is not None:
        table.add_row("energy, J", "", *(f"{side['joules']:.2f}" for side in sides.values()))
    ours = sides["ours"]["median_ms"]["all"]
    table.add_row("times ours", "", *(f"{side['median_ms']['all'] / ours:.2f}" for side in sides.values()))
    differences = [f"{side['largest_logit_difference']:.0e}" for side in sides.values()]
    table.add_row("largest logit difference", "", *differences)
    table.add_row("equal pixels", "", *(f"{100 * side['masks_agree']:.2f} %" for side in sides.values()))
    console.print(table)
    rates = result["ceilings"]
    for name, side in sides.items():
        if side["operations"]:
            rows = sorted(side["operations"].items(), key=lambda row: -row[1][1])
            table = Table(f"{name}: operations of one step", "times", "ms", box=None, padding=(0, 2, 0, 0))
            for operation, (count, ms) in rows[:14]:
                table.add_row(operation, str(count), f"{ms:.2f}")
            table.add_row("all", str(sum(row[1][0] for row in rows)), f"{sum(row[1][1] for row in rows):.2f}")
            console.print(table)
    console.print(f"ceilings: {rates['flops'] / 1e9:.0f} GFLOP/s, {rates['bytes'] / 1e9:.1f} GB/s\n", highlight=False)


def short(ms: float) -> str:
    """Milliseconds with about three digits."""
    return f"{ms:.1f}" if ms >= 20 else f"{ms:.2f}"
