"""The C++ kernels as a library: compiled when first needed, and kept."""

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

COMPILER_PATIENCE = 120.0
"""s that one file may take."""

ROOM = 64 << 20
"""Bytes that should be free where files are compiled; it takes a third of them."""

CHECKSUM = 32
"""Bytes at the end of a library that is kept: the SHA-256 of all before."""

INSTRUCTIONS = {
    "NEON": [],
    "AVX2": ["-mavx2", "-mfma"],
    "AVX512": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma"],
    "AMX": ["-mavx512bf16", "-mamx-tile", "-mamx-bf16"],
}
"""What the compiler may use, by what the processor has: 64-bit ARM, or x86, where each includes those before."""

AMX = all(getattr(torch.cpu, f"_is_{it}_supported", bool)() for it in ("amx_tile", "avx512_bf16"))
"""Whether the CPU multiplies tiles of bfloat16."""


def has_cpu_kernels(dtype: torch.dtype) -> bool:
    """Whether they are there: float32 takes AVX2 or NEON, bfloat16 AMX, both a C++ compiler, when first asked for."""
    library = kernels()
    return library is not None and (dtype == torch.float32 or (dtype == torch.bfloat16 and library.tiles))


def description(dtype: torch.dtype) -> str:
    """The kernels that compute in a precision on this processor: "C++ (AVX512)", "PyTorch" where there are none."""
    library = kernels()
    if library is None:
        return "PyTorch"
    tiles = ", AMX" if dtype == torch.bfloat16 and library.tiles else ""
    return f"C++ ({capability_of_this_processor()}{tiles})"


_looking = Lock()


def kernels() -> CDLL | None:
    """Those for this processor; None: there are none. Where a compiler is what is missing, a warning has said so."""
    with _looking:
        return _library_of_this_processor()


@lru_cache(maxsize=1)
def _library_of_this_processor() -> CDLL | None:
    capability = capability_of_this_processor()
    if sys.platform != "linux" or capability not in INSTRUCTIONS:
        return None
    for tiles in (True, False) if AMX and capability == "AVX512" else (False,):
        try:
            return load(capability, tiles)
        except (OSError, subprocess.SubprocessError) as error:  # compilers since GCC 11 know tiles
            why = str(getattr(error, "stderr", None) or error)[:1000]
    log.warning("without its kernels for CPUs, which take a C++ compiler (apt install g++), all is slower: %s", why)
    return None


def capability_of_this_processor() -> str:
    """One of INSTRUCTIONS, or what else PyTorch calls it. `ATEN_CPU_CAPABILITY=avx2` holds it to AVX2."""
    return "NEON" if platform.machine() == "aarch64" else torch.backends.cpu.get_cpu_capability()


def load(capability: str, tiles: bool) -> CDLL:
    """The kernels for a processor with "NEON", "AVX2" or "AVX512", and with AMX: compiled once, in about a minute, and
    then kept in `private_folder("kernels")`, or nowhere where that is not safe or cannot be written.

    Raises:
        OSError: there is no compiler, or no place to compile in.
        subprocess.SubprocessError: it failed.
        Stopped: the process is ending.
    """
    options = ["-std=c++17", "-O3", "-fopenmp", "-shared", "-fPIC", *INSTRUCTIONS[capability]]
    options += INSTRUCTIONS["AMX"] if tiles else []
    sources = [path.read_bytes() for path in sorted(FOLDER.glob("*.[ch]*"))]
    kind = sha256(b"".join(sources) + " ".join(options).encode()).hexdigest()[:16]
    name = f"cpu-{kind}.so"
    try:
        folder = private_folder("kernels")
    except OSError as error:
        folder = None
        log.warning("kernels for this CPU are built anew at every start, since they cannot be kept: %s", error)
    if folder is not None:
        try:
            return _opened(_whole(folder / name), tiles)
        except OSError:  # it isn't there, or is damaged, or was built beside another C library
            pass
    log.info("building kernels for this CPU")
    with _scratch(folder) as scratch:
        built = Path(scratch, name)
        _compile(options, built)
        if folder is not None:
            try:
                return _opened(_kept(built, folder / name), tiles)
            except OSError as error:
                log.warning("kernels for this CPU were built, but cannot be kept for the next start: %s", error)
        return _opened(built, tiles)


