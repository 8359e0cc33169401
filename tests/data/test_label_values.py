"""The meaning of values in label images: detected from all files of a clip, refused if ambiguous."""

import io
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from small_clips import make_clip, same_masks

from sam2_ros.data import davis, mose, sav_frames, youtube_vos
from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError, DataWarning
from sam2_ros.data.formats import open_clips
from sam2_ros.data.labels import PALETTE

SIZE = (96, 128)


def clip_of(masks: list[np.ndarray], ids=(1,), name="walk") -> Clip:
    return Clip(name, [np.zeros((*SIZE, 3), np.uint8)] * len(masks), ids, masks)


def discs(objects: int = 1, frames: int = 4) -> Clip:
    """Discs that walk, each a bit lower than the one before, which it covers in part."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    masks = []
    for t in range(frames):
        here = [((x - 30 - 22 * n - 4 * t) ** 2 + (y - 28 - 20 * n) ** 2) < 18**2 for n in range(objects)]
        masks.append(np.stack([mask & ~np.any(here[n + 1 :], axis=0) for n, mask in enumerate(here)]))
    return clip_of(masks, tuple(range(1, objects + 1)))


def levels(masks: np.ndarray, *values: int, dtype=np.uint8) -> np.ndarray:
    picture = np.zeros(masks.shape[1:], dtype)
    for value, mask in zip(values, masks, strict=True):
        picture[mask] = value
    return picture


def write(root: Path, clip: Clip, picture, suffix: str = ".png") -> Path:
    """Write the MOSE layout; `picture` makes an array or an image of the masks of each frame."""
    mose.write([clip], root)
    folder = root / "Annotations" / clip.name
    for index, masks in enumerate(clip.masks):
        (folder / f"{index:05d}.png").unlink()
        made = picture(masks)
        image = made if isinstance(made, Image.Image) else Image.fromarray(made)
        image.save(folder / f"{index:05d}{suffix}")
    return root


def read(root: Path, mask_values: str | None = None) -> Clip:
    (clip,) = open_clips(root, mask_values=mask_values)
    return clip


def iou(clip: Clip, truth: Clip) -> float:
    assert len(clip.object_ids) == 1
    pairs = list(zip(clip.masks, truth.masks, strict=True))
    return min((one & two).sum() / (one | two).sum() for one, two in pairs)


def enlarged(picture: np.ndarray) -> np.ndarray:
    """Drawn at half the size, and enlarged with bilinear interpolation."""
    return cv2.resize(picture[::2, ::2], SIZE[::-1], interpolation=cv2.INTER_LINEAR)


def shrunk(picture: np.ndarray) -> np.ndarray:
    """Averaged over areas, from a picture that is not a whole number of times as large."""
    large = cv2.resize(picture, None, fx=2.3, fy=2.3, interpolation=cv2.INTER_NEAREST)
    return cv2.resize(large, SIZE[::-1], interpolation=cv2.INTER_AREA)


def jpeg(picture: np.ndarray, quality: int = 85) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file))


def blurred(picture: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(picture, (0, 0), 2)


SOFT = {
    "enlarged": enlarged,
    "shrunk": shrunk,
    "blurred": blurred,
    "jpeg": jpeg,
    "poor jpeg": lambda picture: jpeg(picture, 30),
    "enlarged jpeg": lambda picture: jpeg(enlarged(picture), 95),
    "rgb": lambda picture: np.stack([enlarged(picture)] * 3, axis=2),
    "red": lambda picture: np.stack([enlarged(picture), picture * 0, picture * 0], axis=2),
    "16 bits": lambda picture: enlarged(picture.astype(np.uint16) * 257),
    "8 bits in 16": lambda picture: enlarged(picture).astype(np.uint16),
    "palette": lambda picture: _with_palette(enlarged(picture), np.arange(256).repeat(3)),
    "alpha": lambda picture: np.dstack([picture * 0] * 3 + [enlarged(picture)]),
    "grey and alpha": lambda picture: Image.merge(
        "LA", [Image.new("L", SIZE[::-1], 255), Image.fromarray(enlarged(picture))]
    ),
}  # fmt: skip


def _with_palette(picture: np.ndarray, palette: np.ndarray) -> Image.Image:
    image = Image.fromarray(picture)
    image.putpalette(palette.astype(np.uint8).tobytes())
    return image


@pytest.mark.parametrize("soft", SOFT)
def test_soft_masks_of_one_object_are_thresholded_with_a_warning(soft, tmp_path):
    truth = discs()
    write(tmp_path, truth, lambda masks: SOFT[soft](levels(masks, 255)))
    with pytest.warns(DataWarning, match="masks with soft edges, thresholded at half.*--mask-values labels") as said:
        clip = read(tmp_path)
    (text,) = (str(one.message) for one in said if one.category is DataWarning)
    assert text.startswith(str(tmp_path / "Annotations:"))
    assert clip.object_ids == (1,) and iou(clip, truth) > 0.9


def test_one_warning_for_a_data_set(tmp_path):
    for name in ("run", "walk"):
        one = discs()
        write(tmp_path, Clip(name, one.frames, (1,), one.masks), lambda masks: enlarged(levels(masks, 255)))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("once")
        assert [clip.object_ids for clip in open_clips(tmp_path)] == [(1,), (1,)]
    assert sum(one.category is DataWarning for one in said) == 1


def test_one_soft_frame_among_hard_frames(tmp_path):
    """A few pixels of a rim, or a speck, are neither objects nor make the object void."""
    truth = discs()
    frame = iter(range(4))

    def picture(masks: np.ndarray) -> np.ndarray:
        hard = levels(masks, 255)
        if next(frame) == 2:
            rim = cv2.dilate(hard, np.ones((3, 3))) > hard
            hard[rim & (np.arange(SIZE[1]) % 9 == 0)] = 128
        return hard

    write(tmp_path, truth, picture)
    with pytest.warns(DataWarning):
        assert iou(read(tmp_path), truth) > 0.95


@pytest.mark.parametrize(
    ("values", "change"),
    [
        ((100, 200), enlarged),  # two objects with soft edges
        ((100, 200), jpeg),
        ((100, 200), lambda picture: jpeg(picture, 100)),
        ((1, 9), shrunk),
        ((120,), enlarged),  # a dim one
        ((128, 255), lambda picture: picture),  # a trimap, two shades, or an ID and void
        ((85, 170, 255), lambda picture: picture),
        ((255, 128), enlarged),
    ],
)
def test_ambiguous_values_are_refused(values, change, tmp_path):
    truth = discs(len(values))
    write(tmp_path, truth, lambda masks: change(levels(masks, *values)))
    with pytest.raises(ClipError, match=r"(soft edges|may be IDs).*--mask-values .*binary or labels") as caught:
        read(tmp_path)
    assert caught.value.file == tmp_path / "Annotations/walk"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(tmp_path, "binary").object_ids == (1,)
        labels = read(tmp_path, "labels")
    assert set(values) - {255} <= set(labels.object_ids)


@pytest.mark.parametrize(
    ("values", "dtype", "ids"),
    [
        ((1, 2, 3), np.uint8, (1, 2, 3)),
        ((3, 1, 2), np.uint8, (1, 2, 3)),
        ((1, 2, 255), np.uint8, (1, 2)),  # void
        ((1, 255), np.uint8, (1,)),
        ((50, 100, 200), np.uint8, (50, 100, 200)),
        ((200, 254), np.uint8, (200, 254)),
        ((38,), np.uint8, (38,)),
        ((255,), np.uint8, (1,)),
        ((1, 255, 300), np.uint16, (1, 255, 300)),  # of 16 bits, like the node's ~/labels
        ((7, 65535), np.uint16, (7, 65535)),
    ],
)
def test_values_with_areas_are_ids(values, dtype, ids, tmp_path):
    truth = discs(len(values))
    write(tmp_path, truth, lambda masks: levels(masks, *values, dtype=dtype))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clip = read(tmp_path)
    assert clip.object_ids == ids
    rows = [values.index(i) if i in values else 0 for i in ids]
    same_masks(clip, Clip("", truth.frames, ids, [masks[rows] for masks in truth.masks]))


def test_many_small_touching_objects_are_ids(tmp_path):
    """None of their pixels is inside an area: a ball of two pixels, a cable of one."""
    tiles = np.arange(1, 49, dtype=np.uint8).reshape(6, 8)
    picture = np.kron(tiles, np.pad(np.ones((2, 2), np.uint8), ((0, 14), (0, 14))))
    picture[90, :] = 49
    picture[:, 60] = 50
    ids = tuple(range(1, 51))
    masks = [picture == np.array(ids)[:, None, None]] * 3
    write(tmp_path, clip_of(masks, ids), lambda masks: levels(masks, *ids))
    same_masks(read(tmp_path), clip_of(masks, ids))


COLOURS = ((255, 0, 0), (0, 255, 0), (90, 90, 90))


def coloured(masks: np.ndarray, *colours: tuple[int, int, int]) -> np.ndarray:
    picture = np.zeros((*masks.shape[1:], 3), np.uint8)
    for colour, mask in zip(colours, masks, strict=True):
        picture[mask] = colour
    return picture


def test_colours_have_the_same_ids_on_all_frames(tmp_path):
    """Also if a frame shows only some of them; the order is that of 0xRRGGBB."""
    truth = discs(3)
    truth.masks[0][0] = False
    truth.masks[2][2] = False
    write(tmp_path, truth, lambda masks: coloured(masks, *COLOURS))
    same_masks(read(tmp_path), Clip("", truth.frames, (1, 2, 3), [masks[[1, 2, 0]] for masks in truth.masks]))


def test_colours_of_davis_are_its_ids(tmp_path):
    truth = discs(2)
    colours = tuple(map(tuple, PALETTE[[5, 2]]))
    write(tmp_path, truth, lambda masks: coloured(masks, *colours))
    same_masks(read(tmp_path), Clip("", truth.frames, (2, 5), [masks[[1, 0]] for masks in truth.masks]))


@pytest.mark.parametrize("change", [jpeg, enlarged, shrunk])
def test_blended_colours_are_refused(change, tmp_path):
    write(tmp_path, discs(3), lambda masks: change(coloured(masks, *COLOURS)))
    with pytest.raises(ClipError, match=r"soft edges|saved as JPEG"):
        read(tmp_path)


def test_transparent_pixels_are_background(tmp_path):
    """Colours on a transparent sheet whose colour is white; objects that were cut out of pictures."""
    truth = discs(2)

    def sheet(masks: np.ndarray) -> np.ndarray:
        seen = masks.any(axis=0)
        rgb = np.where(seen[..., None], coloured(masks, *COLOURS[:2]), 255).astype(np.uint8)
        return np.dstack([rgb, seen * np.uint8(255)])

    write(tmp_path / "sheet", truth, sheet)
    same_masks(read(tmp_path / "sheet"), Clip("", truth.frames, (1, 2), [masks[[1, 0]] for masks in truth.masks]))
    photo = cv2.resize(np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8), SIZE[::-1])
    one = discs()
    write(tmp_path / "cut", one, lambda masks: np.dstack([photo, masks[0] * np.uint8(255)]))
    same_masks(read(tmp_path / "cut"), one)
    write(tmp_path / "photo", one, lambda masks: photo)
    with pytest.raises(ClipError, match="more than 1024 colours"):
        read(tmp_path / "photo")


@pytest.mark.parametrize("empty", ["P", "L", "RGB"])
def test_palettes_that_differ_between_files_are_colours(empty, tmp_path):
    """After quantisation by a picture tool, an index is another object in every file; frames without objects may have
    any mode."""
    truth = discs(2)
    truth.masks[1][:] = False
    frame = iter(range(4))

    def picture(masks: np.ndarray) -> Image.Image:
        turned = next(frame) % 2
        image = Image.fromarray(levels(masks, *((2, 1) if turned else (1, 2))))
        if not masks.any():
            return image.convert(empty)
        colours = [(0, 0, 0), *(COLOURS[1::-1] if turned else COLOURS[:2])]
        image.putpalette(np.array(colours, np.uint8).tobytes())
        return image

    write(tmp_path, truth, picture)
    same_masks(read(tmp_path), Clip("", truth.frames, (1, 2), [masks[[1, 0]] for masks in truth.masks]))


@pytest.mark.parametrize("colours", [6, 12, 40])
def test_soft_edges_with_fewer_colours(colours, tmp_path):
    """Pictures that a tool has reduced to a palette: grey ones are thresholded, those of several objects refused."""
    one, two = discs(), discs(2)
    grey = write(tmp_path / "grey", one, lambda masks: Image.fromarray(enlarged(levels(masks, 255))).quantize(colours))
    with pytest.warns(DataWarning, match="soft edges"):
        assert iou(read(grey), one) > 0.9
    several = lambda masks: Image.fromarray(shrunk(coloured(masks, *COLOURS[:2]))).quantize(colours)  # noqa: E731
    with pytest.raises(ClipError, match="soft edges"):
        read(write(tmp_path / "colours", two, several))
    for file in sorted((tmp_path / "colours/Annotations/walk").iterdir())[1:]:
        file.unlink()
    with pytest.raises(ClipError, match="soft edges"):
        read(tmp_path / "colours")


def test_custom_palettes_are_ids(tmp_path):
    """A cable, a ball: their colours are neither DAVIS' nor blends of others."""
    truth = discs(3)
    for masks in truth.masks:
        masks[1] = False
        masks[1, 80] = True
        masks[2] = False
        masks[2, 90:92, 5:7] = True
    palette = np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 90, 255)])
    write(tmp_path, truth, lambda masks: _with_palette(levels(masks, 1, 2, 3), palette))
    same_masks(read(tmp_path), truth)


