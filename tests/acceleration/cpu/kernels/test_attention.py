"""Attention in C++ equals the formula, on this processor and on lesser ones."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from cpu_processors import HERE, KINDS, NEEDS_KERNELS, TILES

from sam2_ros.acceleration.cpu.kernels.attention import cpu_attention
from sam2_ros.acceleration.cpu.kernels.library import has_cpu_kernels, load

pytestmark = NEEDS_KERNELS

CASES = [
    pytest.param(*kind, marks=pytest.mark.skipif(missing, reason="this processor has none"))
    for *kind, missing in (
        *((kind, False, torch.float32, kind == "AVX512" and HERE != "AVX512") for kind in KINDS),
        ("AVX512", True, torch.float32, not TILES),
        ("AVX512", True, torch.bfloat16, not TILES),
    )
]
ALLOWED = {torch.float32: 1e-5, torch.bfloat16: 0.015}


def loaded(capability: str, tiles: bool):
    library = load(capability, tiles)
    if tiles and not library.tiles:
        pytest.skip("Linux lends no tiles here")
    return library


def formula(query, key, value, valid=None):
    scores = query.double() @ key.double().mT * query.shape[3] ** -0.5
    if valid is not None:
        scores.masked_fill_(~valid[:, None, None], -torch.inf)
    return scores.softmax(dim=-1) @ value.double()


@pytest.mark.parametrize(("capability", "tiles", "dtype"), CASES)
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    "shape",
    [
        (1, 1, 70, 333, 256, 64),  # as in memory attention, and no whole number of anything
        (2, 1, 600, 1100, 64, 16),  # several parts of the queries, several blocks of keys
        (2, 3, 33, 45, 96, 96),
        (1, 2, 70, 512, 56, 56),  # smaller tiles
        (1, 1, 40, 512, 72, 24),
        (3, 2, 5, 7, 26, 11),
        (1, 2, 1, 1, 2, 1),
    ],
)
def test_equals_the_formula(monkeypatch, capability, tiles, dtype, threads, shape):
    torch.manual_seed(0)  # in bfloat16, one answer in many is rounded by just more than what is allowed
    monkeypatch.setattr("torch.get_num_threads", lambda: threads)
    b, heads, queries, keys, width, value_width = shape
    library = loaded(capability, tiles)
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


@pytest.mark.parametrize(("capability", "tiles", "dtype"), CASES)
def test_huge_scores_that_grow_from_key_to_key(capability, tiles, dtype):
    query = torch.full((1, 1, 40, 32), 20.0).to(dtype)
    key = torch.linspace(-30, 30, 700)[:, None].expand(700, 32)[None, None].to(dtype)  # scores of -3400 .. 3400
    value = torch.randn(1, 1, 700, 16).to(dtype)
    found = cpu_attention(query, key, value, None, loaded(capability, tiles))
    torch.testing.assert_close(found.double(), formula(query, key, value), rtol=0, atol=ALLOWED[dtype])


@pytest.mark.parametrize(("capability", "tiles", "dtype"), CASES)
def test_any_memory_layout(capability, tiles, dtype):
    library = loaded(capability, tiles)
    store = torch.randn(3, 1, 50, 33).to(dtype)
    odd = torch.randn(1 + 2 * 40 * 32).to(dtype)[1:].view(2, 1, 40, 32)  # begins in the middle of a word
    same = torch.randn(1, 1, 40, 32).to(dtype).expand(3, -1, -1, -1)
    views = odd, same, store[..., 1:], store.transpose(2, 3)[:, :, :, :32], store[:, :, :, ::2][..., :16]
    for x in views:
        c = x.shape[3]
        found = cpu_attention(x, x, x[..., : c // 2], None, library)
        wrong = (found.double() - formula(x, x, x[..., : c // 2])).abs().max()
        assert wrong <= ALLOWED[dtype], wrong


@pytest.mark.parametrize(("capability", "tiles", "dtype"), CASES)
def test_queries_in_one_vector_are_independent(capability, tiles, dtype):
    """All in one vector: only the first finds a larger score again and again."""
    query, key, value = torch.zeros(1, 1, 16, 32), torch.zeros(1, 1, 256 * 100, 32), torch.zeros(1, 1, 256 * 100, 16)
    query[:, :, 0, 0] = 1
    key[..., 0] = torch.arange(256 * 100) // 256
    value[:, :, :256] = 100
    found = cpu_attention(*(x.to(dtype) for x in (query, key, value)), None, loaded(capability, tiles))
    torch.testing.assert_close(found[0, 0, 1:].float(), torch.ones(15, 16), rtol=0.001, atol=0)


@pytest.mark.parametrize(("capability", "tiles", "dtype"), CASES)
def test_nan_propagates(capability, tiles, dtype):
    library = loaded(capability, tiles)
    x = torch.randn(1, 1, 300, 32).to(dtype)
    for place in (7, 290):
        spoilt = x.clone()
        spoilt[0, 0, place] = torch.nan
        assert cpu_attention(x, spoilt, x, None, library).isnan().all()
        assert cpu_attention(x, x, spoilt, None, library).isnan().all()
        found = cpu_attention(spoilt, x, x, None, library)
        assert found[0, 0, place].isnan().all() and found.isnan().sum() == 32


@pytest.mark.parametrize(("capability", "tiles", "dtype"), CASES)
def test_no_keys_and_no_queries(capability, tiles, dtype):
    library = loaded(capability, tiles)
    for b, heads, queries, keys in ((0, 1, 5, 9), (1, 0, 5, 9), (1, 1, 0, 9), (2, 1, 5, 0)):
        query, key, value = (torch.randn(b, heads, n, 8).to(dtype) for n in (queries, keys, keys))
        found = cpu_attention(query, key, value, None, library)
        assert found.shape == (b, heads, queries, 8) and not found.any()
    x = torch.randn(2, 1, 40, 16).to(dtype)
    valid = torch.tensor([[True], [False]]).expand(2, 40)
    found = cpu_attention(x, x, x, valid, library)
    assert found[0].any() and not found[1].any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_concurrent_callers(dtype):
    if not has_cpu_kernels(dtype):
        pytest.skip("this processor has none")
    with ThreadPoolExecutor(4) as pool:

        def right(seed: int) -> bool:
            own, sizes = torch.Generator().manual_seed(seed), ((90 + seed, 64), (900, 64), (900, 32))
            q, k, v = (torch.randn(1, 1, n, w, generator=own).to(dtype) for n, w in sizes)
            return bool((cpu_attention(q, k, v).double() - formula(q, k, v)).abs().max() <= ALLOWED[dtype])

        assert all(pool.map(right, range(40)))
