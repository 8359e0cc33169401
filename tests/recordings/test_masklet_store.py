"""The store of masklets: what is committed stays, whatever happens."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest

from sam2_ros.recordings import masklet_store
from sam2_ros.recordings.masklet_store import MaskletStore, OtherRunError, PassState
from sam2_ros.tracking.masklet import Masklet

RUN = {"recording": "a", "prompts": [1, 2]}


def masklet(object_id: int, column: int = 3, present: bool = True) -> Masklet:
    mask = np.zeros((20, 30), bool)
    mask[5:9, column : column + 4] = present
    return Masklet(object_id, "", present, 0.75 if present else 0.25, 0.5, mask)


def test_masks_come_back_as_they_were(tmp_path: Path) -> None:
    with MaskletStore(tmp_path / "masklets.db", RUN) as store:
        store.add_object(7, "cup", 1)
        store.add_object(2, "", 2)
        store.add_frame(0, 100, 20, 30)
        for frame in (1, 3):  # image 2 is damaged
            store.add_frame(frame, 100 + frame, 20, 30)
            store.add(frame, [masklet(7, frame), masklet(2, present=False)][: frame + 1])
        store.add(3, [masklet(7, 9)])  # replaced
        store.commit("forwards", 4, done=True)
    with MaskletStore(tmp_path / "masklets.db", RUN) as store:
        assert store.labels == {2: "", 7: "cup"} and store.first_frames == {2: 2, 7: 1}
        assert store.frame_count == 3 and store.last_frame == 3 and store.last_frames == {2: 3, 7: 3}
        assert [frame.frame for frame in store.frames()] == [0, 1, 3] and store.frame(2) is None
        assert store.pass_state("forwards") == PassState(4, True, None) and store.pass_state("backwards") is None
        last = store.frame(3)
        assert (last.stamp, last.height, last.width) == (103, 20, 30)
        hidden, cup = last.masklets(store.labels)
        assert (hidden.object_id, hidden.present, hidden.presence, hidden.mask.any()) == (2, False, 0.25, False)
        assert (cup.label, cup.presence, cup.iou) == ("cup", 0.75, 0.5)
        assert np.array_equal(cup.mask, masklet(7, 9).mask) and last.masks[1].area == 16
        assert [mask.frame for mask in store.masks_of(7)] == [1, 3]
        store.remove_object(7)
        assert store.labels == {2: ""} and not list(store.masks_of(7))


def test_store_of_any_run_is_opened_but_not_made(tmp_path: Path) -> None:
    file = tmp_path / "masklets.db"
    with pytest.raises(FileNotFoundError, match="no masklets"):
        MaskletStore(file, None)
    assert not file.exists()
    with MaskletStore(file, RUN) as store:
        store.add_frame(3, 1, 20, 30)
        store.add_frame(4, 2, 10, 15)
        store.commit("forwards", 5)
    with MaskletStore(file, None) as store:
        assert store.run == RUN and store.sizes_by_frame == {3: (20, 30), 4: (10, 15)}


def test_only_what_was_committed_stays(tmp_path: Path) -> None:
    with MaskletStore(tmp_path / "masklets.db", RUN) as store:
        store.add_frame(0, 1, 20, 30)
        store.keep_start(1, b"memories")
        store.commit("forwards", 1, b"state")
        store.add_frame(1, 2, 20, 30)
        store.keep_start(1, b"other memories")
    with MaskletStore(tmp_path / "masklets.db", RUN) as store:
        assert [frame.frame for frame in store.frames()] == [0]
        assert store.pass_state("forwards") == PassState(1, False, b"state")
        assert store.start_of(1) == b"memories" and store.start_of(2) is None


def test_large_states_are_stored_in_parts_and_their_room_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masklet_store, "_PART", 10_000)
    file = tmp_path / "masklets.db"
    with MaskletStore(file, RUN) as store:
        state = np.random.default_rng(0).bytes(1_000_001)
        store.commit("forwards", 5, state)
        assert store.pass_state("forwards") == PassState(5, False, state)
        store.commit("forwards", 6, state[:15_000])
        assert store.pass_state("forwards") == PassState(6, False, state[:15_000])
        store.commit("forwards", 6, done=True)
    assert file.stat().st_size < 100_000


def test_another_run_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "masklets.db"
    MaskletStore(file, RUN).close()
    MaskletStore(file, RUN).close()
    with pytest.raises(OtherRunError, match=r"another run \(other prompts, model\)"):
        MaskletStore(file, {"recording": "a", "prompts": [1], "model": "b"})


def test_a_full_disk_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    with MaskletStore(tmp_path / "masklets.db", RUN) as store:
        store.add_frame(0, 1, 20, 30)
        store.commit("forwards", 1, b"state")
        pages = store._database.execute("PRAGMA page_count").fetchone()[0]
        store._database.execute(f"PRAGMA max_page_count = {pages + 2}")  # to SQLite, the same as a full disk
        store.add_frame(1, 2, 20, 30)
        with pytest.raises(OSError, match="the disk is full; make room and start the same command again") as raised:
            store.commit("forwards", 2, bytes(100_000))
        assert raised.value.errno == errno.ENOSPC and raised.value.filename == str(tmp_path / "masklets.db")
    with MaskletStore(tmp_path / "masklets.db", RUN) as store:
        assert store.pass_state("forwards") == PassState(1, False, b"state") and store.frame_count == 1


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with MaskletStore(tmp_path / "masklets.db", RUN) as one, MaskletStore(tmp_path / "masklets.db", RUN) as other:
        one.commit("forwards", 1, b"state")
        with pytest.raises(OSError, match="another process is working on it"):
            other.add_frame(0, 1, 20, 30)
        assert other.pass_state("forwards") == PassState(1, False, b"state"), "reading is possible"
        one.commit("forwards", 2, done=True)
        other.add_frame(0, 1, 20, 30)


def test_files_that_are_no_stores(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="cannot be written; choose another folder"):
        MaskletStore(tmp_path / "missing" / "masklets.db", RUN)
    (tmp_path / "text.db").write_text("no database at all" * 100)
    with pytest.raises(OSError, match="is damaged; delete it to begin again"):
        MaskletStore(tmp_path / "text.db", RUN)