def test_a_palette_of_black_and_white_in_any_order(tmp_path):
    truth = discs()
    write(tmp_path, truth, lambda masks: _with_palette(levels(~masks, 1), np.array([255] * 3 + [0] * 3)))
    same_masks(read(tmp_path), truth)


@pytest.mark.parametrize("suffix", [".PNG", ".Png", ".bmp", ".tif"])
def test_names_of_label_images(suffix, tmp_path):
    truth = discs(2)
    write(tmp_path, truth, lambda masks: levels(masks, 1, 2), suffix)
    (tmp_path / "Annotations/walk" / f"._00000{suffix}").write_bytes(b"left by a Mac")
    same_masks(read(tmp_path), truth)


def test_jpeg_files_hold_one_object_or_are_refused(tmp_path):
    write(tmp_path / "one", discs(), lambda masks: levels(masks, 255), ".jpg")
    with pytest.warns(DataWarning):
        assert iou(read(tmp_path / "one"), discs()) > 0.9
    write(tmp_path / "two", discs(2), lambda masks: levels(masks, 1, 2), ".jpg")
    for file in (tmp_path / "two/Annotations/walk").iterdir():
        file.rename(file.with_suffix(".png"))  # the name does not matter
    with pytest.raises(ClipError, match="JPEG changes values"):
        read(tmp_path / "two")


