"""The C++ kernels as a shared library, compiled when first needed and cached."""

from __future__ import annotations

import logging
import os
import platform
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from ctypes import CDLL
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile, gettempdir
from threading import Lock

import torch

from sam2_ros.system import stopping
from sam2_ros.system.cache import check_protected, private_folder

log = logging.getLogger("sam2_ros")

FOLDER = Path(__file__).parent

COMPILER_TIMEOUT = 120.0
"""Seconds for one file."""

MIN_FREE_BYTES = 64 << 20
"""Free disk space that a folder to compile in should have; a third of it is used."""

CHECKSUM_BYTES = 32
"""SHA-256 at the end of a cached library, over everything before it."""

OPTIMISATION = "-O3"

INSTRUCTIONS = {
    "NEON": [],
    "AVX2": ["-mavx2", "-mfma"],
    "AVX512": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma"],
    "AMX": ["-mavx512bf16", "-mamx-tile", "-mamx-bf16"],
}
"""Compiler options for each CPU capability: 64-bit ARM, or x86, where each level includes those before it."""

AMX = all(getattr(torch.cpu, f"_is_{feature}_supported", bool)() for feature in ("amx_tile", "avx512_bf16"))
"""Whether the CPU multiplies tiles of bfloat16 (AMX)."""


def has_cpu_kernels(dtype: torch.dtype) -> bool:
    """Whether the kernels support a precision here: float32 needs AVX2 or NEON, bfloat16 AMX.

    The first call compiles the kernels unless they are cached, which needs a C++ compiler.
    """
    library = kernels()
    return library is not None and (dtype == torch.float32 or (dtype == torch.bfloat16 and library.tiles))


def description(dtype: torch.dtype) -> str:
    """The kernels for a precision on this CPU: "C++ (AVX512)", or "PyTorch" without any."""
    library = kernels()
    if library is None:
        return "PyTorch"
    tiles = ", AMX" if dtype == torch.bfloat16 and library.tiles else ""
    return f"C++ ({cpu_capability()}{tiles})"


_lock = Lock()


def kernels() -> CDLL | None:
    """The library for this CPU, loaded at the first call; None: there is none. A missing compiler is warned of once."""
    with _lock:
        return _library_of_this_cpu()


@lru_cache(maxsize=1)
def _library_of_this_cpu() -> CDLL | None:
    capability = cpu_capability()
    if sys.platform != "linux" or capability not in INSTRUCTIONS:
        return None
    for tiles in (True, False) if AMX and capability == "AVX512" else (False,):
        try:
            return load(capability, tiles)
        except (OSError, subprocess.SubprocessError) as error:  # GCC before 11 does not support tiles
            reason = str(getattr(error, "stderr", None) or error)[:1000]
    log.warning("no C++ kernels, so inference is slower; they need a compiler (apt install g++): %s", reason)
    return None


def cpu_capability() -> str:
    """A key of INSTRUCTIONS, or PyTorch's name of another capability. `ATEN_CPU_CAPABILITY=avx2` limits it to AVX2."""
    return "NEON" if platform.machine() == "aarch64" else torch.backends.cpu.get_cpu_capability()


def load(capability: str, tiles: bool) -> CDLL:
    """Load the kernels for a CPU capability, compiling them first unless they are cached.

    Compilation takes about a minute. The cache is `private_folder("kernels")`; if that is unsafe or not writable,
    nothing is cached.

    Args:
        capability: "NEON", "AVX2" or "AVX512".
        tiles: with AMX kernels for bfloat16.

    Raises:
        OSError: there is no compiler, or no folder to compile in.
        subprocess.SubprocessError: the compiler failed.
        Stopped: the process is ending.
    """
    options = ["-std=c++17", OPTIMISATION, "-fopenmp", "-shared", "-fPIC", *INSTRUCTIONS[capability]]
    options += INSTRUCTIONS["AMX"] if tiles else []
    sources = [path.read_bytes() for path in sorted(FOLDER.glob("*.[ch]*"))]
    digest = sha256(b"".join(sources) + " ".join(options).encode()).hexdigest()[:16]
    name = f"cpu-{digest}.so"
    try:
        folder = private_folder("kernels")
    except OSError as error:
        folder = None
        log.warning("kernels for this CPU are compiled at every start, since they cannot be cached: %s", error)
    if folder is not None:
        try:
            return _open(_verified(folder / name), tiles)
        except OSError:  # missing, damaged, or built for another C library
            pass
    log.info("compiling kernels for this CPU")
    with _build_folder(folder) as scratch:
        built = Path(scratch, name)
        _build(options, built)
        if folder is not None:
            try:
                return _open(_store(built, folder / name), tiles)
            except OSError as error:
                log.warning("kernels for this CPU were compiled, but cannot be cached for the next start: %s", error)
        return _open(built, tiles)


