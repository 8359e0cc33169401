from __future__ import annotations

from pathlib import Path

from machine import energy


def test_energy_sums_packages_and_is_none_without_counters(tmp_path: Path) -> None:
    assert energy("cpu", tmp_path) is None
    for name, microjoules in (("intel-rapl:0", 2_500_000), ("intel-rapl:0:0", 9_000_000), ("intel-rapl:1", 1_500_000)):
        (tmp_path / name).mkdir()  # 0:0 is a part of 0
        (tmp_path / name / "energy_uj").write_text(f"{microjoules}\n")
    assert energy("cpu", tmp_path) == 4.0