def test_listed_objects_and_masks_of_255(tmp_path):
    """YouTube-VOS: meta.json names the only object, whatever the values of its masks."""
    truth = make_clip(ids=(3,), fps=30)
    youtube_vos.write([truth], tmp_path)
    for file in (tmp_path / "Annotations/walk").iterdir():
        Image.fromarray((np.array(Image.open(file)) > 0) * np.uint8(255)).save(file)
    same_masks(read(tmp_path), truth)
    youtube_vos.write([make_clip(ids=(1, 2), fps=30)], tmp_path / "two")
    for file in (tmp_path / "two/Annotations/walk").iterdir():
        Image.fromarray(jpeg((np.array(Image.open(file)) > 0) * np.uint8(255))).save(file)
    with pytest.warns(DataWarning), pytest.raises(ClipError, match="one object with soft edges, but the video's"):
        read(tmp_path / "two")


def test_a_folder_for_each_object_with_soft_edges(tmp_path):
    """SA-V: also a frame with nothing but rim, which alone would look like a whole mask."""
    truth = discs(2)
    truth.masks[3][1] = False
    sav_frames.write([truth], tmp_path)
    for file in tmp_path.glob("Annotations_6fps/walk/*/*.png"):
        picture = enlarged((np.array(Image.open(file)) > 0) * np.uint8(255))
        if file.stem == "00003" and file.parent.name == "001":
            picture[40:60, 0] = 60
        Image.fromarray(picture).save(file)
    with pytest.warns(DataWarning, match="Annotations_6fps: masks with soft edges"):
        clip = read(tmp_path)
        masks = list(clip.masks)
    for mask, expected in zip(masks, truth.masks, strict=True):
        assert (mask ^ expected).mean() < 0.01
    assert not masks[3][1].any()


def test_binary_takes_all_indices_of_a_palette(tmp_path):
    davis.write([discs(3)], tmp_path)
    clip = davis.read(tmp_path, "walk", mask_values="binary")
    same_masks(clip, Clip("", clip.frames, (1,), [masks.any(axis=0)[None] for masks in discs(3).masks]))


def test_davis_2016_with_soft_edges_by_argument(tmp_path):
    davis.write([discs(2)], tmp_path)
    for file in (tmp_path / "Annotations/480p/walk").iterdir():
        Image.fromarray(enlarged(levels(np.array(Image.open(file)) == np.array([1, 2])[:, None, None], 100, 200))).save(
            file
        )
    with pytest.raises(ClipError):
        davis.read(tmp_path, "walk")
    assert davis.read(tmp_path, "walk", mask_values="binary").object_ids == (1,)
    with pytest.raises(ValueError, match="mask_values must be one of binary, labels"):
        davis.read(tmp_path, "walk", mask_values="grey")
