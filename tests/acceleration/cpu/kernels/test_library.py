"""The C++ kernels are compiled once; without a compiler, PyTorch replaces them."""

import logging
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F
from cpu_capabilities import KINDS, NEEDS_KERNELS, TILES

from sam2_ros.acceleration.cpu.attention import attention
from sam2_ros.acceleration.cpu.kernels import library as kernel_library
from sam2_ros.acceleration.cpu.kernels.attention import cpu_attention
from sam2_ros.acceleration.cpu.kernels.library import has_cpu_kernels, load

pytestmark = [*NEEDS_KERNELS, pytest.mark.slow]


def test_kernels_do_not_import_dynamo():
    """PyTorch's compiler takes a second and 150 MB to import."""
    code = """
import sys, torch
from sam2_ros.acceleration.cpu.classes import CPU_CLASSES
from sam2_ros.acceleration.twin import twin_of
from sam2_ros.model.memory_attention import MemoryTokens, RotaryAttention
from sam2_ros.model.position import axial_rotation
dtype = getattr(torch, sys.argv[1])
layer = twin_of(RotaryAttention(64, dropout=0.0, key_dim=16), CPU_CLASSES, dtype)
memory = MemoryTokens(torch.randn(2, 40, 16), torch.randn(2, 40, 16), 8)
with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
    layer(torch.randn(1, 16, 64), memory, axial_rotation(4, 4, 64, torch.device("cpu")))
assert "torch._dynamo" not in sys.modules
"""
    for dtype in ("float32", "bfloat16"):
        subprocess.run([sys.executable, "-c", code, dtype], check=True)


@pytest.fixture
def kernels(monkeypatch, tmp_path):
    """The cache folder of kernels, empty; no library is loaded."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(kernel_library, "OPTIMISATION", "-O0")  # compiles in a third of the time
    kernel_library._library_of_this_cpu.cache_clear()
    yield tmp_path / "cache" / "sam2_ros" / "kernels"
    monkeypatch.undo()
    kernel_library._library_of_this_cpu.cache_clear()


def restart(monkeypatch, compiler: str) -> None:
    """Forget the loaded library, and make $CXX the only compiler."""
    kernel_library._library_of_this_cpu.cache_clear()
    monkeypatch.setenv("CXX", compiler)
    monkeypatch.setenv("PATH", "")


def works() -> bool:
    if not has_cpu_kernels(torch.float32):
        return False
    q, v = torch.randn(1, 1, 9, 8), torch.randn(1, 1, 9, 4)
    return torch.allclose(cpu_attention(q, q, v), F.scaled_dot_product_attention(q, q, v), rtol=1e-5, atol=1e-5)


def test_compiled_library_is_cached(kernels, monkeypatch):
    assert works()
    (built,) = kernels.iterdir()
    assert built.suffix == ".so"
    restart(monkeypatch, "/nowhere/g++")
    assert works()


def test_concurrent_builds(kernels):
    with ThreadPoolExecutor(2) as pool:
        assert all(library.attend_float32 for library in pool.map(load, KINDS[:1] * 2, [False] * 2))
    assert len(list(kernels.iterdir())) == 1


def test_damaged_library_is_rebuilt(kernels, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))  # a library that was opened once stays open
    assert works()
    (built,) = (tmp_path / "elsewhere" / "sam2_ros" / "kernels").iterdir()
    kernels.mkdir(parents=True)
    damaged = kernels / built.name
    damaged.touch()  # as a power cut may leave it
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("CXX", "g++ -O2")  # with an option, as for ccache
    kernel_library._library_of_this_cpu.cache_clear()
    assert works() and damaged.stat().st_size


@pytest.mark.parametrize("problem", ["a file in its place", "no home"])
def test_works_without_a_writable_cache(kernels, monkeypatch, problem):
    if problem == "no home":
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setattr("sam2_ros.system.cache.Path.home", lambda: exec("raise RuntimeError('no home.')"))
    else:
        kernels.parents[1].write_text("a file where a folder should be")
    assert works()


def test_falls_back_from_cxx_to_gpp(kernels, monkeypatch):
    monkeypatch.setenv("CXX", "/nowhere/g++")
    assert works()


@pytest.mark.parametrize("compiler", ["/nowhere/g++", shutil.which("false")])
def test_falls_back_to_pytorch_without_a_compiler(kernels, monkeypatch, caplog, compiler):
    restart(monkeypatch, compiler)
    query, key, value = torch.randn(1, 2, 9, 8), torch.randn(1, 2, 9, 8), torch.randn(1, 2, 9, 4)
    with caplog.at_level(logging.WARNING, "sam2_ros"), torch.no_grad():
        for _ in range(2):
            result = attention(query, key, value)
    torch.testing.assert_close(result, F.scaled_dot_product_attention(query, key, value), rtol=1e-5, atol=1e-5)
    assert len(caplog.records) == 1 and "apt install g++" in caplog.text


def test_compiler_without_amx_support(kernels, monkeypatch, tmp_path):
    if not TILES:
        pytest.skip("this CPU has no AMX")
    old = tmp_path / "g++"
    old.write_text(f'#!/bin/sh\ncase "$*" in *amx*) exit 1;; esac\nexec {shutil.which("g++")} "$@"\n')
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert works() and not has_cpu_kernels(torch.bfloat16)
