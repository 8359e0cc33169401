"""The C++ kernels compute what the formulas say, on this processor and on lesser ones, and nobody needs them."""

import logging
import math
import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from sam2_ros.model import cpu_kernels
from sam2_ros.model.attention import attention
from sam2_ros.model.cpu_kernels import AMX, cpu_attention, has_cpu_kernels, load, rotate_in_place
from sam2_ros.model.position import axial_rotation, rotate

HERE = torch.backends.cpu.get_cpu_capability()
ORDER = ["AVX2", "AVX512"]
pytestmark = pytest.mark.skipif(HERE not in ORDER, reason=f"this processor has no AVX2: {HERE}")

KINDS = [
    pytest.param(
        *(capability, tiles, dtype),
        marks=pytest.mark.skipif(
            ORDER.index(capability) > ORDER.index(HERE if HERE in ORDER else "AVX2") or (tiles and not AMX),
            reason="this processor has none",
        ),
    )
    for capability, tiles, dtype in (
        ("AVX2", False, torch.float32),
        ("AVX512", False, torch.float32),
        ("AVX512", True, torch.float32),
        ("AVX512", True, torch.bfloat16),
    )
]
ALLOWED = {torch.float32: 1e-5, torch.bfloat16: 0.015}


def formula(query, key, value, valid=None):
    scores = query.double() @ key.double().mT * query.shape[3] ** -0.5
    if valid is not None:
        scores.masked_fill_(~valid[:, None, None], -torch.inf)
    return scores.softmax(dim=-1) @ value.double()


@pytest.mark.parametrize(("capability", "tiles", "dtype"), KINDS)
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    "shape",
    [
        (1, 1, 70, 333, 256, 64),  # as in memory attention, and no whole number of anything
        (2, 1, 600, 1100, 64, 16),  # several parts of the queries, several blocks of keys
        (2, 3, 33, 45, 96, 96),
        (3, 2, 5, 7, 26, 11),
        (1, 2, 1, 1, 2, 1),
    ],
)
def test_attention_is_the_formula(monkeypatch, capability, tiles, dtype, threads, shape):
    monkeypatch.setattr("torch.get_num_threads", lambda: threads)
    b, heads, queries, keys, width, value_width = shape
    library = load(capability, tiles)
    query, key, value = (
        torch.randn(b, n, heads, w).transpose(1, 2).to(dtype)  # heads as the network splits them
        for n, w in ((queries, width), (keys, width), (keys, value_width))
    )
    query = 3 * query
    seldom = (torch.arange(keys) % 300 < 5).expand(b, keys)  # there are blocks of keys without any
    for valid in (None, torch.rand(b, keys) < 0.6, seldom):
        if valid is not None:
            valid = valid.clone()
            valid[:, 0] = True
        found = cpu_attention(query, key, value, valid, library)
        assert found.dtype == dtype
        wrong = (found.double() - formula(query, key, value, valid)).abs().max()
        assert wrong <= ALLOWED[dtype], wrong


@pytest.mark.parametrize(("capability", "tiles", "dtype"), KINDS)
def test_scores_may_be_huge_and_grow_from_key_to_key(capability, tiles, dtype):
    query = torch.full((1, 1, 40, 32), 20.0).to(dtype)
    key = torch.linspace(-30, 30, 700)[:, None].expand(700, 32)[None, None].to(dtype)  # scores of -3400 .. 3400
    value = torch.randn(1, 1, 700, 16).to(dtype)
    found = cpu_attention(query, key, value, None, load(capability, tiles))
    torch.testing.assert_close(found.double(), formula(query, key, value), rtol=0, atol=ALLOWED[dtype])


