"""Message packages that are built for the tests, as on a robot: with CMake, into a prefix."""

from __future__ import annotations

import fcntl
import hashlib
import importlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import distributions
from pathlib import Path

from sam2_ros.system.cache import private_folder

INTERFACES = Path(__file__).parent / "ros/interfaces"
CMAKE = Path(__file__).parents[1] / "cmake"
MODULES = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
KEPT = 7 * 86400.0
"""Seconds since its last use after which a prefix is deleted from the cache."""


def build(prefix: Path, *packages: str) -> None:
    """Build packages of tests/ros/interfaces in order, each of which may refer to earlier ones."""
    python, scratch = Path(sys.prefix), prefix.with_name(f"{prefix.name}-build")
    environment = {
        **os.environ,
        "PATH": f"{python}/bin:{os.environ['PATH']}",
        "AMENT_PREFIX_PATH": f"{prefix}:{python}:{os.environ.get('AMENT_PREFIX_PATH', '')}",
        "CMAKE_PREFIX_PATH": f"{prefix}:{python}:{os.environ.get('CMAKE_PREFIX_PATH', '')}",
        "PYTHONPATH": f"{prefix}/{MODULES}:{python}/{MODULES}",
    }
    options = {
        "BUILD_TESTING": "OFF",
        "CMAKE_INSTALL_PREFIX": prefix,
        # from lib/, from lib/python3.x/site-packages/PACKAGE, and the packages that they refer to
        "CMAKE_INSTALL_RPATH": f"$ORIGIN;$ORIGIN/../../..;{python}/lib",
        "CMAKE_INSTALL_RPATH_USE_LINK_PATH": "ON",
        "Python3_EXECUTABLE": sys.executable,
    }
    for package in packages:
        folder = scratch / package
        configure = ["cmake", "-S", INTERFACES / package, "-B", folder, *(f"-D{k}={v}" for k, v in options.items())]
        for command in (configure, ["cmake", "--build", folder, "--target", "install", "--parallel", "2"]):
            completed = subprocess.run(command, env=environment, capture_output=True, text=True)
            assert completed.returncode == 0, completed.stdout + completed.stderr
    shutil.rmtree(scratch)


def cached(*packages: str) -> Path:
    """The prefix of packages that were built in an earlier run of the tests, or are built now."""
    cache = private_folder("tests")
    prefix = cache / f"{packages[-1]}-{_key(packages)}"
    complete = prefix / "complete"
    with _locked(cache / "lock"):  # the workers of pytest-xdist build it once
        if not complete.exists():
            shutil.rmtree(prefix, ignore_errors=True)
            build(prefix, *packages)
        complete.touch()
        for other in cache.glob("*/complete"):  # of another checkout, perhaps, whose tests are running
            if time.time() - other.stat().st_mtime > KEPT:
                shutil.rmtree(other.parent)
    return prefix


def environment_of(prefix: Path) -> dict[str, str]:
    """What sourcing a prefix sets, for child processes."""
    return {
        "AMENT_PREFIX_PATH": f"{prefix}:{os.environ.get('AMENT_PREFIX_PATH', '')}",
        "PYTHONPATH": f"{prefix / MODULES}:{os.environ.get('PYTHONPATH', '')}",
        "LD_LIBRARY_PATH": f"{prefix}/lib:{os.environ.get('LD_LIBRARY_PATH', '')}",
    }


def make_importable(prefix: Path) -> None:
    """Let this process import the packages of a prefix from now on."""
    if str(prefix / MODULES) not in sys.path:
        sys.path.append(str(prefix / MODULES))
        importlib.invalidate_caches()


def _key(packages: tuple[str, ...]) -> str:
    """Changes with everything that a build depends on."""
    sources = [path for package in packages for path in sorted((INTERFACES / package).rglob("*.*"))]
    digest = hashlib.sha256(f"{sys.version} {sys.executable}".encode())
    for path in (*sources, *sorted(CMAKE.glob("*.cmake")), Path(__file__)):
        digest.update(f"{path.name}\n".encode() + path.read_bytes())
    for name in sorted(f"{each.name} {each.version}" for each in distributions() if each.name.startswith("ros")):
        digest.update(name.encode())
    return digest.hexdigest()[:16]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
