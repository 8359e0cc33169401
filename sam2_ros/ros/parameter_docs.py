"""python -m sam2_ros.ros.parameter_docs: writes config/sam2.yaml and docs/parameters.md from `parameters.py`."""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path

from sam2_ros.ros.parameters import (
    CAMERA_PARAMETERS,
    DESK_PARAMETERS,
    FOLLOW_PARAMETERS,
    SAM2_PARAMETERS,
    ParameterSpec,
    Value,
)

ROOT = Path(__file__).resolve().parents[2]
WIDTH = 120  # characters of a line of YAML
COMMAND = "python -m sam2_ros.ros.parameter_docs"
APPLIES = {
    "start": "Read when the node starts; cannot be changed later.",
    "configure": "Applied when the node is configured. To change one later: `ros2 lifecycle set` the node to deactivate"
    " and cleanup, `ros2 param set`, then configure and activate.",
    "immediately": "Applied as soon as they are set.",
}
YAML_HEAD = f"""\
# All parameters of the sam2 node with their defaults; written by `{COMMAND}`.
# A file with only those that you change works, too:
#   ros2 launch sam2_ros sam2.launch.py params_file:=my.yaml
# An argument of the launch file wins over its line here. `/**` is every node name in every namespace.

/**:
  ros__parameters:
"""
YAML_TAIL = """
    # The QoS of every topic can be overridden, by the full name of the topic. A recorded bag without losses:
    # qos_overrides:
    #   /camera/image_raw:
    #     subscription:
    #       reliability: reliable
"""
PAGE_HEAD = """\
# Parameters

Each is given as an argument of the launch file (`max_objects:=4`), in a YAML file (`params_file:=my.yaml`;
[config/sam2.yaml](../config/sam2.yaml) is one to start from), or, without a launch file, as
`--ros-args -p max_objects:=4`.
`ros2 param describe /sam2 max_objects` prints the same texts.
A value that is not accepted is refused with a line that says what to write, and a misspelt name is logged.

"Applies" says when a value takes effect:

- *start*: read when the node starts; cannot be changed later.
- *configure*: when the node is configured. To change one later, `ros2 lifecycle set` the node to `deactivate` and
  `cleanup`, `ros2 param set`, then `configure` and `activate` ([lifecycle.md](lifecycle.md)).
- *immediately*: as soon as it is set.
"""
PAGE_TAIL = f"""
## record, prompt, demo

`record` and `prompt` have no parameters of their own but command-line options, which `--help` lists; so does the demo.

## Every node

`use_sim_time`: take the time from `/clock`, as when a bag is played with `--clock`.

`qos_overrides.<topic>.<publisher or subscription>.<history, depth or reliability>` overrides the QoS of one topic, by
its full name, as in `qos_overrides./camera/image_raw.subscription.reliability:=reliable`. The depth of the sam2 node's
image subscription is `queue_size`.

---
Written by `{COMMAND}` from `sam2_ros/ros/parameters.py`.
"""


def config_yaml() -> str:
    """The text of config/sam2.yaml."""
    parts = [YAML_HEAD]
    for applies, text in APPLIES.items():
        parts.append(_comment(text))
        specs = (spec for spec in SAM2_PARAMETERS if spec.applies == applies)
        parts += [f"{_comment(spec.text)}    {spec.name}: {_yaml(spec.default)}\n" for spec in specs]
    return "\n".join(parts) + YAML_TAIL


def parameters_page() -> str:
    """The text of docs/parameters.md."""
    camera = "`rate`, `loop`, `source` and `frame_id` are arguments of the launch file, with `camera:=true`."
    sam2 = f"## sam2\n\n{_table(SAM2_PARAMETERS)}"
    desk = f"`host` and `port` are arguments of the launch file, with `desk:=true`.\n\n{_table(DESK_PARAMETERS)}"
    follow = f"The example in [robot.md](robot.md).\n\n{_table(FOLLOW_PARAMETERS)}"
    nodes = [f"## camera\n\n{camera}\n\n{_table(CAMERA_PARAMETERS)}", f"## desk\n\n{desk}", f"## follow\n\n{follow}"]
    return "\n".join([PAGE_HEAD, sam2, *nodes]) + PAGE_TAIL


FILES = {"config/sam2.yaml": config_yaml, "docs/parameters.md": parameters_page}
"""Functions that generate the texts, by path in the source folder."""


def _comment(text: str) -> str:
    return (
        textwrap.fill(text, WIDTH, initial_indent="    # ", subsequent_indent="    # ", break_on_hyphens=False) + "\n"
    )


def _yaml(value: Value) -> str:
    return value if isinstance(value, str) and value else json.dumps(value)


def _table(specs: Iterable[ParameterSpec]) -> str:
    rows = ["| parameter | default | accepted | applies | |", "|---|---|---|---|---|"]
    for spec in specs:
        text = spec.text.replace("|", r"\|").replace("<", r"\<")
        rows.append(f"| `{spec.name}` | `{_yaml(spec.default)}` | {spec.accepted} | {spec.applies} | {text} |")
    return "\n".join(rows) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__.split(": ", 1)[1])
    parser.add_argument("--root", type=Path, default=ROOT, help="source folder (default: this one)")
    root = parser.parse_args().root
    for path, text in FILES.items():
        (root / path).write_text(text())
        print(root / path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