def _scratch(kept_in: Path | None) -> TemporaryDirectory:
    """A folder to compile in, where nobody else can exchange what will be run."""
    try:
        temporary = Path(gettempdir()).resolve()
        check_protected(temporary)
        if kept_in is None or shutil.disk_usage(temporary).free > ROOM:
            return TemporaryDirectory(prefix="sam2_ros-", dir=temporary)
    except OSError:
        if kept_in is None:
            raise
    return TemporaryDirectory(prefix="building-", dir=kept_in)


def _compile(options: list[str], to: Path) -> None:
    """By $CXX or else by g++."""
    compilers = [shlex.split(os.environ.get("CXX", "")), ["g++"]]
    for compiler in filter(None, compilers):
        try:
            return _build([*compiler, *options], to)
        except (OSError, subprocess.SubprocessError):
            if compiler is compilers[-1]:
                raise


def _build(command: list[str], to: Path) -> None:
    """All files at the same time, and then into one."""
    built = {source: to.with_name(f"{source.stem}.o") for source in FOLDER.glob("*.cpp")}
    _run([[*command, "-c", source, "-o", built[source]] for source in built], to.parent)
    _run([[*command, *built.values(), "-o", to]], to.parent)


def _run(commands: Sequence[Sequence[str | Path]], scratch: Path) -> None:
    """Side by side, one for each core. No matter how it ends, none of them is left behind."""
    waiting = [list(map(str, command)) for command in commands]
    running: list[_Compiler] = []
    try:
        while waiting or running:
            while waiting and len(running) < (os.cpu_count() or 1):
                running.append(_Compiler(waiting.pop(), scratch))
            stopping.check("building kernels for this CPU", seconds=0.05)
            running = [compiler for compiler in running if not compiler.is_done()]
    finally:
        for compiler in running:
            compiler.end()


_GUARDED = """
exec 3<&0
(read _ <&3 || { /bin/rm -rf -- "$0"; kill -KILL 0; }) &
exec "$@" 3<&- </dev/null
"""
"""A shell's script: runs a command, and if whoever started it dies, kills it and removes the folder it works in."""


class _Compiler:
    """One run of a compiler, with all the processes that it starts: a group of their own."""

    def __init__(self, command: list[str], scratch: Path) -> None:
        self._command = command
        self._ends = time.monotonic() + COMPILER_PATIENCE
        self._said = TemporaryFile(dir=scratch)  # noqa: SIM115 - until `end`
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _GUARDED, str(scratch), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._said,
            env=os.environ | {"TMPDIR": str(scratch)},  # where it leaves files when it is killed
            start_new_session=True,  # or Ctrl-C would look like a compiler that fails
        )

    def is_done(self) -> bool:
        """Raises subprocess.SubprocessError if it failed or takes too long."""
        if self._process.poll() is None:
            if time.monotonic() > self._ends:
                raise subprocess.TimeoutExpired(self._command, COMPILER_PATIENCE)
            return False
        self._said.seek(0)
        said = self._said.read(10_000).decode(errors="replace")
        self.end()
        if self._process.returncode:
            raise subprocess.CalledProcessError(self._process.returncode, self._command, stderr=said)
        return True

    def end(self) -> None:
        with suppress(ProcessLookupError):  # the guard, too
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process.stdin.close()
        self._said.close()


def _kept(built: Path, place: Path) -> Path:
    """A copy of it there, which appears at once and whole, whoever else is doing the same; with a checksum at its end,
    which the loader does not look at."""
    content = built.read_bytes()
    with TemporaryDirectory(prefix="keeping-", dir=place.parent) as scratch:
        copy = Path(scratch, place.name)
        with open(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content + sha256(content).digest())
            file.flush()
            os.fsync(file.fileno())
        return copy.replace(place)


def _whole(library: Path) -> Path:
    """A library as `_kept` left it. Raises OSError if it is damaged, which would end the process when it is run, or has
    not been written by this user."""
    found = library.lstat()
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise PermissionError(f"{library} is not this user's alone")
    content = library.read_bytes()
    if sha256(content[:-CHECKSUM]).digest() != content[-CHECKSUM:]:
        raise OSError(f"{library} is damaged")
    return library


def _opened(path: Path, tiles: bool) -> CDLL:
    library = CDLL(str(path))
    library.tiles = tiles and bool(library.may_use_tiles())
    return library
