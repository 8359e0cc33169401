"""The picture store: used and skipped pictures."""

import cv2
import numpy as np
import pytest

from sam2_ros.data import mose
from sam2_ros.data.clip import Clip
from sam2_ros.scenes.pictures import Pictures, main


def picture(seed: int, height: int = 200, width: int = 300) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 256, (12, 18, 3)).astype(np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def disc(seed: int, size: int = 120, radius: int = 50) -> np.ndarray:
    alpha = np.zeros((size, size), np.uint8)
    cv2.circle(alpha, (size // 2, size // 2), radius, 255, -1, cv2.LINE_AA)
    return np.dstack([picture(seed, size, size), alpha])


def test_usable_pictures_are_selected(tmp_path):
    photos, cuts = tmp_path / "photos", tmp_path / "cuts"
    (photos / "deeper").mkdir(parents=True)
    cuts.mkdir()
    cv2.imwrite(str(photos / "a.png"), picture(1))
    cv2.imwrite(str(photos / "deeper" / "b.jpg"), picture(2, 600, 900))
    cv2.imwrite(str(photos / "double.png"), picture(1))
    cv2.imwrite(str(photos / "small.png"), picture(3, 40, 40))
    cv2.imwrite(str(photos / "flat.png"), np.full((200, 300, 3), 90, np.uint8))
    cv2.imwrite(str(photos / "see-through.png"), disc(4, 200))
    (photos / "broken.jpg").write_bytes(b"no picture")
    (photos / "notes.txt").write_text("nor this")
    cv2.imwrite(str(cuts / "disc.png"), disc(5))
    cv2.imwrite(str(cuts / "opaque.png"), picture(6))
    cv2.imwrite(str(cuts / "rectangle.png"), np.dstack([picture(7), np.full((200, 300), 255, np.uint8)]))
    cv2.imwrite(str(cuts / "tiny.png"), disc(8, 60, 8))
    cv2.imwrite(str(cuts / "ghost.png"), disc(9) // np.array([1, 1, 1, 3], np.uint8))
    cv2.imwrite(str(cuts / "empty.png"), disc(9) * np.array([1, 1, 1, 0], np.uint8))

    store = Pictures.prepare(tmp_path / "store", [photos], [cuts], background_side=450, cutout_side=64)
    assert [[p.shape for p in source] for source in store.backgrounds] == [[(200, 300, 3), (300, 450, 3)]]
    assert [len(source) for source in store.cutouts] == [1]
    cut = store.cutouts[0][0]
    assert cut.shape == (64, 64, 4), "cut to its outline and scaled"
    assert cut[32, 32, 3] == 255 and cut[0, 0, 3] == 0
    # Scaling keeps the colours of the outline, where alpha is partial: no dark fringe.
    want = cv2.resize(picture(5, 120, 120)[10:111, 10:111], (64, 64), interpolation=cv2.INTER_AREA)[..., ::-1]
    edge = (cut[..., 3] > 60) & (cut[..., 3] < 200)
    assert edge.any() and np.abs(cut[edge][:, :3].astype(int) - want[edge]).mean() < 25


def test_objects_are_cut_out_of_data_sets_along_their_masks(tmp_path):
    mask = disc(0, 200)[..., 3] > 127
    edge = np.zeros_like(mask)
    edge[150:, :80] = True
    frames = [picture(seed, 200, 200) for seed in range(2)]
    mose.write([Clip("a", frames, (1, 2), [np.stack([mask, edge & ~mask]), None])], tmp_path / "set")
    store = Pictures.prepare(tmp_path / "store", cutouts=[tmp_path / "set"])
    assert [len(source) for source in store.cutouts] == [1], "what the picture's edge cuts off is no use"
    cut = store.cutouts[0][0]
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    inside = cv2.erode(mask.view(np.uint8), np.ones((5, 5)))[window] > 0
    assert cut.shape == (*mask[window].shape, 4)
    assert (cut[inside, 3] == 255).all() and (cut[~mask[window], 3] == 0).all()
    assert np.abs(cut[inside][:, :3].astype(int) - frames[0][window][inside]).mean() < 4


def test_an_opened_store_equals_the_prepared_one(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "a.png"), picture(len(name) + ord(name[0])))
    made = Pictures.prepare(tmp_path / "store", [tmp_path / "one", tmp_path / "two"])
    opened = Pictures.open(tmp_path / "store")
    assert len(opened.backgrounds) == 2 and opened.cutouts == []
    for a, b in zip(made.backgrounds, opened.backgrounds, strict=True):
        assert np.array_equal(a[0], b[0])
    assert np.array_equal(opened.backgrounds[0][0], cv2.imread(str(tmp_path / "one" / "a.png"))[..., ::-1])


def test_sources_are_drawn_equally_often():
    dark, light = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)
    store = Pictures(backgrounds=[[dark], [light] * 99])
    rng = np.random.default_rng(0)
    share = np.mean([store.background(rng).max() == 0 for _ in range(400)])
    assert 0.4 < share < 0.6


def test_errors_name_the_remedy(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"sam2_ros\.scenes\.pictures"):
        Pictures.open(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Pictures.prepare(tmp_path / "store", [tmp_path / "nowhere"])
    with pytest.raises(ValueError, match="no usable picture"):
        Pictures.prepare(tmp_path / "store", [tmp_path])
    assert not list((tmp_path / "store").iterdir())
    with pytest.raises(ValueError, match="no folders: give backgrounds or cut-outs"):
        Pictures.prepare(tmp_path / "store")
    (tmp_path / "store/index.npy").touch()
    with pytest.raises(FileExistsError, match="holds pictures already"):
        Pictures.prepare(tmp_path / "store", [tmp_path])


def test_command_line(tmp_path, capsys, monkeypatch):
    (tmp_path / "photos").mkdir()
    cv2.imwrite(str(tmp_path / "photos" / "a.png"), picture(1))
    monkeypatch.setattr("sys.argv", ["pictures", str(tmp_path / "store"), "--backgrounds", str(tmp_path / "photos")])
    main()
    assert capsys.readouterr().out == "backgrounds: 1\ncut-outs: none\n"
    assert len(Pictures.open(tmp_path / "store").backgrounds) == 1
    monkeypatch.setattr("sys.argv", ["pictures", str(tmp_path / "new"), "--backgrounds", str(tmp_path / "nowhere")])
    with pytest.raises(SystemExit):
        main()
    assert "nowhere does not exist" in capsys.readouterr().err and not (tmp_path / "new").exists()
