"""sam2_ros segment: pictures in; masks, their pictures and COCO JSON out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2_ros.checkpoints.load import load_model
from sam2_ros.commands import segment
from sam2_ros.data import coco, coco_rle
from sam2_ros.model import SAM2
from sam2_ros.scenes.synthetic import SceneSettings, SyntheticScenes
from sam2_ros.tracking.automatic_masks import AutomaticMaskGenerator, EverythingSettings
from sam2_ros.tracking.image_predictor import ImagePredictor
from sam2_ros.tracking.prompt import Box, Click

HEIGHT, WIDTH = 120, 160
FEW = ("--points-per-side", "6")
Run = Callable[..., int]


@pytest.fixture(scope="module")
def network() -> SAM2:
    """The default network, for small images."""
    return load_model(device="cpu", image_size=128)


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    return SyntheticScenes(SceneSettings(HEIGHT, WIDTH, frames=1, objects=(3, 3), leaving=0)).scene(5).frames[0]


@pytest.fixture
def photos(tmp_path: Path, scene: np.ndarray) -> Path:
    """A folder with two pictures of one name in two folders."""
    for name, image in (("one/cup.png", scene), ("two/cup.png", scene[:, ::-1])):
        file = tmp_path / "photos" / name
        file.parent.mkdir(parents=True)
        Image.fromarray(image).save(file)
    return tmp_path / "photos"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, network: SAM2, tmp_path: Path) -> Iterator[Run]:
    """Runs the command with a few clicks, into tmp_path/masks, and returns its exit status."""
    handler = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(segment, "load_model", lambda *_: network)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, settings: tuple[str, ...] = FEW) -> int:
        monkeypatch.setattr(sys, "argv", ["sam2_ros segment", *map(str, arguments), *settings])
        return segment.main()

    yield run
    signal.signal(signal.SIGTERM, handler)


def written(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def annotations(out: Path) -> dict:
    return json.loads((out / "annotations.json").read_text())


def test_everything_is_written_as_the_generator_found_it(
    run: Run, network: SAM2, photos: Path, tmp_path: Path, scene: np.ndarray
) -> None:
    assert run(photos) == 0
    out = tmp_path / "masks"
    assert written(out) == ["annotations.json", "one/cup.png", "two/cup.png"]
    assert np.asarray(Image.open(out / "one/cup.png")).shape == (HEIGHT, WIDTH, 3)
    content = annotations(out)
    assert [image["file_name"] for image in content["images"]] == ["one/cup.png", "two/cup.png"]
    assert content["info"]["image_folder"] == str(photos)
    settings = EverythingSettings(**{**vars(EverythingSettings.suited_to(network.config)), "points_per_side": 6})
    expected = AutomaticMaskGenerator(network, settings).generate(scene)
    found = [entry for entry in content["annotations"] if entry["image_id"] == 1]
    assert len(found) == len(expected) > 2
    for entry, mask in zip(found, expected, strict=True):
        np.testing.assert_array_equal(coco_rle.decode(entry["segmentation"], (HEIGHT, WIDTH)), mask.mask)
        assert entry["area"] == mask.area and entry["bbox"] == [*mask.box]
        assert entry["score"] == pytest.approx(mask.iou, abs=1e-4)
        assert entry["stability_score"] == pytest.approx(mask.stability, abs=1e-4)
        assert entry["point_coords"][0] == pytest.approx(mask.point, abs=1e-2)


def test_pycocotools_and_our_reader_find_masks_and_pictures(run: Run, photos: Path, tmp_path: Path) -> None:
    pycocotools = pytest.importorskip("pycocotools.coco")
    assert run(photos) == 0
    file = tmp_path / "masks/annotations.json"
    read = pycocotools.COCO(str(file))
    for entry in read.loadAnns(read.getAnnIds()):
        mask = read.annToMask(entry)
        image = Image.open(photos / read.loadImgs(entry["image_id"])[0]["file_name"])
        assert mask.shape == (image.height, image.width) and mask.sum() == entry["area"]
    clips = coco.clips(file, photos)
    assert len(clips) == 2 and sum(len(clip.masks[0]) for clip in clips) == len(read.anns)


def test_prompts_are_answered_as_the_image_predictor_does(
    run: Run, network: SAM2, photos: Path, tmp_path: Path, scene: np.ndarray
) -> None:
    prompts = ("--click", "80,60+84,62", "--box", "20,20,60,50", "--label", "mug")
    assert run(photos / "one", *prompts, settings=()) == 0
    predictor = ImagePredictor(network)
    predictor.set_image(scene)
    expected = [
        predictor.predict(clicks=[Click(80, 60), Click(84, 62)], multimask=False),
        predictor.predict(box=Box(20, 20, 60, 50), multimask=False),
    ]
    content = annotations(tmp_path / "masks")
    assert [category["name"] for category in content["categories"]] == ["mug", "object"]
    for entry, candidates in zip(content["annotations"], expected, strict=True):
        np.testing.assert_array_equal(coco_rle.decode(entry["segmentation"], (HEIGHT, WIDTH)), candidates.masks[0])
        assert entry["score"] == pytest.approx(float(candidates.iou[0]), abs=1e-4)


def test_mask_is_refined(run: Run, photos: Path, tmp_path: Path) -> None:
    drawn = np.zeros((HEIGHT, WIDTH), np.uint8)
    drawn[30:90, 40:110] = 255
    Image.fromarray(drawn).save(tmp_path / "mask.png")
    assert run(photos / "one", "--mask", tmp_path / "mask.png", settings=()) == 0
    assert len(annotations(tmp_path / "masks")["annotations"]) == 1


def test_masks_as_pictures(run: Run, photos: Path, tmp_path: Path) -> None:
    stale = tmp_path / "masks/cup.masks/9999.png"
    stale.parent.mkdir(parents=True)
    stale.touch()
    stale.with_name("mine.txt").touch()
    assert run(photos / "one", "--format", "png") == 0
    content = annotations(tmp_path / "masks")
    files = written(stale.parent)
    assert len(files) == len(content["annotations"]) + 1 and files[0] == "0001.png" and files[-1] == "mine.txt"
    mask = coco_rle.decode(content["annotations"][0]["segmentation"], (HEIGHT, WIDTH))
    np.testing.assert_array_equal(np.asarray(Image.open(stale.with_name(files[0]))), mask)


def test_a_second_run_equals_the_first(run: Run, photos: Path, tmp_path: Path) -> None:
    """Also with the results within the folder of the pictures: they are not segmented."""
    out = photos / "masks"
    contents = []
    for _ in range(2):
        assert run(photos, "--out", out) == 0
        contents.append({name: (out / name).read_bytes() for name in written(out)})
    assert contents[0] == contents[1] and len(contents[0]) == 3


def test_damaged_pictures_are_skipped_and_counted(
    run: Run, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (photos / "one/cup.png").read_bytes()
    (photos / "cut.png").write_bytes(whole[: len(whole) // 2])
    (photos / "empty.jpg").touch()
    assert run(photos) == 1
    printed = capsys.readouterr().out
    assert printed.count("skipped: ") == 2 and "2 pictures skipped, see above" in printed
    assert f"{photos / 'cut.png'}: cannot be decoded" in printed and f"{photos / 'empty.jpg'}: cannot" in printed
    assert len(annotations(tmp_path / "masks")["images"]) == 2


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")  # of the progress bar's thread
@pytest.mark.parametrize("name", [b"[/red] x.png", b"caf\xe9.png"])
def test_names_of_any_bytes(
    run: Run, scene: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: bytes
) -> None:
    photos = tmp_path / "photos"
    file = photos / os.fsdecode(name)
    file.parent.mkdir(parents=True)
    Image.fromarray(scene).save(file)
    file.with_name(f"cut {file.name}").write_bytes(file.read_bytes()[:500])
    assert run(photos) == 1
    capsys.readouterr().out.encode()  # as it is printed to a terminal
    (entry,) = annotations(tmp_path / "masks")["images"]
    assert entry["file_name"] == os.fsdecode(name) and (tmp_path / "masks" / os.fsdecode(name)).exists()


def test_only_damaged_pictures_fail(run: Run, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    assert run(tmp_path / "broken.png") == 2
    assert annotations(tmp_path / "masks")["images"] == []


def test_prompt_outside_of_a_picture_is_skipped(run: Run, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(photos / "one", "--click", "500,60", settings=()) == 2
    assert f"skipped: {photos / 'one/cup.png'}: " in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["grey", "alpha", "palette", "turned", "tiny"])
def test_pictures_of_all_kinds(run: Run, tmp_path: Path, scene: np.ndarray, kind: str) -> None:
    file, image = tmp_path / "photo.png", Image.fromarray(scene)
    size = (HEIGHT, WIDTH)
    if kind == "turned":
        exif = Image.Exif()
        exif[0x0112], size = 6, (WIDTH, HEIGHT)
        image.save(file := tmp_path / "photo.jpg", exif=exif)
    elif kind == "tiny":
        image.crop((0, 0, 1, 1)).save(file)
        size = 1, 1
    else:
        image.convert({"grey": "L", "alpha": "RGBA", "palette": "P"}[kind]).save(file)
    assert run(file) == 0
    (entry,) = annotations(tmp_path / "masks")["images"]
    assert (entry["height"], entry["width"]) == size
    assert np.asarray(Image.open(tmp_path / "masks/photo.png")).shape[:2] == size


@pytest.mark.parametrize("too_high", ["pred-iou-thresh", "stability-score-thresh"])
def test_nothing_found_says_which_threshold_to_lower(
    run: Run, photos: Path, capsys: pytest.CaptureFixture[str], too_high: str
) -> None:
    assert run(photos / "one", f"--{too_high}", 1) == 0
    printed = capsys.readouterr().out
    assert "0 things in 1 picture" in printed
    assert f"nothing was found in 1 picture: lower --{too_high} (1) below 0." in printed


def test_nothing_found_in_a_single_pixel_suggests_no_impossible_threshold(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (1, 1)).save(tmp_path / "pixel.png")
    assert run(tmp_path / "pixel.png") == 0
    printed = capsys.readouterr().out
    assert "nothing was found in 1 picture" in printed and "below 0.00" not in printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gone.jpg"], "gone.jpg: there is no such file or folder"),
        (["photos/one", "--out", "photos/one"], "photos/one: the results would lie among the pictures"),
        (["photos/one/cup.png", "--out", "photos/one"], "photos/one: the results would lie among the pictures"),
        (["photos/one", "--out", "photos/one/cup.png"], "cup.png: it is no folder; choose another folder with --out"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    run: Run, photos: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    before = (photos / "one/cup.png").read_bytes()
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and said in error and error.count("\n") == 1
    assert (photos / "one/cup.png").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--click", "80"], "'80' is no click"),
        (["--click", "8,6", "--pred-iou-thresh", "0.5"], "--pred-iou-thresh: settings of everything"),
        (["--label", "cup"], "1 labels for 0 objects"),
        (["--pred-iou-thresh", "7"], "pred-iou-thresh"),
        (["--points-per-side", "0"], "points-per-side"),
    ],
)
def test_wrong_options_are_refused(
    run: Run, photos: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as exit:
        run(photos, *arguments, settings=())
    assert exit.value.code == 2 and said in capsys.readouterr().err


def test_disk_that_fails_in_the_middle_is_named_and_the_rest_kept(
    run: Run, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "masks/two/cup.png").mkdir(parents=True)  # a folder where a picture has to go
    assert run(photos) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and "masks/two/cup.png" in error and error.count("\n") == 1
    assert written(tmp_path / "masks") == ["annotations.json", "one/cup.png"]
    assert [image["file_name"] for image in annotations(tmp_path / "masks")["images"]] == ["one/cup.png"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM], ids=lambda kind: kind.name)
def test_what_is_done_before_a_signal_is_kept(tmp_path: Path, scene: np.ndarray, kind: signal.Signals) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(200):
        Image.fromarray(scene).save(tmp_path / f"photos/{number}.png")
    command = [sys.executable, "-m", "sam2_ros", "segment", tmp_path / "photos", "--out", tmp_path / "masks"]
    command += ["--size", "64", "--device", "cpu"]
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        while not (tmp_path / "masks/2.png").exists():
            assert started.poll() is None, started.stderr.read()
            time.sleep(0.02)
        started.send_signal(kind)
        assert started.wait(30) == 130
        assert started.stderr.read() == "segment: interrupted\n"
    finally:
        started.kill()
        started.wait()
        started.stderr.close()
    done = [image["file_name"] for image in annotations(tmp_path / "masks")["images"]]
    assert 2 <= len(done) < 200 and done == [f"{number}.png" for number in range(len(done))]
    assert not [*tmp_path.rglob("*.part")]


def test_every_setting_has_an_option() -> None:
    assert {*segment.SETTINGS} == {field.name for field in fields(EverythingSettings)}
