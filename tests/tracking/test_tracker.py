"""The tracker's guarantees: prompts belong to their frame, objects are independent, errors have no side effects."""

import gc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sam2_ros.model import SAM2
from sam2_ros.model.sam2 import logits_of as network_logits_of
from sam2_ros.tracking import Box, Click, ImagePredictor, Prompt, PromptError, StampError, Tracker
from sam2_ros.tracking.pixels import mask_to_network, prompt_to_network

CLICK = Prompt(clicks=(Click(30, 20),))


def logits_of(tracker: Tracker, object_id: int) -> list[torch.Tensor]:
    """Logits of an object on every frame of the history."""
    return [seen.answers[object_id].logits for seen in tracker.history if object_id in seen.answers]


def run(model, images, prompts, **settings) -> Tracker:
    """A tracker after all images, stamped 0, 10, 20 ...; prompts, {index: [(prompt, stamp)]}, come after that image."""
    tracker = Tracker(model, **settings)
    for index, image in enumerate(images):
        tracker.step(image, index * 10)
        for prompt, stamp in prompts.get(index, []):
            tracker.prompt(prompt, stamp)
    return tracker


def test_the_model_stays_at_hand(model, images):
    tracker, predictor = Tracker(model), ImagePredictor(model)
    assert tracker.model is predictor.model is model and tracker.network is not model


def test_images_without_objects_give_frames(model, images):
    tracker = Tracker(model)
    frame = tracker.step(images[0], 5)
    assert (frame.stamp, frame.height, frame.width, frame.masklets) == (5, 60, 80, ())
    assert tracker.step(images[1]).stamp == 6


def test_a_prompted_object_is_in_every_later_frame(model, images):
    tracker = Tracker(model)
    tracker.step(images[0])
    masklet = tracker.prompt(Prompt(clicks=(Click(30, 20),), label="cup"))
    assert tracker.newest.masklets[0].mask.tolist() == masklet.mask.tolist()
    for image in images[1:5]:
        (masklet,) = tracker.step(image).masklets
        assert (masklet.object_id, masklet.label, masklet.present) == (1, "cup", True)
        assert masklet.mask.shape == (60, 80)
        assert 0 <= masklet.iou <= 1
        assert masklet.presence > 0.5


def test_images_can_be_encoded_ahead(model, images):
    at_once, ahead = (run(model, images[:3], {2: [(CLICK, None)]}) for _ in range(2))
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(ahead.encode, images[3])
        for image, following in pairwise(images[3:7]):
            encoded, coming = coming.result(), thread.submit(ahead.encode, following)
            (expected,), (prompted_mask,) = at_once.step(image).masklets, ahead.step(encoded).masklets
            assert np.array_equal(prompted_mask.mask, expected.mask) and prompted_mask.presence == expected.presence


