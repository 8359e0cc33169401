"""The C++ kernels as a library: compiled when first needed, and kept."""

from __future__ import annotations

import logging
import os
import platform
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from ctypes import CDLL
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

import torch

from sam2_ros.model.cache import cache_folder

log = logging.getLogger("sam2_ros")

FOLDER = Path(__file__).parent

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
    """The kernels for a processor with "NEON", "AVX2" or "AVX512", and with AMX: compiled once, in seconds, and then
    kept in `cache_folder()`, or nowhere where that cannot be written.

    Raises:
        OSError: there is no compiler.
        subprocess.SubprocessError: it failed.
    """
    options = ["-std=c++17", "-O3", "-fopenmp", "-shared", "-fPIC", *INSTRUCTIONS[capability]]
    options += INSTRUCTIONS["AMX"] if tiles else []
    sources = [path.read_bytes() for path in sorted(FOLDER.glob("*.[ch]*"))]
    kind = sha256(b"".join(sources) + " ".join(options).encode()).hexdigest()[:16]
    place = Path("kernels", f"cpu-{kind}.so")
    try:
        return _opened(cache_folder() / place, tiles)
    except OSError:  # it isn't there, or is damaged, or was built beside another C library
        log.info("building kernels for this CPU")
    with TemporaryDirectory() as scratch:
        built = Path(scratch, place.name)
        _compile(options, built)
        try:
            return _opened(_kept(built, cache_folder() / place), tiles)
        except OSError as error:
            log.info("they cannot be kept, and are built anew at every start: %s", error)
            return _opened(built, tiles)


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
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda source: _run([*command, "-c", source, "-o", built[source]]), built))
    _run([*command, *built.values(), "-o", to])


def _run(command: list[str | Path]) -> None:
    subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True, errors="replace", timeout=120)


def _kept(built: Path, place: Path) -> Path:
    """A copy of it there, which appears at once and whole, whoever else is doing the same."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=place.parent) as scratch, open(Path(scratch, place.name), "wb") as file:
        file.write(built.read_bytes())
        file.flush()
        os.fsync(file.fileno())
        return Path(file.name).replace(place)


def _opened(path: Path, tiles: bool) -> CDLL:
    library = CDLL(str(path))
    library.tiles = tiles and bool(library.may_use_tiles())
    return library
