"""Masks of other trackers, in their layouts."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image
from small_clips import make_clip

from sam2_ros.data import davis, sav_frames, youtube_vos
from sam2_ros.data.clips import ClipError, DataWarning
from sam2_ros.data.labels import PALETTE, write_labels
from sam2_ros.evaluation.mask_folder import read_masks, write_masks
from sam2_ros.evaluation.scores import score
from sam2_ros.tracking import Frame, Masklet


def moved(clip):
    """Answers: all masks two pixels further right; the second object is lost on the third frame."""
    frames = []
    for index, truth in enumerate(clip.masks):
        masks = np.roll(truth, 2, axis=2)
        if index == 2:
            masks[1:] = False
        masklets = [
            Masklet(i, "", bool(m.any()), float(m.any()), 1.0, m) for i, m in zip(clip.object_ids, masks, strict=True)
        ]
        frames.append(Frame(index, *truth.shape[1:], tuple(masklets)))
    return frames


def same(frame, expected):
    for masklet, other in zip(frame.masklets, expected.masklets, strict=True):
        assert masklet.object_id == other.object_id
        assert masklet.present == other.present
        np.testing.assert_array_equal(masklet.mask, other.mask)


def test_label_images_round_trip(tmp_path):
    clip = make_clip(ids=(1, 2))
    answers = moved(clip)
    for index, frame in enumerate(answers):
        write_masks(tmp_path, clip, index, frame)
    assert sorted(path.name for path in (tmp_path / "walk").iterdir())[:2] == ["00000.png", "00001.png"]
    for frame, expected in zip(read_masks(tmp_path, clip), answers, strict=True):
        if not (expected.masklets[0].mask & expected.masklets[1].mask).any():
            same(frame, expected)
    assert [one.j for one in score(clip, read_masks(tmp_path, clip))] == pytest.approx(
        [one.j for one in score(clip, answers)], abs=0.02
    )


@pytest.mark.parametrize("start", [0, 1])
def test_a_folder_for_each_object(tmp_path, start):
    """Numbered as SA-V does, from 0, or by ID. Here masks may overlap, and any value stands for the object."""
    clip = make_clip(ids=(1, 2, 3), overlap=True)
    answers = moved(clip)
    for index, frame in enumerate(answers):
        for row, masklet in enumerate(frame.masklets):
            file = tmp_path / "walk" / f"{row + start:03d}" / f"{index:05d}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(masklet.mask.astype(np.uint8) * (row + 5)).save(file)
    for frame, expected in zip(read_masks(tmp_path, clip), answers, strict=True):
        same(frame, expected)


def test_files_have_the_names_of_frames(tmp_path):
    """YouTube-VOS numbers frames 0, 5, 10 ...; the first frame, on which trackers are prompted, may lack a file."""
    youtube_vos.write([make_clip(ids=(1, 2))], tmp_path / "data")
    (clip,) = youtube_vos.clips(tmp_path / "data")
    answers = moved(clip)
    for index, frame in enumerate(answers):
        write_masks(tmp_path / "masks", clip, index, frame)
    assert (tmp_path / "masks/walk/00005.png").exists()
    (tmp_path / "masks/walk/00000.png").unlink()
    first, second, *_ = read_masks(tmp_path / "masks", clip)
    assert not any(masklet.present for masklet in first.masklets)
    np.testing.assert_array_equal(second.masklets[1].mask, answers[1].masklets[1].mask)


def test_only_annotated_frames_are_read(tmp_path):
    sav_frames.write([make_clip(ids=(1, 2), every=4)], tmp_path / "data")
    (clip,) = sav_frames.clips(tmp_path / "data")
    for number in ("000", "001"):
        for index in (4, 8):
            write_labels(tmp_path / f"masks/walk/{number}/{index:05d}.png", (1,), clip.masks[index][:1])
    scores = score(clip, read_masks(tmp_path / "masks", clip))
    assert [[frame.frame for frame in one.frames] for one in scores] == [[4], [4]]
    assert scores[0].j == 1


def test_255_alone_is_the_only_object(tmp_path):
    """DAVIS 2016, and masks saved as black and white."""
    clip = make_clip(ids=(1,))
    for index, mask in enumerate(clip.masks):
        file = tmp_path / "walk" / f"{index:05d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask[0] if index % 2 else mask[0].astype(np.uint8) * 255).save(file)
    (one,) = score(clip, read_masks(tmp_path, clip))
    assert one.j == 1


def test_scores_equal_the_public_tool(tmp_path):
    """vos-benchmark on the same files."""
    benchmark = pytest.importorskip("vos_benchmark.benchmark")
    davis.write([make_clip(ids=(1, 2), overlap=True)], tmp_path)
    (clip,) = davis.clips(tmp_path)
    for index, frame in enumerate(moved(clip)):
        write_masks(tmp_path / "masks", clip, index, frame)
    _, j, f = benchmark.VideoEvaluator(str(tmp_path / "Annotations/480p"), str(tmp_path / "masks"))("walk")
    scores = score(clip, read_masks(tmp_path / "masks", clip))
    assert [100 * one.j for one in scores] == pytest.approx([j[1], j[2]], abs=1e-6)
    assert [100 * one.f for one in scores] == pytest.approx([f[1], f[2]], abs=1e-6)


def only_first(clip):
    """A clip with the first of its objects, which is visible from the first frame on."""
    return replace(clip, object_ids=clip.object_ids[:1], masks=[masks[:1] for masks in clip.masks])


def grey_of(file, change):
    """Rewrite a label image with the result of `change` on its labels."""
    Image.fromarray(change(np.array(Image.open(file)))).save(file)


KINDS = {
    "palette": None,
    "0 and 255": lambda labels: (labels > 0) * np.uint8(255),
    "one bit": lambda labels: labels > 0,
    "grey IDs": lambda labels: labels * np.uint8(20),
    "16 bits": lambda labels: labels.astype(np.uint16) * np.uint16(300),
    "one object of 16 bits": lambda labels: (labels > 0) * np.uint16(65535),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".png", ".PNG"])
def test_saved_masks_score_equally_in_the_public_tool(kind, suffix, tmp_path):
    """They have the truth's values, bits, palette and names, so a tool that compares files matches the objects."""
    benchmark = pytest.importorskip("vos_benchmark.benchmark")
    clip = make_clip(ids=(1, 2))
    davis.write([only_first(clip) if kind in ("0 and 255", "one bit", "one object of 16 bits") else clip], tmp_path)
    for file in sorted((tmp_path / "Annotations/480p/walk").iterdir()):
        if KINDS[kind] is not None:
            grey_of(file, KINDS[kind])
        file.rename(file.with_suffix(suffix))
    (clip,) = davis.clips(tmp_path)
    for index, frame in enumerate(moved(clip)):
        write_masks(tmp_path / "masks", clip, index, frame)
    with Image.open(tmp_path / f"masks/walk/00001{suffix}") as ours, Image.open(file.with_suffix(suffix)) as theirs:
        assert ours.mode == theirs.mode and ours.getpalette() == theirs.getpalette()
    _, j, f = benchmark.VideoEvaluator(str(tmp_path / "Annotations/480p"), str(tmp_path / "masks"))("walk")
    scores = score(clip, read_masks(tmp_path / "masks", clip))
    assert [100 * one.j for one in scores] == pytest.approx([j[key] for key in sorted(j)], abs=1e-6)
    assert [100 * one.f for one in scores] == pytest.approx([f[key] for key in sorted(f)], abs=1e-6)
    assert min(j.values()) > 10


