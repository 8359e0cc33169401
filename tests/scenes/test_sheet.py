"""Contact sheets of clips."""

import cv2
import numpy as np
import pytest
from PIL import Image
from small_clips import make_clip
from small_photographs import photograph

from sam2_ros.data import davis, mose
from sam2_ros.data.clip import Clip
from sam2_ros.scenes import sheet
from sam2_ros.tracking.object_colours import colour


def test_masks_are_drawn_in_the_colours_of_their_objects():
    image = np.full((40, 60, 3), 100, np.uint8)
    masks = np.zeros((2, 40, 60), bool)
    masks[0, 5:20, 5:20] = masks[1, 25:35, 30:50] = True
    drawn = sheet.outlined(image, masks, (1, 7))
    near = cv2.dilate(masks.any(0).view(np.uint8), np.ones((3, 3))) > 0  # outlines are soft
    assert (drawn[~near] == 100).all()
    for (row, column), object_id in (((5, 10), 1), ((25, 40), 7)):
        assert np.abs(drawn[row, column].astype(int) - colour(object_id)).max() < 30
    expected = (0.7 * image[0, 0] + 0.3 * np.array(colour(7))).astype(np.uint8)
    assert (drawn[28, 40] == expected).all()
    assert (sheet.outlined(image, None, (1, 7)) == image).all(), "a frame that is not annotated"


def test_command_line(tmp_path, capsys, monkeypatch):
    mose.write([make_clip("walk"), make_clip("run")], tmp_path / "set")
    scenes = ["--scenes", "synthetic", "--size", "48", "64", "--frames", "3"]
    still = photograph(0)
    davis.write([Clip("still", [still.image], (1,), [still.label[None] == 1])], tmp_path / "stills")
    photographs = ["--photographs", str(tmp_path / "stills"), *scenes[2:]]
    for source in (["--clips", str(tmp_path / "set")], scenes, photographs):
        out = tmp_path / "sheet.png"
        command = ["sheet", str(out), *source, "--seeds", "0", "1", "--columns", "3", "--side", "64", "--plain"]
        monkeypatch.setattr("sys.argv", command)
        sheet.main()
        assert "2 clips" in capsys.readouterr().out
        with Image.open(out) as picture:
            assert picture.width == 3 * 64 + 2 * sheet.GAP and picture.height > 4 * 40
        out.unlink()


@pytest.mark.parametrize("source", [["--clips", "nowhere"], ["--pictures", "nowhere"]])
def test_errors_are_one_line(source, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["sheet", str(tmp_path / "sheet.png"), *source])
    with pytest.raises(SystemExit):
        sheet.main()
    assert "nowhere" in capsys.readouterr().err


def test_all_clips_of_a_small_data_set_are_shown(tmp_path, capsys, monkeypatch):
    mose.write([make_clip("walk")], tmp_path / "set")
    command = ["sheet", str(tmp_path / "new/sheet.jpg"), "--clips", str(tmp_path / "set")]
    monkeypatch.setattr("sys.argv", command)
    sheet.main()
    assert "1 clips" in capsys.readouterr().out and (tmp_path / "new/sheet.jpg").is_file()
    monkeypatch.setattr("sys.argv", [*command, "--seeds", "0", "5"])
    with pytest.raises(SystemExit):
        sheet.main()
    assert "there is no clip 5; they are 0 to 0" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["sheet"], ["sheet.foo"], ["s.png", "--columns", "0"], ["s.png", "--seeds", "-1"]])
def test_wrong_options_are_errors_before_any_work(wrong, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["sheet", *wrong])
    with pytest.raises(SystemExit):
        sheet.main()
    assert "error: " in capsys.readouterr().err
