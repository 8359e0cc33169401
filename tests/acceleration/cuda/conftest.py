"""Triton's compiler, for GPUs that need not be present."""

import pytest

GPUS = {"Jetson Orin": (87, 166_912), "RTX 40": (89, 101_376), "H100": (90, 232_448)}
"""Compute capability, and maximum shared memory per block of threads, bytes."""


@pytest.fixture(params=GPUS.values(), ids=GPUS)
def gpu(request) -> tuple[int, int]:
    return request.param


@pytest.fixture
def build(gpu, tmp_path, monkeypatch):
    """Compile a kernel for a GPU, and check that it fits into its shared memory."""
    pytest.importorskip("triton", reason="pip install triton (comes with PyTorch for CUDA)")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    capability, shared_memory = gpu

    def build(kernel, kinds, constants, aligned=(), **options):
        """kinds: types of arguments, i32 by default; aligned: arguments that are multiples of 16, as all pointers
        are."""
        names = kernel.arg_names
        kinds = {name: "constexpr" if name in constants else kinds.get(name, "i32") for name in names}
        hinted = [name for name in names if kinds[name].startswith("*") or name in aligned]
        hints = {(names.index(name),): [["tt.divisibility", 16]] for name in hinted}
        source = ASTSource(kernel, kinds, constants, hints)
        code = compile(source, target=GPUTarget("cuda", capability, 32), options=options)
        assert code.metadata.shared <= shared_memory, (kernel, constants, code.metadata.shared)
        return code

    return build
