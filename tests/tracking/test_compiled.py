"""The compiled streaming step does what the plain one does, and is never compiled while images wait."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_clips import make_clip

from sam2_ros.model import SAM2
from sam2_ros.tracking import Box, Click, Prompt, Tracker
from sam2_ros.training.bfloat16 import is_native

# Where it is emulated it compiles for five minutes, to test what nobody uses there.
HALF = pytest.param(
    "older",
    torch.bfloat16,
    0.1,
    marks=pytest.mark.skipif(not is_native(torch.device("cpu")), reason="this processor has no bfloat16"),
)


@pytest.fixture
def no_more_compiling():
    def refuse() -> None:
        torch.compiler.set_stance("fail_on_recompile")

    yield refuse
    torch.compiler.set_stance("default")


@pytest.fixture
def older(model) -> SAM2:
    """The same as SAM 2.0 would have it."""
    config = replace(model.config, absent_memory_embedding=False, pointer_time_encoding=False)
    older = SAM2(config).eval()
    older.load_state_dict(model.state_dict(), strict=False)
    with torch.no_grad():  # no two candidates are worth the same, or bfloat16 would choose by how it is rounded
        older.sam_mask_decoder.iou_prediction_head.layers[-1].bias += 0.2 * torch.arange(4)
    return older


@pytest.mark.parametrize(("version", "dtype", "allowed"), [("model", torch.float32, 1e-3), HALF])
def test_compiled_equals_plain_while_objects_come_and_go(
    request, version, dtype, allowed, tmp_path, monkeypatch, no_more_compiling
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    model = request.getfixturevalue(version)
    plain = Tracker(model, history=4, dtype=dtype)
    compiled = Tracker(model, history=4, dtype=dtype, accelerate="compile")
    no_more_compiling()
    clip = make_clip(frames=16)
    prompts = {
        0: Prompt(clicks=(Click(20, 20),)),
        3: Prompt(box=Box(10, 8, 40, 36)),
        4: Prompt(clicks=(Click(30, 12),)),
        9: Prompt(1, clicks=(Click(25, 25, False),)),
    }
    largest = 0.0
    for index, image in enumerate(clip.frames):
        for tracker in (plain, compiled):
            tracker.step(image)
            if index in prompts:
                tracker.prompt(prompts[index])
            if index == 12:
                tracker.remove(2)
        answers = [tracker._history[-1].answers for tracker in (plain, compiled)]
        assert answers[0].keys() == answers[1].keys() and answers[0]
        for object_id, answer in answers[0].items():
            largest = max(largest, float((answer.logits - answers[1][object_id].logits).abs().max()))
            assert abs(answer.presence_logit - answers[1][object_id].presence_logit) < allowed
    assert 0 < largest < allowed  # 0: they would be the same code
    assert np.isfinite(largest)
    compiled.step(np.tile(clip.frames[0], (1, 3, 1)))  # a wide one, into the square for which all was compiled
    assert compiled._history[-1].answers[1].logits.shape == (16, 16)


def test_other_words_for_it_are_refused(model):
    with pytest.raises(ValueError, match="one of auto, off, compile, graphs"):
        Tracker(model, accelerate="fast")
