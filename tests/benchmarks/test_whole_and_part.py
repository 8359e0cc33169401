from __future__ import annotations

import numpy as np
import pytest
import whole_and_part
from small_network import default_network

from sam2_ros.scenes.synthetic import SceneSettings


def test_parts_lie_in_their_wholes() -> None:
    scenes = whole_and_part.Apart(SceneSettings(96, 128, frames=1))
    things = list(whole_and_part.parts_of(scenes, range(900_000_000_000, 900_000_000_000 + 8)))
    assert len(things) > 8
    for thing in things:
        assert thing.part.any() and not (thing.part & ~thing.whole).any()
        assert thing.part.sum() < whole_and_part.MOST * thing.whole.sum()


def test_the_table_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(whole_and_part, "load_model", lambda **options: default_network())
    monkeypatch.setattr("sys.argv", ["whole_and_part.py", "other.safetensors", "--scenes", "1"])
    whole_and_part.main()
    rows = [line for line in capsys.readouterr().out.splitlines() if "drawn" in line]
    assert len(rows) == 2 and rows[0].split("│")[3:] == rows[1].split("│")[3:], "equal weights answer alike"
    assert np.isfinite([float(cell) for cell in rows[0].split("│")[3:-1]]).all()
