"""The viewers' configurations, with the topics of a robot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

NODE, IMAGE = "/sam2", "/image"
"""The names that the files in config/ have."""


def with_topics(config: Path, node: str, image: str) -> str:
    """The text of a configuration for the topics of this node and this camera.

    Args:
        config: RViz's (.rviz) or Foxglove's (.json).
        node: where the private topics begin, as in /robot1/sam2, or /sam2/front for one of several cameras.
        image: the topic of the images, with its namespace.
    """
    if (node, image) == (NODE, IMAGE):
        return config.read_text()

    def renamed(text: str) -> str:
        if text == IMAGE:
            return image
        return node + text.removeprefix(NODE) if text.startswith(f"{NODE}/") else text

    if config.suffix == ".json":
        return json.dumps(_mapped(json.loads(config.read_text()), renamed), indent=2)
    import yaml  # only RViz's files need it

    return yaml.safe_dump(_mapped(yaml.safe_load(config.read_text()), renamed), sort_keys=False)


def _mapped(value: Any, function: Callable[[str], str]) -> Any:
    """A copy of parsed YAML or JSON with a function applied to every text, keys included."""
    if isinstance(value, dict):
        return {_mapped(key, function): _mapped(entry, function) for key, entry in value.items()}
    if isinstance(value, list):
        return [_mapped(entry, function) for entry in value]
    return function(value) if isinstance(value, str) else value
