"""A config.json is read completely, or refused with the invalid key."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from sam2_ros.acceleration.onnx.config import read_config
from sam2_ros.acceleration.onnx.errors import GraphError
from sam2_ros.model.config import CONFIGS

NO_CONFIG = {
    "no JSON": b"{",
    "not UTF-8": b"\xff\xfe{}",
    "a list": b"[]",
    "null": b"null",
    "no keys": b"{}",
    "lists in lists": b"[" * 30_000,
    "objects in objects": b'{"hiera": ' * 5000,
    "endless": b" " * 100_000,
    "a number of 9,999 digits": b'{"image_size": ' + b"9" * 9999 + b"}",
}


WRONG_VALUES = {
    "name": [None, 5, "", "x" * 1000],
    "image_size": [192.0, "192", True, None, 0, -32, 10**300, 10**9],
    "aspect": [5, None, ""],
    "dim": [0, 1.5, [128], float("nan")],
    "remembered_presence": ["0", float("inf"), float("nan"), True, 10**400],
    "memory_stride": [0, -1, 1.5, "3", True],
    "half": ["float8", None],
    "absent_memory_embedding": [1, "true", None],
    "hiera": [None, [], 5, {}, {"embed_dim": 32}, {"unknown": 1}],
    "hiera.blocks": [[1, 2, 5], [1, 2, 5, 2.5], [1, 2, 5, -1], 5, [[1], 2, 5, 2]],
    "hiera.global_blocks": [5, ["3"]],
    "other": [1],
}


def config_refused(folder: Path, text: bytes) -> str:
    (folder / "config.json").write_bytes(text)
    with pytest.raises(GraphError) as error:
        read_config(folder)
    message = str(error.value)
    assert message.startswith(f"{folder}/config.json: ") and "\n" not in message and len(message) < 400
    return message


@pytest.mark.parametrize("kind", NO_CONFIG)
def test_malformed_config_is_refused(tmp_path: Path, kind: str) -> None:
    config_refused(tmp_path, NO_CONFIG[kind])


@pytest.mark.parametrize("key", WRONG_VALUES)
def test_wrong_config_value_is_named_by_its_key(tmp_path: Path, key: str) -> None:
    for value in WRONG_VALUES[key]:
        config = asdict(CONFIGS["default"].at(aspect="4:3"))
        *inside, last = key.split(".")
        (config[inside[0]] if inside else config)[last] = value
        assert key in config_refused(tmp_path, json.dumps(config).encode()), value


@pytest.mark.parametrize("key", ["name", "hiera"])
def test_missing_config_key_is_named(tmp_path: Path, key: str) -> None:
    config = asdict(CONFIGS["default"])
    del config[key]
    assert f"the key '{key}' is missing" in config_refused(tmp_path, json.dumps(config).encode())


def test_impossible_image_sizes_are_refused(tmp_path: Path) -> None:
    for key, values in {"image_size": [100, 8192], "aspect": ["wide", "0:1", "1:" + "9" * 90]}.items():
        for value in values:
            config = asdict(CONFIGS["default"]) | {key: value}
            assert str(value) in config_refused(tmp_path, json.dumps(config).encode())
