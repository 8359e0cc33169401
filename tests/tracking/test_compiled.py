"""The compiled streaming step does what the plain one does, and is never compiled while images wait."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from come_and_go import come_and_go, furthest
from small_clips import make_clip

from sam2_ros.model import SAM2
from sam2_ros.model.compiled import CompiledSAM2
from sam2_ros.tracking import Tracker
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
    largest = max(furthest(known, allowed) for _, known in come_and_go(plain, compiled))
    assert 0 < largest < allowed  # 0: they would be the same code
    assert np.isfinite(largest)
    wide = np.tile(make_clip(frames=1).frames[0], (1, 3, 1))
    compiled.step(wide)  # into the square for which all was compiled
    assert compiled.history.newest.answers[1].logits.shape == (16, 16)


def test_it_says_so_where_plain_code_is_faster(model, monkeypatch, caplog):
    for kernels in (True, False):
        monkeypatch.setattr("sam2_ros.model.compiled.has_cpu_kernels", lambda dtype, kernels=kernels: kernels)
        caplog.clear()
        CompiledSAM2(model)
        assert ("accelerate='off' is likely to be faster" in caplog.text) == kernels


def test_other_words_for_it_are_refused(model):
    with pytest.raises(ValueError, match="one of auto, off, compile, graphs"):
        Tracker(model, accelerate="fast")