def test_a_late_prompt_equals_a_prompt_in_time(model, images):
    """Applied at its stamp and propagated, it equals a prompt without delay."""
    in_time = run(model, images[:14], {4: [(CLICK, None)]})
    late = run(model, images[:14], {9: [(CLICK, 40)]})
    for a, b in zip(logits_of(in_time, 1), logits_of(late, 1), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_a_late_refinement_equals_a_refinement_in_time(model, images):
    refinement = Prompt(object_id=1, clicks=(Click(10, 50, False), Click(40, 30)))
    in_time = run(model, images[:25], {2: [(CLICK, None)], 12: [(refinement, None)]})
    late = run(model, images[:25], {2: [(CLICK, None)], 20: [(refinement, 120)]})
    for a, b in zip(logits_of(in_time, 1)[-12:], logits_of(late, 1)[-12:], strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_a_refinement_changes_later_frames(model, images):
    refinement = Prompt(object_id=1, clicks=(Click(10, 50, False), Click(40, 30)))
    plain = run(model, images[:10], {2: [(CLICK, None)]})
    refined = run(model, images[:10], {2: [(CLICK, None)], 6: [(refinement, None)]})
    torch.testing.assert_close(logits_of(plain, 1)[2], logits_of(refined, 1)[2])
    assert not torch.allclose(logits_of(plain, 1)[-1], logits_of(refined, 1)[-1], atol=1e-3)


def test_several_prompts_can_be_propagated_at_once(model, images):
    """Several clicks on an old frame, propagated once, equal clicks that are each propagated."""
    clicks = [Prompt(object_id=1, clicks=(click,)) for click in (Click(10, 50, False), Click(40, 30))]
    each = run(model, images[:14], {2: [(CLICK, None)], 13: [(prompt, 60) for prompt in clicks]})
    once = run(model, images[:14], {2: [(CLICK, None)]})
    before = [logits.clone() for logits in logits_of(once, 1)]
    for prompt in clicks:
        once.prompt(prompt, 60, carry=False)
    for index, (known, now) in enumerate(zip(before, logits_of(once, 1), strict=True), 2):
        assert torch.equal(known, now) == (index != 6)
    once.retrack(1, 60)
    for a, b in zip(logits_of(each, 1), logits_of(once, 1), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
    assert once.newest.masklets[0].mask.tolist() == each.newest.masklets[0].mask.tolist()


def test_retracking_applies_prompts_to_earlier_frames(model, images):
    refinement = Prompt(object_id=1, clicks=(Click(10, 50, False), Click(40, 30)))
    tracker = run(model, images[:14], {2: [(CLICK, None), (Prompt(clicks=(Click(60, 40),)), None)]})
    plain, other = logits_of(tracker, 1), logits_of(tracker, 2)
    tracker.retrack(1)
    for a, b in zip(plain, logits_of(tracker, 1), strict=True):  # retracking after one prompt changes nothing
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
    tracker.prompt(refinement, 80)
    corrected = logits_of(tracker, 1)
    tracker.retrack(1)
    retracked = logits_of(tracker, 1)
    for index, (a, b) in enumerate(zip(corrected, retracked, strict=True), 2):
        assert torch.equal(a, b) == (index in (2, 8)), index  # prompted frames stay, the others depend on both
    assert all(torch.equal(a, b) for a, b in zip(other, logits_of(tracker, 2), strict=True))
    with pytest.raises(PromptError, match="no object 3 is tracked; tracked: 1, 2"):
        tracker.retrack(3)


def test_a_late_prompt_takes_the_nearest_frame(model, images):
    tracker = run(model, images[:6], {})
    tracker.prompt(CLICK, 23)
    assert [1 in seen.answers for seen in tracker.history] == [False, False, True, True, True, True]


def test_clicks_on_one_frame_accumulate(model, images):
    one_by_one = run(model, images[:1], {})
    one_by_one.prompt(Prompt(clicks=(Click(30, 20),)))
    one_by_one.prompt(Prompt(object_id=1, clicks=(Click(5, 5, False),)))
    assert one_by_one.objects[1].prompts[0] == (None, (Click(30, 20), Click(5, 5, False)))
    one_by_one.prompt(Prompt(object_id=1, box=Box(3, 4, 20, 20)))
    assert one_by_one.objects[1].prompts[0] == (Box(3, 4, 20, 20), ())


def test_replace_forgets_the_objects_memory(model, images):
    prompt = Prompt(object_id=1, box=Box(5, 5, 30, 30), replace=True)
    replaced = run(model, images[:12], {1: [(Prompt(clicks=(Click(30, 20),), label="cup"), None)], 6: [(prompt, None)]})
    fresh = run(model, images[:12], {6: [(prompt, None)]})
    for a, b in zip(logits_of(replaced, 1), logits_of(fresh, 1), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
    assert replaced.labels == {1: "cup"}


def test_label_alone_renames_and_changes_nothing_else(model, images):
    name = Prompt(object_id=1, label="mug")
    renamed = run(model, images[:8], {1: [(replace(CLICK, label="cup"), None)], 4: [(name, 20)]})
    untouched = run(model, images[:8], {1: [(replace(CLICK, label="cup"), None)]})
    assert renamed.labels == {1: "mug"} and renamed.newest.masklet(1).label == "mug"
    assert renamed.frame_at(20).masklet(1).label == "mug", "the object has one label, whenever it was seen"
    assert renamed.objects[1].prompts == untouched.objects[1].prompts
    assert [*renamed.objects[1].bank.prompted] == [*untouched.objects[1].bank.prompted]
    for a, b in zip(logits_of(renamed, 1), logits_of(untouched, 1), strict=True):
        assert torch.equal(a, b)
    masklet = renamed.prompt(Prompt(object_id=1, label="cup"))
    assert masklet.label == "cup" and np.array_equal(masklet.mask, untouched.newest.masklet(1).mask)
    assert renamed.newest.masklet(1).label == "cup"


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (Prompt(object_id=7, label="cup"), "no object 7 is tracked; tracked: 1"),
        (Prompt(label="cup"), "the prompt is empty"),
        (Prompt(object_id=1), "the prompt is empty"),
        (Prompt(object_id=1, label="cup", replace=True), "the prompt is empty"),
    ],
)
def test_label_alone_is_for_tracked_objects(model, images, prompt: Prompt, message: str):
    tracker = run(model, images[:2], {0: [(CLICK, None)]})
    with pytest.raises(PromptError, match=message):
        tracker.prompt(prompt)
    assert tracker.labels == {1: ""}


def test_mask_prompt_is_the_answer_on_its_frame(model, images):
    mask = np.zeros((60, 80), dtype=np.uint8)
    mask[10:40, 20:60] = 255
    tracker = run(model, images[:3], {})
    masklet = tracker.prompt(Prompt(mask=mask))
    assert np.array_equal(masklet.mask, mask > 0)
    assert (masklet.iou, masklet.present) == (1.0, True)


def scattered() -> np.ndarray:
    """A thing with small holes, a line of one pixel, and a pixel beside it."""
    mask = np.zeros((60, 80), dtype=bool)
    mask[20:40, 20:50] = True
    mask[25:27, 30:32] = mask[33, 40] = False
    mask[10, 5:75] = mask[50, 70] = True
    return mask


def test_mask_prompt_is_the_answer_pixel_by_pixel(model, images):
    """With its holes, and on an old frame too, as long as it is in the history and until it is corrected."""
    mask = scattered()
    tracker = run(model, images[:4], {})
    original = mask.copy()
    answers = [tracker.prompt(Prompt(mask=original), 10, carry=False), tracker.prompt(Prompt(mask=original), 30)]
    original[:] = False  # it belongs to the caller now
    answers += [tracker.frame_at(10).masklet(1), tracker.frame_at(30).masklet(2), tracker.newest.masklet(2)]
    for image in images[4:8]:
        tracker.step(image)
    tracker.retrack(1)
    answers += [tracker.frame_at(10).masklet(1), tracker.frame_at(30).masklet(2)]
    for masklet in answers:
        assert np.array_equal(masklet.mask, mask)
        assert (masklet.present, masklet.iou) == (True, 1.0) and masklet.presence > 0.99
    corrected = tracker.prompt(Prompt(2, clicks=[(70, 50, False)]), 30)
    assert not np.array_equal(corrected.mask, mask) and np.array_equal(
        tracker.frame_at(30).masklet(2).mask, corrected.mask
    )
    again = tracker.prompt(Prompt(2, mask=mask), 30)
    assert np.array_equal(again.mask, mask)


def test_non_overlapping_masks_keep_a_prompted_mask_unchanged(model, images):
    tracker = run(model, images[:3], {}, non_overlap_masks=True)
    prompted_mask = tracker.prompt(Prompt(clicks=[(30, 20)])).mask
    mask = scattered()
    assert (prompted_mask & mask).any(), "they would not meet"
    assert np.array_equal(tracker.prompt(Prompt(mask=mask)).mask, mask)
    first, second = tracker.newest.masklets
    assert np.array_equal(second.mask, mask) and np.array_equal(first.mask, prompted_mask & ~mask)


@pytest.mark.parametrize("size", [(6, 6), (8, 8), (200, 1), (1, 90), (3, 12)], ids=str)
@pytest.mark.parametrize("place", [(100, 100), (301, 203), (854, 480)])
def test_small_and_thin_mask_prompts_survive_resizing(model, size, place):
    """Also if they lie across the network's cells: their memory is not empty."""
    image = np.random.default_rng(0).integers(0, 256, (480, 854, 3), dtype=np.uint8)
    network = SAM2(replace(model.config, image_size=320)).eval()
    network.load_state_dict(model.state_dict())
    tracker = Tracker(network)
    tracker.step(image)
    mask = np.zeros((480, 854), dtype=bool)
    x, y = min(place[0], 854 - size[0]), min(place[1], 480 - size[1])
    mask[y : y + size[1], x : x + size[0]] = True
    masklet = tracker.prompt(Prompt(mask=mask))
    assert np.array_equal(masklet.mask, mask)
    assert masklet.present and masklet.presence > 0.99
    logits = tracker.history.newest.answers[1].logits
    rows, columns = (logits > 0).nonzero().T.numpy()
    scale = 854 / logits.shape[1], 480 / logits.shape[0]
    assert len(rows) and float(logits.max()) == pytest.approx(10, abs=1e-3)
    assert x - 1.5 * scale[0] < columns.min() * scale[0] and columns.max() * scale[0] < x + size[0] + 1.5 * scale[0]
    assert y - 1.5 * scale[1] < rows.min() * scale[1] and rows.max() * scale[1] < y + size[1] + 1.5 * scale[1]


def test_too_small_mask_prompts_are_refused_with_the_smallest_size(model, images):
    tracker = run(model, [np.zeros((480, 640, 3), np.uint8)], {})
    mask = np.zeros((480, 640), dtype=bool)
    mask[100:110, 100:110] = True
    with pytest.raises(PromptError, match=r"100 pixels, too few .* 640 x 480 it can hold 18 x 18"):
        tracker.prompt(Prompt(mask=mask))
    with pytest.raises(PromptError, match="too few"):
        tracker.prompt(Prompt(mask=mask, clicks=[(105, 105)]))
    assert not tracker.labels and not tracker.newest.masklets
    mask[100:118, 100:118] = True
    assert tracker.prompt(Prompt(mask=mask)).present


def test_large_mask_prompts_equal_the_reference(model):
    """Only masks that fill no cell of the network are resized in another way."""
    mask = np.zeros((120, 160), dtype=bool)
    mask[20:80, 30:100] = mask[90, 10:150] = True
    shape, device = (64, 96), torch.device("cpu")
    seen, logits = prompt_to_network(mask, shape, model.device)
    assert torch.equal(seen, mask_to_network(mask, shape, device))
    assert torch.equal(logits, network_logits_of(seen))


def test_absent_objects_have_no_presence(model, images, monkeypatch):
    """Presence, probability and mask agree, also if the network is sure of an object whose mask has no pixel."""
    tracker = run(model, images[:2], {1: [(CLICK, None)]})
    track = tracker.network.track

    def track_nothing(*ids):
        decoded, memory = track(*ids)
        return replace(decoded, mask_logits=torch.full_like(decoded.mask_logits, -3.0)), memory

    monkeypatch.setattr(tracker.network, "track", track_nothing)
    (masklet,) = tracker.step(images[2]).masklets
    assert tracker.history.newest.answers[1].presence_logit > 1
    assert (masklet.present, masklet.presence, masklet.mask.any(), masklet.box) == (False, 0.0, False, Box(0, 0, 0, 0))
    monkeypatch.undo()
    tracker.step(images[3])
    for stamp in tracker.stamps:
        for masklet in tracker.frame_at(stamp).masklets:
            assert masklet.present == (masklet.presence > 0.5) == bool(masklet.mask.any())


def test_masks_regain_the_pixels_of_removed_objects(model, images, monkeypatch):
    """In the newest frame and in the history; after removal, and after running out of the GPU's memory."""

    def prompted(*settings) -> Tracker:
        tracker = run(model, images[:5], {}, non_overlap_masks=True)
        for x, stamp in ((30, 20), (34, 20), *settings):
            tracker.prompt(Prompt(clicks=[(x, 20)]), stamp)
        return tracker

    alone = run(model, images[:5], {}, non_overlap_masks=True)
    alone.prompt(Prompt(clicks=[(30, 20)]), 20)
    tracker = prompted()
    cut, whole = tracker.newest.masklet(1).mask, alone.newest.masklet(1).mask
    assert not np.array_equal(cut, whole), "they would not meet"
    tracker.remove(2)
    for stamp in (20, 30, 40):
        (left,) = tracker.frame_at(stamp).masklets
        assert np.array_equal(left.mask, alone.frame_at(stamp).masklet(1).mask)
    (left,) = tracker.newest.masklets
    assert np.array_equal(left.mask, whole) and tracker.newest is tracker.newest
    tracker.restamp(45)
    assert tracker.newest.stamp == 45

    tracker = prompted()
    twin, frame = tracker.network.model, Tracker._frame
    encode_memory = twin.encode_memory

    def fail_for_two(features, mask_logits, *rest, **named):
        if len(mask_logits) > 1:
            raise torch.OutOfMemoryError
        return encode_memory(features, mask_logits, *rest, **named)

    def fail(*_):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(twin, "encode_memory", fail_for_two)
    monkeypatch.setattr(Tracker, "_frame", fail)
    with pytest.raises(torch.OutOfMemoryError):
        tracker.step(images[5])
    monkeypatch.setattr(Tracker, "_frame", frame)
    (left,) = tracker.newest.masklets
    assert tracker.newest.stamp == 40 and np.array_equal(left.mask, whole)


def test_a_prompt_updates_the_overlaps_of_other_objects(model, images):
    tracker = run(model, images[:5], {}, non_overlap_masks=True)
    tracker.prompt(Prompt(clicks=[(30, 20)]), 20)
    tracker.prompt(Prompt(clicks=[(34, 20)]), 20)
    for fields in ({"clicks": [(34, 24, False)]}, {"mask": scattered()}, {"box": (0, 0, 9, 9), "replace": True}):
        tracker.prompt(Prompt(2, **fields), 30)
        fresh = tracker._frame(tracker.history.newest, tracker.objects)
        for shown, expected in zip(tracker.newest.masklets, fresh.masklets, strict=True):
            assert np.array_equal(shown.mask, expected.mask)


def test_ids_ascend(model, images):
    tracker = run(model, images[:1], {})
    assert [tracker.prompt(p).object_id for p in (CLICK, Prompt(object_id=7, clicks=CLICK.clicks), CLICK)] == [1, 7, 8]
    tracker.remove(8)
    assert tracker.prompt(CLICK).object_id == 9
    assert list(tracker.labels) == [1, 7, 9]
    tracker.reset()
    tracker.step(images[0])
    assert tracker.prompt(CLICK).object_id == 1


def test_no_id_is_used_twice(model, images):
    """For any IDs that prompts have chosen, and after removals and refusals."""
    tracker = run(model, images[:1], {})
    tracker.prompt(CLICK)
    tracker.remove(1)
    tracker.prompt(Prompt(object_id=65535, clicks=CLICK.clicks))
    tracker.remove(65535)
    ids = []
    for chosen in (0, 0, 4, 0, 0, 65534, 0):
        with pytest.raises(PromptError):
            tracker.prompt(Prompt(clicks=[(-1, -1)]))
        ids.append(tracker.prompt(Prompt(object_id=chosen, clicks=CLICK.clicks)).object_id)
        tracker.remove(ids[-1])
    assert ids == [2, 3, 4, 5, 6, 65534, 7]
    assert tracker.prompt(Prompt(object_id=2, clicks=CLICK.clicks)).object_id == 2, "who chooses it may have it again"
    assert tracker.prompt(CLICK).object_id == 8
    tracker.reset()
    tracker.step(images[0])
    assert tracker.prompt(CLICK).object_id == 1


def test_ids_are_reused_only_after_all_others(model, images, monkeypatch):
    for module in ("tracker", "object_ids"):
        monkeypatch.setattr(f"sam2_ros.tracking.{module}.MAX_OBJECT_ID", 6)
    tracker = run(model, images[:1], {}, max_objects=6)
    ids = []
    for _ in range(3 * 6):
        ids.append(tracker.prompt(CLICK).object_id)
        if ids[-1] != 3:  # which stays
            tracker.remove(ids[-1])
    assert ids == [1, 2, 3, 4, 5, 6, *2 * [1, 2, 4, 5, 6], 1, 2]
    with pytest.raises(ValueError, match="there are 6 IDs"):
        Tracker(model, max_objects=7)


def test_ids_restart_after_all_were_used(model, images):
    tracker = run(model, images[:1], {})
    for ids in (0, 65534, 0, 0, 0):
        tracker.prompt(Prompt(object_id=ids, clicks=CLICK.clicks))
    assert list(tracker.labels) == [1, 2, 3, 65534, 65535]
    tracker.remove(2)
    assert [tracker.prompt(CLICK).object_id for _ in range(2)] == [4, 5]
    refined = tracker.prompt(Prompt(object_id=65535, clicks=CLICK.clicks))
    assert refined.object_id == 65535 and tracker.prompt(CLICK).object_id == 6


def test_the_size_of_images_may_change(model, images):
    tracker = run(model, images[:3], {1: [(CLICK, None)]})
    frame = tracker.step(np.ascontiguousarray(images[3].transpose(1, 0, 2)))
    assert frame.masklets[0].mask.shape == (80, 60)


def test_the_aspect_of_images_may_change(model, images):
    """Memories of one aspect are used for another, in late prompts too."""
    tracker = Tracker(model)
    wide = [np.tile(image, (1, 3, 1)) for image in images]
    for index, image in enumerate((*images[:3], *wide[3:6], *images[6:8])):
        tracker.step(image, index)
        if index == 1:
            tracker.prompt(CLICK)
    assert [seen.answers[1].logits.shape for seen in list(tracker.history)[2:4]] == [(16, 16), (8, 32)]
    masklet = tracker.prompt(Prompt(1, clicks=(Click(200, 30),)), stamp=4)
    assert masklet.mask.shape == (60, 240)
    assert tracker.newest.masklets[0].mask.shape == (60, 80)


def test_prompts_keep_their_place_in_wide_images(model, images):
    wide = np.tile(images[0], (1, 3, 1))
    mask = np.zeros((60, 240), dtype=bool)
    mask[8:30, 150:220] = True
    tracker = run(model, [wide], {})
    assert (tracker.prompt(Prompt(mask=mask)).mask == mask).mean() > 0.97
    points = []
    encoding = tracker.network.model.sam_prompt_encoder.pe_layer
    hook = encoding.register_forward_pre_hook(lambda _, ids: points.append(ids[0]))
    tracker.prompt(Prompt(clicks=(Click(179.5, 14.5),), box=Box(120, 0, 60, 30)))
    hook.remove()
    # Positions from 0 to 1; half a pixel of the network's input is added, as in the reference.
    half = torch.tensor([0.5 / 128, 0.5 / 32])
    expected = torch.tensor([[0.5, 0.0], [0.75, 0.5], [179.5 / 240, 14.5 / 60]]) + half
    torch.testing.assert_close(points[-1][0, :3], expected)


BAD = {
    "empty": Prompt(),
    "outside the image": Prompt(clicks=(Click(80, 20),)),
    "not finite": Prompt(clicks=(Click(float("nan"), 20),)),
    "is not finite": Prompt(box=Box(1, 1, float("inf"), 5)),
    "no size": Prompt(box=Box(10, 10, 0, 5)),
    "is outside": Prompt(box=Box(100, 10, 20, 5)),
    "same size": Prompt(mask=np.ones((80, 60), dtype=bool)),
    "mask is empty": Prompt(mask=np.zeros((60, 80), dtype=bool)),
    "only negative": Prompt(object_id=1, clicks=(Click(3, 3, False),), replace=True),
    "limit": CLICK,
    "at most 64": Prompt(object_id=1, clicks=(Click(1, 1),) * 65),
    "out of range": Prompt(object_id=-1, clicks=(Click(1, 1),)),
    "at most 256 are": Prompt(clicks=(Click(1, 1),), label="cup" * 100, object_id=1),
    "use 1 .. 65535": Prompt(object_id=65536, clicks=(Click(1, 1),)),
}


@pytest.mark.parametrize("reason", BAD)
def test_bad_prompts_are_refused_without_side_effects(model, images, reason):
    tracker = run(model, images[:6], {1: [(CLICK, None)]}, max_objects=1)
    before = tracker.newest
    with pytest.raises(PromptError, match=reason):
        tracker.prompt(BAD[reason])
    assert tracker.newest is before
    after = tracker.step(images[6])
    undisturbed = run(model, images[:7], {1: [(CLICK, None)]}).newest
    assert after.masklets[0].mask.tolist() == undisturbed.masklets[0].mask.tolist()


def test_clicks_in_a_list(model, images):
    listed, tupled = (
        run(model, images[:2], {1: [(Prompt(clicks=kind([Click(30, 20), Click(3, 3, False)])), None)]}).newest.masklets
        for kind in (list, tuple)
    )
    assert listed[0].mask.tolist() == tupled[0].mask.tolist()


def test_prompts_outside_the_history_are_refused(model, images):
    with pytest.raises(PromptError, match="no image"):
        Tracker(model).prompt(CLICK)
    tracker = run(model, images[:10], {}, history=4)
    with pytest.raises(PromptError, match="history of 4 frames"):
        tracker.prompt(CLICK, 50)
    with pytest.raises(PromptError, match="not been seen yet"):
        tracker.prompt(CLICK, 91)
    with pytest.raises(PromptError, match="no object 3 is tracked; tracked: none"):
        tracker.remove(3)


def test_running_out_of_gpu_memory_keeps_the_other_objects(model, images, monkeypatch):
    """The allocator's failure is mocked: these tests need no GPU."""
    tracker = run(model, images[:4], {1: [(CLICK, None)]})
    twin = tracker.network.model
    encode_memory = twin.encode_memory

    def fail_for_two(features, mask_logits, *rest, **named):
        if len(tracker.objects) > 1 and len(mask_logits) > 1:
            raise torch.OutOfMemoryError
        return encode_memory(features, mask_logits, *rest, **named)

    monkeypatch.setattr(twin, "encode_memory", fail_for_two)
    tracker.prompt(CLICK)
    assert list(tracker.labels) == [1, 2]
    assert [masklet.object_id for masklet in tracker.step(images[4]).masklets] == [1]

    def fail(*_, **__):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(twin, "encode_memory", fail)
    with pytest.raises(PromptError, match="out of memory"):
        tracker.prompt(CLICK)
    assert list(tracker.labels) == [1]


def test_running_out_of_memory_while_rendering_changes_nothing(model, images, monkeypatch):
    """The allocator's failure is mocked, as above."""
    tracker = run(model, images[:4], {1: [(CLICK, None)]})
    before, labels, stamps = tracker.newest, tracker.labels, tracker.stamps
    enlarge = Tracker._masklets

    def fail(*_):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(Tracker, "_masklets", fail)
    for prompt in (CLICK, Prompt(object_id=1, clicks=CLICK.clicks, replace=True)):
        with pytest.raises(PromptError, match="out of memory"):
            tracker.prompt(prompt)
    with pytest.raises(PromptError, match="out of memory"):
        tracker.retrack(1)
    with pytest.raises(torch.OutOfMemoryError):
        tracker.step(images[4], 40)
    assert tracker.newest is before and tracker.labels == labels and tracker.stamps == stamps

    monkeypatch.setattr(Tracker, "_masklets", enlarge)
    after, undisturbed = tracker.step(images[4], 40), run(model, images[:5], {1: [(CLICK, None)]}).newest
    assert after.stamp == undisturbed.stamp
    assert after.masklets[0].mask.tolist() == undisturbed.masklets[0].mask.tolist()
    assert tracker.prompt(CLICK).object_id == 2


def test_bad_images_are_refused(model, images):
    tracker = run(model, images[:3], {1: [(CLICK, None)]})
    with pytest.raises(StampError, match="reset"):
        tracker.step(images[3], 20)
    for bad in (images[3][..., 0], images[3].astype(np.float32), np.zeros((0, 5, 3), np.uint8)):
        with pytest.raises(ValueError, match="uint8"):
            tracker.step(bad)
    assert len(tracker.step(images[3]).masklets) == 1


RGB = np.random.default_rng(1).integers(0, 256, (60, 80, 3), dtype=np.uint8)
NOT_IMAGES = {  # what people give, and an expression that makes an image of it
    "a PIL image": (Image.fromarray(RGB), r"np\.asarray\(image\.convert\('RGB'\)\)"),
    "a grey PIL image": (Image.fromarray(RGB).convert("L"), "PIL image of mode L"),
    "a path": ("frames/0001.jpg", r"np\.asarray\(PIL\.Image\.open\(path\)\.convert\('RGB'\)\)"),
    "a Path": (Path("frames/0001.jpg"), "got the path"),
    "nothing": (None, "cv2.imread"),
    "a list": (RGB.tolist(), "got list: give a NumPy array"),
    "floats": (RGB / 255, r"\(image \* 255\)\.astype\(np\.uint8\)"),
    "16 bits": (RGB.astype(np.uint16) * 257, r"\(image / 257\)\.astype\(np\.uint8\)"),
    "colours first": (RGB.transpose(2, 0, 1), r"image\.transpose\(1, 2, 0\)"),
    "a tensor": (torch.from_numpy(RGB), r"image\.cpu\(\)\.numpy\(\)"),
    "a tensor with colours first": (
        torch.from_numpy(RGB).permute(2, 0, 1) / 255,
        r"image\.permute\(1, 2, 0\)\.cpu\(\)\.numpy\(\)",
    ),
    "grey": (RGB[..., 0], r"np\.repeat\(image\.reshape\(\*image\.shape\[:2\], 1\), 3, axis=2\)"),
    "grey with an axis": (RGB[..., :1], "which is grey"),
    "RGBA": (np.dstack([RGB, RGB[..., 0]]), r"image\[\.\.\., :3\]"),
    "several": (RGB[None], r"images\[0\]"),
    "empty": (RGB[:0], "which is empty"),
    "objects": (RGB.astype(object), "got object"),
    "one axis": (RGB.ravel(), "got uint8"),
}


@pytest.mark.parametrize("what", NOT_IMAGES)
def test_images_of_other_types_are_refused_with_a_conversion(model, what):
    ids, remedy = NOT_IMAGES[what]
    tracker, predictor = Tracker(model), ImagePredictor(model)
    for see in (tracker.step, tracker.encode, predictor.set_image):
        with pytest.raises(ValueError, match=rf"expected an RGB image, uint8 \[H, W, 3\]; .*{remedy}"):
            see(ids)
    assert tracker.newest is None
    converted = {
        "a PIL image": lambda image: np.asarray(image.convert("RGB")),
        "floats": lambda image: (image * 255).astype(np.uint8),
        "16 bits": lambda image: (image / 257).astype(np.uint8),
        "colours first": lambda image: image.transpose(1, 2, 0),
        "grey": lambda image: np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2),
        "RGBA": lambda image: image[..., :3],
        "several": lambda images: images[0],
    }.get(what)
    if converted is not None:
        assert tracker.step(converted(ids)).height == 60


def test_a_wrong_stamp_is_corrected(model, images):
    tracker = Tracker(model)
    with pytest.raises(StampError, match="no frame"):
        tracker.restamp(5)
    for stamp in (10, 20, 10_000):
        tracker.step(images[0], stamp)
    tracker.prompt(CLICK)
    with pytest.raises(StampError, match="not after"):
        tracker.restamp(20)
    assert tracker.stamps == (10, 20, 10_000)
    tracker.restamp(30)
    assert tracker.stamps == (10, 20, 30) and tracker.newest.stamp == 30
    assert [masklet.object_id for masklet in tracker.frame_at(30).masklets] == [1]
    assert len(tracker.step(images[1], 40).masklets) == 1


@pytest.mark.slow
def test_memory_is_bounded(model, images):
    """After the bank and the history are full, no tensor is added.

    Every fifth frame is prompted, and every third one kept for longer, so what is stored repeats after 15.
    """

    def live_bytes() -> int:
        gc.collect()
        return sum(t.untyped_storage().nbytes() for t in gc.get_objects() if issubclass(type(t), torch.Tensor))

    tracker = Tracker(model, history=4, prompted_memories=3)
    sizes = []
    for index in range(150):
        tracker.step(images[index % len(images)])
        if index % 5 == 0:
            tracker.prompt(Prompt(object_id=1, clicks=(Click(index % 80, 20),)))
        if index % 45 == 44:
            sizes.append(live_bytes())
    assert sizes[1] == sizes[2]
    tracked = tracker.objects[1]
    assert next(iter(tracked.bank.prompted)) == 0
    assert len(tracked.bank.prompted) == len(tracked.prompts) == 3


def test_restamping_moves_the_whole_history(model, images):
    tracker = Tracker(model, history=3)
    for index, stamp in enumerate((10, 20, 30, 40)):
        tracker.step(images[index % len(images)], stamp)
    tracker.prompt(CLICK)
    for wrong in ((1, 2, 3, 4), (1, 3, 3), (20,)):
        with pytest.raises(StampError):
            tracker.restamp(*wrong)
    assert tracker.stamps == (20, 30, 40)
    tracker.restamp(-5, 3, 9)
    assert tracker.stamps == (-5, 3, 9) and tracker.newest.stamp == 9
    assert [masklet.object_id for masklet in tracker.step(images[0], 12).masklets] == [1]
    assert [masklet.object_id for masklet in tracker.frame_at(9).masklets] == [1]


@pytest.mark.parametrize("kind", [int, np.int64, np.uint64, np.uint8, torch.tensor])
def test_stamps_of_any_integer_type_select_the_nearest_frame(model, images, kind):
    tracker = Tracker(model)
    for stamp in (10, 20, 30):
        assert type(tracker.step(images[0], kind(stamp)).stamp) is int
    assert [tracker.frame_at(kind(stamp)).stamp for stamp in (10, 14, 16, 24, 26)] == [10, 10, 20, 20, 30]
    with pytest.raises(PromptError, match="older than the newest"):
        tracker.frame_at(kind(3))


@pytest.mark.parametrize("stamp", [60.5, float("nan"), float("inf"), "60", True, [60], np.datetime64(60, "ns")])
def test_non_integer_stamps_are_refused(model, images, stamp):
    tracker = run(model, images[:2], {1: [(CLICK, None)]})
    for refuse in (lambda: tracker.step(images[2], stamp), lambda: tracker.restamp(stamp)):
        with pytest.raises(StampError, match="whole number of ns"):
            refuse()
    for refuse in (lambda: tracker.frame_at(stamp), lambda: tracker.retrack(1, stamp)):
        with pytest.raises(PromptError, match="whole number of ns"):
            refuse()
    assert tracker.stamps == (0, 10)


@pytest.mark.parametrize("object_id", [[1], {}, "1", 1.0, True, None, np.ones(2)])
def test_object_ids_of_other_types_are_refused(model, images, object_id):
    tracker = run(model, images[:2], {1: [(CLICK, None)]})
    for refuse in (tracker.remove, tracker.retrack):
        with pytest.raises(PromptError, match="object_id is"):
            refuse(object_id)
    tracker.remove(np.array(1))
    assert not tracker.labels


@pytest.mark.parametrize(
    "setting",
    [
        {"history": 1.5}, {"history": "4"}, {"history": None}, {"history": True}, {"max_objects": "lots"},
        {"max_objects": 2.5}, {"prompted_memories": 2.5}, {"box_min_part": "x"}, {"dtype": "bfloat16"},
        {"dtype": torch.int8},
    ],
)  # fmt: skip
def test_settings_of_other_types_are_refused(model, setting):
    with pytest.raises(ValueError, match=next(iter(setting))):
        Tracker(model, **setting)


def test_settings_may_be_numpy_numbers(model, images):
    assert run(model, images[:6], {}, history=np.int64(4)).stamps == (20, 30, 40, 50)


@pytest.mark.parametrize("name", ["sam2.1_hiera_tiny", "weights.pt", None])
def test_a_model_name_is_refused_with_a_hint_to_load_model(name):
    with pytest.raises(TypeError, match="load_model"):
        Tracker(name)


def test_replaced_objects_are_unknown_on_later_frames(model, images):
    """Until it is propagated, a replaced object is unknown on later frames, like a new one."""
    click = Prompt(object_id=1, clicks=(Click(60, 40),))
    fresh, replaced = Tracker(model), run(model, images[:1], {0: [(CLICK, None)]})
    fresh.step(images[0], 0)
    for tracker in (fresh, replaced):
        for index in (1, 2, 3):
            tracker.step(images[index], index * 10)
        tracker.prompt(replace(click, replace=True), 10, carry=False)
    assert not replaced.newest.masklets[0].present
    for tracker in (fresh, replaced):
        tracker.prompt(click, 20, carry=False)
        tracker.retrack(1)
    for ours, expected in zip(logits_of(replaced, 1), logits_of(fresh, 1), strict=True):
        torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("size, shape", [((286, 724), (192, 480)), ((1, 40000), (32, 3520)), ((3, 8000), (32, 480))])
def test_mask_prompts_of_the_smallest_size_are_accepted_anywhere(model, size, shape):
    with pytest.raises(PromptError, match="can hold") as refused:
        prompt_to_network(np.arange(size[0] * size[1]).reshape(size) == 0, shape, model.device)
    words = str(refused.value).split("can hold ")[1].split(";")[0].split()
    rows, columns = (int(words[0]), int(words[0])) if "x" in words else (1, int(words[0]))
    for top, left in ((0, 0), (size[0] - rows, size[1] - columns), (min(83, size[0] - rows), 312), (0, 59)):
        mask = np.zeros(size, bool)
        mask[top : top + rows, left : left + columns] = True
        assert prompt_to_network(mask, shape, model.device)[0].any()