@pytest.mark.parametrize("change", [None, lambda mask: mask.astype(np.uint8) * np.uint8(255)])
def test_saved_masks_of_sav_have_a_folder_for_each_object(change, tmp_path):
    """Masks may overlap, and files equal those of the data set."""
    benchmark = pytest.importorskip("vos_benchmark.benchmark")
    sav_frames.write([make_clip(ids=(1, 2), overlap=True)], tmp_path)
    if change:
        for file in tmp_path.glob("Annotations_6fps/walk/*/*.png"):
            grey_of(file, change)
    (clip,) = sav_frames.clips(tmp_path)
    for index, frame in enumerate(moved(clip)):
        write_masks(tmp_path / "masks", clip, index, frame)
    scores = score(clip, read_masks(tmp_path / "masks", clip))
    for one in scores:
        folders = (tmp_path / part / "walk" for part in ("Annotations_6fps", "masks"))
        _, j, f = benchmark.VideoEvaluator(*map(str, folders))(f"{one.object_id - 1:03d}")
        assert [100 * one.j] == pytest.approx([j[key] for key in sorted(j)], abs=1e-6)
        assert [100 * one.f] == pytest.approx([f[key] for key in sorted(f)], abs=1e-6)


def test_saved_masks_are_empty_before_an_object_appears(tmp_path):
    """If each object has a folder, tools expect a file on every frame."""
    sav_frames.write([make_clip(ids=(1, 2))], tmp_path)
    (clip,) = sav_frames.clips(tmp_path)
    for index, frame in enumerate(moved(clip)):
        masklets = frame.masklets[: 1 if index < 4 else 2]  # the second one was not pointed out yet
        write_masks(tmp_path / "masks", clip, index, replace(frame, masklets=masklets))
    assert len(list((tmp_path / "masks/walk/001").iterdir())) == len(clip)
    assert not any(frame.masklets[1].present for frame in list(read_masks(tmp_path / "masks", clip))[:4])


