"""Simulated scenes beside other tests in one process."""

import contextlib

with contextlib.suppress(ImportError):
    import triton  # noqa: F401  (loaded after Mesa's LLVM, its own crashes the process)
