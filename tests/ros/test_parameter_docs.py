"""config/sam2.yaml and docs/parameters.md are up to date with parameters.py."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from sam2_ros.ros.parameter_docs import COMMAND, FILES, config_yaml, parameters_page
from sam2_ros.ros.parameters import CAMERA_PARAMETERS, DESK_PARAMETERS, SAM2_PARAMETERS

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("path", FILES)
def test_file_is_up_to_date(path: str) -> None:
    assert (ROOT / path).read_text() == FILES[path](), f"run {COMMAND}"


def test_yaml_has_every_default() -> None:
    config = yaml.safe_load(config_yaml())
    defaults = {spec.name: spec.default for spec in SAM2_PARAMETERS} | {"cameras": []}
    assert config == {"/**": {"ros__parameters": defaults}}


def test_page_has_every_parameter() -> None:
    page = parameters_page()
    for spec in (*SAM2_PARAMETERS, *CAMERA_PARAMETERS, *DESK_PARAMETERS):
        assert page.count(f"| `{spec.name}` |") == 1