def test_saved_masks_have_the_data_sets_colours(tmp_path):
    davis.write([make_clip(ids=(1, 2))], tmp_path)
    colours = np.array([(0, 0, 0), (0, 200, 0), (200, 0, 0)], np.uint8)
    for file in (tmp_path / "Annotations/480p/walk").iterdir():
        grey_of(file, lambda labels: colours[labels])
    (clip,) = davis.clips(tmp_path)
    for index, masks in enumerate(clip.masks):
        masklets = [Masklet(i, "", True, 1.0, 1.0, mask) for i, mask in zip(clip.object_ids, masks, strict=True)]
        write_masks(tmp_path / "masks", clip, index, Frame(index, *masks.shape[1:], tuple(masklets)))
    for file in (tmp_path / "Annotations/480p/walk").iterdir():
        np.testing.assert_array_equal(Image.open(file), Image.open(tmp_path / "masks/walk" / file.name))
    assert [one.j for one in score(clip, read_masks(tmp_path / "masks", clip))] == [1, 1]


def test_masks_above_254_are_saved_with_16_bits(tmp_path):
    clip = make_clip(ids=(3, 300))  # of no files
    for index, frame in enumerate(moved(clip)):
        write_masks(tmp_path, clip, index, frame)
    assert np.unique(Image.open(tmp_path / "walk/00004.png")).tolist() == [0, 3, 300]
    assert all(one.j > 0.1 for one in score(clip, read_masks(tmp_path, clip)))


def test_probabilities_are_thresholded_at_half(tmp_path):
    """Probabilities of a tracker that saves soft masks."""
    clip = only_first(make_clip(ids=(4, 5), frames=6))
    for index, mask in enumerate(clip.masks):
        soft = cv2.GaussianBlur(mask[0].astype(np.uint8) * np.uint8(255), (3, 3), 0)
        (tmp_path / "walk").mkdir(exist_ok=True)
        Image.fromarray(soft).save(tmp_path / f"walk/{index:05d}.png")
    with pytest.warns(DataWarning, match="soft edges"):
        (one,) = score(clip, read_masks(tmp_path, clip))
    assert one.j > 0.85
    with (
        pytest.warns(DataWarning),
        pytest.raises(ClipError, match="one object with soft edges, but the clip's objects"),
    ):
        list(read_masks(tmp_path, make_clip(ids=(1, 2), frames=6)))


def test_colours_of_another_tracker_are_read_as_davis(tmp_path):
    clip = make_clip(ids=(1, 2), frames=4)
    for index, frame in enumerate(moved(clip)):
        write_masks(tmp_path, clip, index, frame)
    for file in (tmp_path / "walk").iterdir():
        grey_of(file, lambda labels: PALETTE[labels])
    for frame, expected in zip(read_masks(tmp_path, clip), moved(clip), strict=True):
        same(frame, expected)
    grey_of(file, lambda rgb: rgb + np.uint8(1) * (rgb > 0))
    with pytest.raises(ClipError, match=r"has colour #.*, but the clip's objects are 1, 2"):
        list(read_masks(tmp_path, clip))


def test_errors(tmp_path):
    clip = make_clip(ids=(1, 2), frames=4)

    def fails(words, frame=None):
        with pytest.raises(ClipError, match=words) as raised:
            list(read_masks(tmp_path, clip))
        assert raised.value.frame == frame

    fails("walk: the folder with this clip's masks is missing")
    (tmp_path / "walk").mkdir()
    fails("contains neither PNG files nor a folder for each object")
    for index, frame in enumerate(moved(clip)):
        write_masks(tmp_path, clip, index, frame)
    (tmp_path / "walk/00002.png").unlink()
    fails("00002.png, frame 2: the file is missing", 2)
    write_labels(tmp_path / "walk/00002.png", (9,), clip.masks[2][:1])
    fails("has label 9, but the clip's objects are 1, 2", 2)
    Image.fromarray(np.zeros((10, 10), np.uint8)).save(tmp_path / "walk/00002.png")
    fails("is 10 x 10 pixels", 2)
    for number in ("003", "004"):
        (tmp_path / "walk" / number).mkdir()
    fails("has folders of objects 3, 4, but the clip's are 1, 2")
