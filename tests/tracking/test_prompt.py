"""Prompts in every form: unambiguous ones are accepted, others refused with the expected form."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sam2_ros.tracking import Box, Click, ImagePredictor, Prompt, PromptError, Tracker

HEIGHT, WIDTH = 60, 80
MASK = np.zeros((HEIGHT, WIDTH), dtype=bool)
MASK[10:40, 20:60] = True


def checked(**fields) -> Prompt:
    return Prompt(**fields).checked(HEIGHT, WIDTH)


ONE = (Click(10, 20),)
BOTH = (Click(10, 20), Click(30.5, 40, False))
CLICKS = {
    "a click alone": (Click(10, 20), ONE),
    "a pair alone": ((10, 20), ONE),
    "a list of numbers": ([10, 20], ONE),
    "three numbers alone": ((10, 20, False), (Click(10, 20, False),)),
    "pairs": ([(10, 20)], ONE),
    "lists in a list": ([[10, 20, 1], [30.5, 40, 0]], BOTH),
    "pairs and clicks": ([(10, 20), Click(30.5, 40, False)], BOTH),
    "an array": (np.array([[10, 20, 1], [30.5, 40, 0]]), BOTH),
    "an array alone": (np.array([10, 20], np.uint16), ONE),
    "arrays in a list": ([np.float32([10, 20])], ONE),
    "numbers of NumPy": ([(np.float32(10), np.int64(20), np.bool_(True))], ONE),
    "arrays without axes": ([(np.array(10.0), np.array(20), np.array(True))], ONE),
    "clicks of NumPy's numbers": ([Click(np.int32(10), np.float16(20), np.bool_(True))], ONE),
    "a tensor": (torch.tensor([[10, 20, 1], [30.5, 40, 0]]), BOTH),
    "a tensor alone": (torch.tensor([10.0, 20.0], dtype=torch.bfloat16), ONE),
    "a tensor that learns": (torch.tensor([[10.0, 20.0]], requires_grad=True), ONE),
    "numbers of PyTorch": ([(torch.tensor(10), torch.tensor(20.0), torch.tensor(False))], (Click(10, 20, False),)),
    "a generator": (((x, 20) for x in (10,)), ONE),
    "fractions": ([(Fraction(10), Fraction(20))], ONE),
}


@pytest.mark.parametrize("form", CLICKS)
def test_clicks_in_any_form(form):
    given, meant = CLICKS[form]
    clicks = checked(clicks=given).clicks
    assert clicks == meant
    assert all((type(c), type(c.x), type(c.y), type(c.positive)) == (Click, float, float, bool) for c in clicks)


@pytest.mark.parametrize(
    "clicks",
    [
        "10,20",
        ["10,20"],
        [("10", "20")],
        [10],
        [(10,)],
        [(10, 20, True, 1)],
        [(10, 20, 2)],
        [(10, 20, -1)],
        [(10, 20, 0.5)],
        [(10, 20, None)],
        [(10, 20, "foreground")],
        [(None, 20)],
        [(True, False)],
        [(10 + 2j, 20)],
        [{"x": 10, "y": 20}],
        {"x": 10, "y": 20},
        [[(10, 20)]],
        np.zeros((2, 2, 2)),
        np.array(10),
        7,
        object(),
    ],
)
def test_other_clicks_are_refused_with_the_right_form(clicks):
    with pytest.raises(PromptError, match=r"a click is \(x, y\) or \(x, y, positive\)"):
        checked(clicks=clicks)


@pytest.mark.parametrize(
    "box",
    [
        (3, 4, 20, 30),
        [3, 4, 20, 30],
        np.array([3, 4, 20, 30], np.uint8),
        np.array([[3, 4, 20, 30]]),
        torch.tensor([3, 4, 20, 30]),
        torch.tensor([[3.0, 4, 20, 30]], dtype=torch.float16),
        [np.float32(3), torch.tensor(4), 20, 30.0],
        Box(np.int64(3), 4, 20, 30),
        Box.from_corners(3, 4, 23, 34),
    ],
    ids=repr,
)
def test_boxes_in_any_form(box):
    result = checked(box=box).box
    assert result == Box(3, 4, 20, 30) and type(result) is Box and {type(side) for side in result} == {float}


@pytest.mark.parametrize(
    "box",
    [
        "3,4,20,30",
        7,
        (),
        (3, 4, 20),
        (3, 4, 20, 30, 0.9),
        [(3, 4), (20, 30)],
        (3, 4, None, 30),
        {"x": 3},
        np.ones((2, 4)),
    ],
    ids=repr,
)
def test_other_boxes_are_refused_with_the_right_form(box):
    with pytest.raises(PromptError, match=r"a box is \(x, y, width, height\)"):
        checked(box=box)


def test_boxes_that_only_fit_as_two_corners_are_refused():
    """Corners (xyxy) of other libraries. A `Box`, whose fields are named, is cut to the image."""
    for corners in ((40, 20, 70, 55), [40, 20, 70, 55], np.array([40, 20, 70, 55])):
        with pytest.raises(PromptError, match=r"reaches beyond.*Box\.from_corners takes two corners"):
            checked(box=corners)
    assert checked(box=Box(40, 20, 70, 55)).box == Box(40, 20, 40, 40)
    assert checked(box=Box.from_corners(40, 20, 70, 55)).box == Box(40, 20, 30, 35)
    assert checked(box=(-5, -5, 100, 100)).box == Box(0, 0, 80, 60), "no two corners of a box"
    for flat in ((70, 55, -30, -35), (10, 10, 0, 5)):
        with pytest.raises(PromptError, match=r"no size; a box is \(x, y, width, height\)"):
            checked(box=flat)


MASKS = {
    "bool": MASK,
    "0 and 255": MASK.astype(np.uint8) * 255,
    "int64": MASK.astype(np.int64),
    "uint16": MASK.astype(np.uint16) * 300,
    "big-endian": MASK.astype(">i4"),
    "an axis before": MASK[None],
    "an axis behind": MASK[..., None],
    "flipped twice": MASK[::-1].copy()[::-1],
    "lists": MASK.tolist(),
    "a tensor": torch.from_numpy(MASK),
    "a tensor of numbers": torch.from_numpy(MASK)[None].to(torch.uint8),
    "a picture of mode 1": Image.fromarray(MASK),
    "a picture of mode L": Image.fromarray(MASK.astype(np.uint8) * 255),
    "a picture with a palette": Image.fromarray(MASK.astype(np.uint8)).convert("P"),
}


@pytest.mark.parametrize("form", MASKS)
def test_masks_in_any_form(form):
    mask = checked(mask=MASKS[form]).mask
    assert mask.dtype == bool and np.array_equal(mask, MASK)
    assert not isinstance(MASKS[form], np.ndarray) or not np.shares_memory(mask, MASKS[form])


FLOATS = {
    "logits": np.where(MASK, 10.0, -10.0),
    "probabilities": np.where(MASK, 0.98, 0.02).astype(np.float16),
    "zeros and ones": MASK.astype(np.float32),
    "not numbers": np.where(MASK, 1.0, np.nan),
    "a tensor": torch.where(torch.from_numpy(MASK), 10.0, -10.0),
    "half a tensor": torch.from_numpy(MASK).to(torch.bfloat16)[None],
    "lists": MASK.astype(float).tolist(),
    "a picture of mode F": Image.fromarray(MASK.astype(np.float32)),
}


@pytest.mark.parametrize("form", FLOATS)
def test_float_masks_are_refused_with_a_threshold(form):
    with pytest.raises(PromptError, match=r"mask > 0 for logits, mask > 0\.5 for probabilities"):
        checked(mask=FLOATS[form])


def soft(sigma: float) -> np.ndarray:
    """A soft mask, 0 .. 255."""
    return cv2.GaussianBlur(MASK.astype(np.uint8) * 255, (0, 0), sigma)


def test_probability_masks_are_refused_and_soft_edges_accepted():
    """Non-zero pixels are on the object in every mask; in soft ones, this is accepted only if it changes little."""
    noise = np.random.default_rng(0).integers(0, 40, MASK.shape).astype(np.uint8)
    for mask in (
        soft(12),
        soft(3) + noise // 4,
        np.where(MASK, 250, noise),
        np.where(MASK, 60_000, noise).astype(np.uint16),
    ):
        with pytest.raises(PromptError, match=r"as a picture of probabilities has; give mask > \d+, or mask > 0 if"):
            checked(mask=mask)
        assert (checked(mask=mask > mask.max() // 2).mask == MASK).mean() > 0.9
    for mask in (soft(0.7), np.where(MASK, noise + 128, 0), np.where(MASK, 1, 0) + 3 * np.roll(MASK, 30, axis=1)):
        assert np.array_equal(checked(mask=mask).mask, mask != 0)


@pytest.mark.parametrize(
    ("mask", "reason"),
    {
        "objects": (MASK.astype(object), "bool or integer array"),
        "complex": (MASK.astype(complex), "bool or integer array"),
        "text": (MASK.astype(str), "bool or integer array"),
        "negative": (np.where(MASK, 1, -1), "mask > 0"),
        "a negative picture": (np.where(MASK, 1, -1).astype(np.int8), "mask > 0"),
        "one number": (1, "one object"),
        "a path": ("mask.png", "bool or integer array"),
        "another path": (Path("mask.png"), "bool or integer array"),
        "run lengths": ({"size": [60, 80], "counts": "abc"}, "bool or integer array"),
        "ragged": ([[1, 0], [1]], "bool or integer array"),
        "several": (np.stack([MASK, MASK]), "one object"),
        "colours": (Image.fromarray(np.dstack([MASK] * 3).astype(np.uint8)), "one object"),
        "turned": (MASK.T, "same size"),
        "empty": (np.zeros_like(MASK), "empty"),
        "nowhere": (torch.empty(HEIGHT, WIDTH, dtype=torch.bool, device="meta"), "bool or integer array"),
    }.values(),
)
def test_other_masks_are_refused_with_the_right_form(mask, reason):
    with pytest.raises(PromptError, match=reason):
        checked(mask=mask)


@pytest.mark.parametrize("object_id", [7, np.uint8(7), np.array(7), torch.tensor(7)], ids=repr)
def test_ids_of_any_integer_type(object_id):
    assert checked(object_id=object_id, clicks=ONE).object_id == 7


@pytest.mark.parametrize(
    "object_id", ["7", 7.0, True, np.bool_(True), b"7", [7], np.array([7, 8]), float("nan")], ids=repr
)
def test_non_integer_ids_are_refused(object_id):
    with pytest.raises(PromptError, match=r"object_id is .* must be a whole number, 1 \.\. 65535"):
        checked(object_id=object_id, clicks=ONE)


def test_none_is_the_default():
    prompt = checked(object_id=None, clicks=None, box=(3, 4, 20, 30), label=None)
    assert (prompt.object_id, prompt.clicks, prompt.label) == (0, (), "")
    with pytest.raises(PromptError, match="empty"):
        checked(clicks=None)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"label": 5}, "label is 5"),
        ({"label": b"cup"}, "must be a str"),
        ({"replace": "no"}, "True or False"),
        ({"replace": np.zeros(2)}, "True or False"),
    ],
)
def test_other_fields_are_checked(fields, reason):
    with pytest.raises(PromptError, match=reason):
        checked(clicks=ONE, **fields)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.complex_numbers() | st.binary(),
    lambda inner: st.lists(inner, max_size=5) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner, max_size=2),
)


@given(clicks=anything, box=anything, mask=anything, object_id=anything, label=anything, replace=anything)
def test_arbitrary_prompts_are_checked_or_refused(clicks, box, mask, object_id, label, replace):
    for fields in ({"clicks": clicks}, {"box": box}, {"mask": mask}):
        for rest in ({}, {"object_id": object_id}, {"label": label}, {"replace": replace}):
            try:
                checked(**fields, **rest)
            except PromptError as error:
                assert "\n" not in str(error) and len(str(error)) < 400


def test_the_tracker_accepts_all_forms(model, images):
    tracker = Tracker(model)
    tracker.step(images[0])
    plain = tracker.prompt(Prompt(clicks=[(30, 20)]))
    assert np.array_equal(plain.mask, tracker.prompt(Prompt(clicks=(Click(30, 20),))).mask)
    refined = tracker.prompt(Prompt(1, clicks=np.array([[5, 5, 0]])))
    assert tracker.objects[1].prompts[0][1] == (Click(30, 20), Click(5, 5, False))
    assert np.array_equal(refined.mask, tracker.newest.masklet(1).mask)
    for wrong in ({"clicks": [(30, 20)]}, [(30, 20)], Click(30, 20), None):
        with pytest.raises(PromptError, match="give Prompt"):
            tracker.prompt(wrong)
    with pytest.raises(PromptError, match="stamp is 'now'"):
        tracker.prompt(Prompt(clicks=[(30, 20)]), "now")


def test_the_image_predictor_accepts_all_forms(model, images):
    predictor = ImagePredictor(model)
    predictor.set_image(images[0])
    expected = predictor.predict(clicks=(Click(30, 20),), box=Box(3, 4, 50, 40))
    for clicks, box in (([(30, 20)], (3, 4, 50, 40)), (torch.tensor([30, 20]), np.array([3, 4, 50, 40]))):
        assert torch.equal(predictor.predict(clicks, box).logits, expected.logits)
    with pytest.raises(PromptError, match="a click is"):
        predictor.predict("30,20")
    with pytest.raises(PromptError, match="a box is"):
        predictor.predict(box=(3, 4))


def test_masked_out_pixels_are_background():
    labels = np.full((HEIGHT, WIDTH), 7)
    labels[2:5, 3:9] = 5
    inside = labels == 5
    assert np.array_equal(Prompt(mask=np.ma.masked_where(~inside, labels)).checked(HEIGHT, WIDTH).mask, inside)


def test_masks_of_images_one_pixel_high_with_an_extra_axis():
    for shape in ((1, 50), (1, 1, 50), (1, 50, 1)):
        assert Prompt(mask=np.ones(shape, bool)).checked(1, 50).mask.shape == (1, 50)


def test_corners_of_unsigned_numbers_do_not_wrap():
    with pytest.raises(PromptError, match="no size"):
        Prompt(box=Box.from_corners(*np.array([10, 5, 5, 9], np.uint8))).checked(300, 300)


@pytest.mark.parametrize("label", ["a\0b", "\ud800"])
def test_labels_invalid_in_messages_are_refused(label):
    with pytest.raises(PromptError, match="UTF-8"):
        Prompt(clicks=[(1, 1)], label=label).checked(8, 8)


def test_types_whose_conversion_fails_are_refused():
    class Broken:
        def __array__(self, *args, **kwargs):
            raise KeyError("x")

    for fields in ({"mask": Broken()}, {"label": np.float64}):
        with pytest.raises(PromptError):
            Prompt(clicks=[(1, 1)], **fields).checked(8, 8)


def test_mask_logits_of_any_float_type(model, images):
    predictor = ImagePredictor(model)
    predictor.set_image(images[0])
    logits = predictor.predict([(30, 20)]).logits[0].numpy()
    expected = predictor.predict([(30, 20)], mask_logits=logits.copy()).iou
    for form in (logits.astype(np.longdouble), logits.astype(">f4"), logits[::-1].copy()[::-1]):
        np.testing.assert_array_equal(predictor.predict([(30, 20)], mask_logits=form).iou, expected)
    with pytest.raises(PromptError, match="mask_logits are ndarray of object"):
        predictor.predict([(30, 20)], mask_logits=logits.astype(object))
    with pytest.raises(PromptError, match="give the clicks or the box"):
        predictor.predict(mask_logits=logits)


@pytest.mark.parametrize("multimask", ["no", None, 2, np.array([1, 0])])
def test_multimask_must_be_a_bool(model, images, multimask):
    predictor = ImagePredictor(model)
    predictor.set_image(images[0])
    with pytest.raises(PromptError, match="multimask"):
        predictor.predict([(30, 20)], multimask=multimask)
