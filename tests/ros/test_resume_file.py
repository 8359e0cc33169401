"""The file in which tracked objects outlive the process."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sam2_ros.ros.resume_file import KeptObjects, ResumeFile, ResumeFileError
from sam2_ros.tracking.sighting import Sighting


def kept() -> KeptObjects:
    rows, columns = np.mgrid[:32, :40]
    smooth = np.stack([4 * rows, 4 * columns, rows + columns], axis=2).astype(np.uint8)
    mask = np.zeros((60, 80), bool)
    mask[10:20, 30:50] = True
    sightings = (
        Sighting(3, "tässe", 1_700_000_000_000_000_001, smooth, mask, True),
        Sighting(3, "tässe", 5, smooth[::-1].copy(), ~mask),
        Sighting(65535, "", 5, smooth[::-1].copy(), mask),
    )
    sightings = (*sightings[:2], replace(sightings[2], image=sightings[1].image))
    return KeptObjects(sightings, 17, {65535: 2.5})


@pytest.fixture
def file(tmp_path: Path) -> ResumeFile:
    return ResumeFile(tmp_path / "new/objects.zip")


def test_objects_come_back(file: ResumeFile) -> None:
    assert file.read() is None
    before = kept()
    file.write(before)
    after = file.read()
    assert after is not None and after.next_id == 17 and after.forget_after == {65535: 2.5}
    for one, other in zip(before.sightings, after.sightings, strict=True):
        assert (one.object_id, one.label, one.stamp, one.prompted) == (
            other.object_id,
            other.label,
            other.stamp,
            other.prompted,
        )
        assert np.array_equal(one.mask, other.mask) and other.mask.dtype == bool
        assert np.abs(one.image.astype(int) - other.image).mean() < 2, "JPEG"
    assert after.sightings[1].image is after.sightings[2].image, "each image once"
    assert [path.name for path in file.path.parent.iterdir()] == ["objects.zip"]
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600, "it holds what the camera saw"
    file.write(KeptObjects())
    assert file.read() == KeptObjects()
    file.remove()
    assert file.read() is None


def test_clock_of_1970_does_not_matter(file: ResumeFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 5.0)
    file.write(kept())
    assert file.read() is not None


def test_failed_write_leaves_the_old_file(file: ResumeFile, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write(kept())
    before = file.path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        file.write(KeptObjects())
    assert file.path.read_bytes() == before
    assert [path.name for path in file.path.parent.iterdir()] == ["objects.zip"]


def test_rest_of_a_killed_write_is_overwritten(file: ResumeFile) -> None:
    file.path.parent.mkdir()
    (file.path.parent / ".objects.zip.new").write_bytes(b"half of it")
    file.write(kept())
    assert [path.name for path in file.path.parent.iterdir()] == ["objects.zip"]


def changed(file: ResumeFile, **values: object) -> None:
    """Writes the file with other values in objects.json."""
    with zipfile.ZipFile(file.path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    described = json.loads(content["objects.json"]) | values
    content["objects.json"] = json.dumps(described).encode()
    with zipfile.ZipFile(file.path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)


SIGHTING = {"object_id": 1, "label": "", "stamp": 1, "prompted": True, "image": "images/0.jpg"}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"format": "diary"}, "of another program"),
        ({"version": 2}, "it is of version 2"),
        ({"sightings": 7}, "damaged"),
        ({"sightings": [{}]}, "damaged"),
        ({"sightings": [SIGHTING | {"mask": {"size": [2, 2], "counts": [1, 9]}}]}, "do not add up"),
        ({"sightings": [SIGHTING | {"mask": {"size": [2**20, 2**20], "counts": [0, 2**40]}}]}, "too many"),
        ({"sightings": [SIGHTING | {"mask": {"size": [2, 2], "counts": [4]}}]}, "the mask is empty"),
        ({"sightings": [SIGHTING | {"object_id": 0, "mask": {"size": [2, 2], "counts": [0, 4]}}]}, "has no ID"),
        ({"sightings": [SIGHTING | {"object_id": 70000, "mask": {"size": [2, 2], "counts": [0, 4]}}]}, "out of range"),
        ({"sightings": [SIGHTING | {"label": 7, "mask": {"size": [2, 2], "counts": [0, 4]}}]}, "the label is 7"),
        ({"sightings": [SIGHTING | {"image": "images/9.jpg"}]}, "damaged"),
        ({"next_id": 0}, "next_id is 0"),
        ({"forget_after": {"a": 1}}, "damaged"),
        ({"forget_after": [1, 2]}, "damaged"),
        ({"next_id": float("inf")}, "damaged"),
    ],
)
def test_wrong_values_are_refused(file: ResumeFile, values: dict[str, object], reason: str) -> None:
    file.write(kept())
    changed(file, **values)
    with pytest.raises(ResumeFileError, match=reason):
        file.read()


def test_any_damage_is_noticed(file: ResumeFile) -> None:
    file.write(kept())
    whole = file.path.read_bytes()
    random = np.random.default_rng(0)
    for content in [b"", b"no zip", *(whole[: random.integers(len(whole))] for _ in range(20))]:
        file.path.write_bytes(content)
        with pytest.raises(ResumeFileError):
            file.read()
    for place in random.integers(len(whole), size=200):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        file.path.write_bytes(damaged)
        with contextlib.suppress(ResumeFileError):
            assert file.read() is not None, "bytes that mean nothing"


def test_archive_of_another_program_with_a_damaged_entry_is_refused(file: ResumeFile) -> None:
    file.path.parent.mkdir()
    with zipfile.ZipFile(file.path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("objects.json", json.dumps(list(range(1000))))
        place = archive.getinfo("objects.json").header_offset + 30 + len("objects.json")
    content = bytearray(file.path.read_bytes())
    content[place : place + 8] = b"\xff" * 8
    file.path.write_bytes(content)
    with pytest.raises(ResumeFileError, match="damaged"):
        file.read()


def test_what_is_no_ordinary_file_is_left_alone(file: ResumeFile) -> None:
    file.path.parent.mkdir()
    for make, remove in ((Path.mkdir, Path.rmdir), (os.mkfifo, Path.unlink)):
        make(file.path)
        with pytest.raises(OSError, match="no ordinary file"):
            file.lock()
        assert [path.name for path in file.path.parent.iterdir()] == ["objects.zip"]
        remove(file.path)
    assert file.lock()


def test_unreadable_file_is_set_aside(file: ResumeFile) -> None:
    file.path.parent.mkdir()
    file.path.write_bytes(b"somebody's letters")
    aside = file.set_aside()
    assert aside.read_bytes() == b"somebody's letters" and aside.name.startswith("objects.zip.unreadable-20")
    assert not file.path.exists()


def test_file_belongs_to_one_process(file: ResumeFile) -> None:
    assert file.lock()
    other = ResumeFile(file.path)
    assert not other.lock()
    file.close()
    assert other.lock()
    other.close()
