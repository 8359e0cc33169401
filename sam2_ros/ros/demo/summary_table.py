"""The table that the demo prints at the end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.table import Table

from sam2_ros.data.prompt_text import describe
from sam2_ros.ros.demo.pictures import SHEET, VIDEO
from sam2_ros.ros.demo.result import Result
from sam2_ros.ros.demo.show import Show


def summary_table(result: Result, show: Show, out: Path) -> Table:
    """Rate, latency, presence, scores and the files in the folder `out`."""
    recording, latencies = result.recording, result.recording.latencies
    times = [recording.frames_received[stamp] for stamp in result.stamps]
    rate = (len(times) - 1) / max((times[-1] - times[0]) / 1e9, 1e-9)
    later = len(result.stamps) - result.prompted - 1
    p50, p90 = np.percentile(latencies, (50, 90))
    rows = {
        "images in, masklets out": f"{len(recording.images)}, {len(recording.frames)}",
        "rate": f"{rate:.1f} images/s; the camera waits for the masklets of each",
        "latency": f"median {p50:.0f} ms, p90 {p90:.0f} ms, from image message to masklet message",
        show.prompt_summary: f"answered after {result.answer_ms:.0f} ms",
    }
    for answer, prompt in zip(result.answers, show.prompts, strict=True):
        label = f" ({prompt.label})" if prompt.label else ""
        present = f"present on {result.count_present(answer.object_id)} of {later} images after the prompt"
        rows[f"object {answer.object_id}{label}"] = f"{describe(prompt)}: {present}"
    if (total := result.total) is not None:
        visible = sum(frame.visible for scored in result.scores or () for frame in scored.frames)
        rows["visible"] = f"on {visible} of {total.frames} images after the prompt"
        precision, recall = 100 * total.presence_precision, 100 * total.presence_recall
        rows["presence"] = f"precision {precision:.1f} %, recall {recall:.1f} %"
        rows["J&F"] = f"{100 * total.j_and_f:.1f} (J {100 * total.j:.1f}, F {100 * total.f:.1f})"
        rows["ID switches"] = str(total.switches)
    rows |= {"video": f"{out / VIDEO}", "contact sheet": f"{out / SHEET}", "bag": f"{out / 'bag'}"}
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column()
    for row in rows.items():
        table.add_row(*row)
    return table
