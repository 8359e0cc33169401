"""Prompts as JSON, in the form of a prompts file (`data.prompt_file`)."""

from __future__ import annotations

import json
from typing import Any

from sam2_ros.data import coco_rle
from sam2_ros.tracking.prompt import Box, Click, Prompt


def to_json(prompt: Prompt) -> str:
    """Clicks, box and mask of a prompt."""
    content: dict[str, Any] = {}
    if prompt.clicks:
        content["clicks"] = [[click.x, click.y, click.positive] for click in prompt.clicks]
    if prompt.box is not None:
        content["box"] = list(prompt.box)
    if prompt.mask is not None:
        content["mask"] = coco_rle.encode(prompt.mask)
    return json.dumps(content)


def from_json(text: str, object_id: int = 0, label: str = "") -> Prompt:
    """The prompt of `to_json`."""
    content = json.loads(text)
    mask = content.get("mask")
    return Prompt(
        object_id,
        clicks=tuple(Click(x, y, positive) for x, y, positive in content.get("clicks", ())),
        box=Box(*content["box"]) if "box" in content else None,
        mask=None if mask is None else coco_rle.decode(mask, tuple(mask["size"])),
        label=label,
    )