def _build_folder(cache: Path | None) -> TemporaryDirectory:
    """A temporary folder to compile in, where no other user can replace files."""
    try:
        temporary = Path(gettempdir()).resolve()
        check_protected(temporary)
        if cache is None or shutil.disk_usage(temporary).free > MIN_FREE_BYTES:
            return TemporaryDirectory(prefix="sam2_ros-", dir=temporary)
    except OSError:
        if cache is None:
            raise
    return TemporaryDirectory(prefix="building-", dir=cache)


def _build(options: list[str], to: Path) -> None:
    """Compile with $CXX, or with g++ if that fails."""
    compilers = [shlex.split(os.environ.get("CXX", "")), ["g++"]]
    for compiler in filter(None, compilers):
        try:
            return _compile_and_link([*compiler, *options], to)
        except (OSError, subprocess.SubprocessError):
            if compiler is compilers[-1]:
                raise


def _compile_and_link(command: list[str], to: Path) -> None:
    """Compile all files in parallel, then link them."""
    built = {source: to.with_name(f"{source.stem}.o") for source in FOLDER.glob("*.cpp")}
    _run_all([[*command, "-c", source, "-o", built[source]] for source in built], to.parent)
    _run_all([[*command, *built.values(), "-o", to]], to.parent)


def _run_all(commands: Sequence[Sequence[str | Path]], scratch: Path) -> None:
    """Run commands in parallel, one for each core. None of them is left running, however this ends."""
    waiting = [list(map(str, command)) for command in commands]
    running: list[_Compiler] = []
    try:
        while waiting or running:
            while waiting and len(running) < (os.cpu_count() or 1):
                running.append(_Compiler(waiting.pop(), scratch))
            stopping.check("compiling kernels for this CPU", seconds=0.05)
            running = [compiler for compiler in running if not compiler.is_done()]
    finally:
        for compiler in running:
            compiler.end()


_GUARD = """
exec 3<&0
(read _ <&3 || { /bin/rm -rf -- "$0"; kill -KILL 0; }) &
exec "$@" 3<&- </dev/null
"""
"""Shell script that runs a command. If its parent process dies, it kills the command and removes its working folder."""


class _Compiler:
    """One run of a compiler, in a process group of its own with all its child processes."""

    def __init__(self, command: list[str], scratch: Path) -> None:
        self._command = command
        self._deadline = time.monotonic() + COMPILER_TIMEOUT
        self._output = TemporaryFile(dir=scratch)  # noqa: SIM115 - until `end`
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, str(scratch), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._output,
            env=os.environ | {"TMPDIR": str(scratch)},  # a killed compiler leaves files here
            start_new_session=True,  # or Ctrl-C would look like a compiler error
        )

    def is_done(self) -> bool:
        """Whether it has finished. Raises subprocess.SubprocessError if it failed or timed out."""
        if self._process.poll() is None:
            if time.monotonic() > self._deadline:
                raise subprocess.TimeoutExpired(self._command, COMPILER_TIMEOUT)
            return False
        self._output.seek(0)
        output = self._output.read(10_000).decode(errors="replace")
        self.end()
        if self._process.returncode:
            raise subprocess.CalledProcessError(self._process.returncode, self._command, stderr=output)
        return True

    def end(self) -> None:
        """Kill the process group, guard included."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process.stdin.close()
        self._output.close()


def _store(built: Path, target: Path) -> Path:
    """Copy a library to the cache atomically, followed by a checksum, which the dynamic loader ignores."""
    content = built.read_bytes()
    with TemporaryDirectory(prefix="storing-", dir=target.parent) as scratch:
        copy = Path(scratch, target.name)
        with open(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content + sha256(content).digest())
            file.flush()
            os.fsync(file.fileno())
        return copy.replace(target)


def _verified(library: Path) -> Path:
    """Check a library that `_store` wrote.

    Raises:
        OSError: it is missing, damaged (loading it would crash the process), or may have been written by another user.
    """
    status = library.lstat()
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise PermissionError(f"{library} is not this user's alone")
    content = library.read_bytes()
    if sha256(content[:-CHECKSUM_BYTES]).digest() != content[-CHECKSUM_BYTES:]:
        raise OSError(f"{library} is damaged")
    return library


def _open(path: Path, tiles: bool) -> CDLL:
    """Load a library. Its attribute `tiles` says whether its bfloat16 kernels can be used."""
    library = CDLL(str(path))
    library.tiles = tiles and bool(library.request_tiles())
    return library
