"""Still images give the numbers that transformers gives with the same weights, random in every parameter."""

from __future__ import annotations

import numpy as np
import peer
import pytest
import torch

from sam2_ros.model import CONFIGS, SAM2
from sam2_ros.tracking import Box, Click, ImagePredictor, PromptError
from sam2_ros.tracking.pixels import to_network

pytestmark = pytest.mark.slow

TOLERANCE = 1e-3
SIZE = 256
PROMPTS = {
    "one click": {"clicks": [Click(100.5, 60)]},
    "three clicks": {"clicks": [Click(100, 60), Click(30.25, 200), Click(180, 90, positive=False)]},
    "box": {"box": Box(40, 50, 120, 90)},
    "box and click": {"box": Box(40, 50, 120, 90), "clicks": [Click(60, 100, positive=False)]},
    "mask": {"mask": True},
    "mask and click": {"mask": True, "clicks": [Click(200, 180)]},
}


def their_inputs(clicks=(), box: Box | None = None, mask: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
    inputs = {}
    if clicks:
        inputs["input_points"] = torch.tensor([[[[click.x, click.y] for click in clicks]]])
        inputs["input_labels"] = torch.tensor([[[int(click.positive) for click in clicks]]])
    if box is not None:
        inputs["input_boxes"] = torch.tensor([[[box.x, box.y, box.x + box.width, box.y + box.height]]])
    if mask is not None:
        inputs["input_masks"] = mask[None, None]
    return inputs


def our_inputs(clicks=(), box: Box | None = None, mask: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
    corners = [] if box is None else [(box.x, box.y), (box.x + box.width, box.y + box.height)]
    points = corners + [(click.x, click.y) for click in clicks]
    inputs = {}
    if points:
        inputs["points"] = torch.tensor([points])
        inputs["labels"] = torch.tensor([[2, 3][: len(corners)] + [int(click.positive) for click in clicks]])
    if mask is not None:
        inputs["mask_prompt"] = mask[None, None]
    return inputs


@pytest.mark.parametrize("name", [name for name in CONFIGS if name != "default"])
@torch.no_grad()
def test_image(name):
    config = CONFIGS[name].at(SIZE)
    theirs = peer.image_model(config, seed=3)
    model = peer.ours(config, theirs)
    image = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    embeddings = theirs.get_image_embeddings(peer.pixels(image)[None])
    features = model.encode_image(peer.pixels(image)[None])
    mask = 10 * torch.randn(SIZE // 4, SIZE // 4)

    largest = 0.0
    for what, prompt in PROMPTS.items():
        prompt = prompt | ({"mask": mask} if "mask" in prompt else {})
        for multimask in (True, False):
            their = theirs(image_embeddings=list(embeddings), multimask_output=multimask, **their_inputs(**prompt))
            our = model.decode(model.condition(features, None), features, multimask=multimask, **our_inputs(**prompt))
            assert their.pred_masks.std() > 1, "the comparison would mean nothing"
            logits, iou = their.pred_masks[0, 0], their.iou_scores[0, 0]
            if multimask:
                differences = [our.all_logits[0, 1:] - logits, our.all_iou[0, 1:] - iou]
            else:  # where the single mask is not stable, both give the best of the three
                chosen = int((our.all_iou[0] == our.iou[0]).nonzero()[0])
                differences = [our.all_logits[0, chosen] - logits, our.iou - iou]
            differences.append(our.presence_logit - their.object_score_logits.flatten())
            for which, difference in zip(("logits", "IoU", "object score"), differences, strict=True):
                largest = max(largest, float(difference.abs().max()))
                assert difference.abs().max() <= TOLERANCE, f"{what}, multimask {multimask}: {which}"
    print(f"\n{name} at {SIZE}: {largest:.1e}")


def test_a_second_round_clamps_the_first_ones_logits():
    """As Meta's image predictor does; transformers is given clamped ones. Small holes stay, as there."""
    config = CONFIGS["sam2.1_hiera_tiny"].at(SIZE)
    theirs = peer.image_model(config, seed=3, vivid=8.0)
    predictor = ImagePredictor(peer.ours(config, theirs))
    image = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    predictor.set_image(image)
    first = predictor.predict(clicks=[(100, 60)]).logits[0]
    assert first.abs().max() > 40, "there would be nothing to clamp"
    clicks = {
        "input_points": torch.tensor([[[[100.0, 60.0], [180.0, 90.0]]]]),
        "input_labels": torch.tensor([[[1, 0]]]),
    }
    with torch.no_grad():
        their, unclamped = (
            theirs(
                pixel_values=to_network(image, config, torch.device("cpu")),
                input_masks=logits[None, None],
                multimask_output=False,
                **clicks,
            ).pred_masks[0, 0]
            for logits in (first.clamp(-32, 32), first)
        )
    assert (their - unclamped).abs().max() > 20 * TOLERANCE
    for earlier in (first, first.numpy(), first[None], first.clamp(-32, 32)):
        second = predictor.predict([(100, 60), (180, 90, False)], mask_logits=earlier, multimask=False)
        torch.testing.assert_close(second.logits, their, atol=TOLERANCE, rtol=1e-4)
    shown = torch.nn.functional.interpolate(their[None], (SIZE, SIZE), mode="bilinear")[0, 0] > 0
    assert (second.masks[0] != shown.numpy()).mean() < 1e-3


@pytest.mark.parametrize(
    ("logits", "reason"),
    {
        "several": (torch.zeros(3, SIZE // 4, SIZE // 4), "one of them"),
        "another size": (torch.zeros(SIZE, SIZE), r"floats \[64, 64\]"),
        "a mask": (torch.ones(SIZE // 4, SIZE // 4, dtype=torch.bool), "floats"),
        "a list": ([[0.0]], "list"),
        "not a number": (torch.full((SIZE // 4, SIZE // 4), torch.nan), "NaN"),
    }.values(),
)
def test_logits_of_no_earlier_answer_are_refused(logits, reason):
    config = CONFIGS["default"].at(SIZE, "1:1")
    predictor = ImagePredictor(SAM2(config).eval())
    predictor.set_image(np.zeros((SIZE, SIZE, 3), np.uint8))
    with pytest.raises(PromptError, match=reason):
        predictor.predict([(100, 60)], mask_logits=logits)


def test_image_predictor_gives_the_same_candidates():
    """The public way, with an image that is not square."""
    config = CONFIGS["sam2.1_hiera_tiny"].at(SIZE)
    theirs = peer.image_model(config, seed=3)
    predictor = ImagePredictor(peer.ours(config, theirs))
    image = np.random.default_rng(0).integers(0, 256, (SIZE, 2 * SIZE, 3), dtype=np.uint8)
    predictor.set_image(image)
    candidates = predictor.predict(clicks=[Click(100, 60)])
    assert candidates.masks.shape == (3, SIZE, 2 * SIZE) and candidates.masks.dtype == bool
    assert list(candidates.iou) == sorted(candidates.iou, reverse=True)

    pixels = to_network(image, config, torch.device("cpu"))
    with torch.no_grad():
        their = theirs(pixel_values=pixels, input_points=torch.tensor([[[[50.0, 60.0]]]]))
    order = their.iou_scores[0, 0].argsort(descending=True)
    torch.testing.assert_close(candidates.logits, their.pred_masks[0, 0][order], atol=TOLERANCE, rtol=0)
    np.testing.assert_allclose(candidates.iou, their.iou_scores[0, 0][order], atol=TOLERANCE)

    again = predictor.predict(clicks=[Click(100, 60)], mask_logits=candidates.logits[0], multimask=False)
    with torch.no_grad():
        their = theirs(
            pixel_values=pixels,
            input_points=torch.tensor([[[[50.0, 60.0]]]]),
            input_masks=candidates.logits[0][None, None],
            multimask_output=False,
        )
    assert again.masks.shape == (1, SIZE, 2 * SIZE)
    np.testing.assert_allclose(again.iou, their.iou_scores[0, 0], atol=TOLERANCE)
    torch.testing.assert_close(again.logits, their.pred_masks[0, 0], atol=TOLERANCE, rtol=0)