@pytest.mark.parametrize(("capability", "tiles", "dtype"), KINDS)
def test_any_layout_will_do(capability, tiles, dtype):
    library = load(capability, tiles)
    store = torch.randn(3, 1, 50, 33).to(dtype)
    views = store[..., 1:], store.transpose(2, 3)[:, :, :, :32], store[:, :, :, ::2][..., :16]
    for x in views:
        c = x.shape[3]
        found = cpu_attention(x, x, x[..., : c // 2], None, library)
        wrong = (found.double() - formula(x, x, x[..., : c // 2])).abs().max()
        assert wrong <= ALLOWED[dtype], wrong


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_threads_of_the_caller_do_not_meet(dtype):
    if not has_cpu_kernels(dtype):
        pytest.skip("this processor has none")
    with ThreadPoolExecutor(4) as pool:

        def right(seed: int) -> bool:
            torch.manual_seed(seed)
            q, k, v = (torch.randn(1, 1, n, w).to(dtype) for n, w in ((90 + seed, 64), (900, 64), (900, 32)))
            return bool((cpu_attention(q, k, v).double() - formula(q, k, v)).abs().max() <= ALLOWED[dtype])

        assert all(pool.map(right, range(40)))


def test_attention_to_memory_takes_the_kernel(monkeypatch):
    query, key, value = torch.randn(1, 1, 50, 32), torch.randn(1, 1, 300, 32), torch.randn(1, 1, 300, 16)
    with torch.no_grad():
        found = attention(query, key, value)
        assert torch.equal(found, cpu_attention(query, key, value))
        monkeypatch.setattr("sam2_ros.model.attention.has_cpu_kernels", lambda dtype: False)
        assert not torch.equal(found, attention(query, key, value))  # equal: they would be the same code


@pytest.mark.skipif(not AMX, reason="this processor has no AMX")
def test_rotation_in_place_is_the_product_of_complex_numbers(monkeypatch):
    rotation = axial_rotation(5, 6, 64, torch.device("cpu"))
    x = torch.randn(2, 3 * 30 + 7, 128).bfloat16()[:, :, :64]  # rows apart
    before = x.clone()
    with torch.no_grad():
        found = rotate(x, rotation, 7)
        assert found is x and torch.equal(x[:, 90:], before[:, 90:])
        assert torch.equal(rotate_in_place(before.clone(), rotation, 7), found)
        monkeypatch.setattr(cpu_kernels, "has_cpu_kernels", lambda dtype: False)
        plain = rotate(before, rotation, 7)
    torch.testing.assert_close(found, plain, rtol=2**-7, atol=0)
    assert (found != plain).float().mean() < 0.01  # where they lay in the middle between two numbers


@pytest.fixture
def new_process(monkeypatch, tmp_path):
    """As when the package has just been imported, with an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    cpu_kernels._library.cache_clear()
    yield
    monkeypatch.undo()
    cpu_kernels._library.cache_clear()


def test_kernels_are_built_once(new_process, monkeypatch, tmp_path):
    assert has_cpu_kernels(torch.float32)
    built = list((tmp_path / "cache" / "sam2_ros" / "kernels").iterdir())
    assert [file.suffix for file in built] == [".so"]
    cpu_kernels._library.cache_clear()
    monkeypatch.setenv("CXX", "/nowhere/g++")
    assert has_cpu_kernels(torch.float32)


def test_a_cache_that_cannot_be_written_is_no_hindrance(new_process, tmp_path):
    (tmp_path / "cache").write_text("a file where a folder should be")
    assert has_cpu_kernels(torch.float32)
    q, v = torch.randn(1, 1, 9, 8), torch.randn(1, 1, 9, 4)
    torch.testing.assert_close(cpu_attention(q, q, v).double(), formula(q, q, v), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("compiler", ["/nowhere/g++", shutil.which("false")])
def test_without_a_compiler_pytorch_does_it(new_process, monkeypatch, caplog, compiler):
    monkeypatch.setenv("CXX", compiler)
    query, key, value = torch.randn(1, 2, 9, 8), torch.randn(1, 2, 9, 8), torch.randn(1, 2, 9, 4)
    with caplog.at_level(logging.WARNING, "sam2_ros"), torch.no_grad():
        for _ in range(2):
            found = attention(query, key, value)
    torch.testing.assert_close(found.double(), formula(query, key, value), rtol=1e-5, atol=1e-5)
    assert len(caplog.records) == 1 and "apt install g++" in caplog.text and os.environ["CXX"] in caplog.text
    assert math.isfinite(float(found.sum()))
