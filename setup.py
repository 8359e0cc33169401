"""What pyproject.toml cannot say: the version is package.xml's, and where ROS 2 is found the messages are built.

The CMakeLists.txt that a robot builds with colcon is installed into a scratch folder here, and from there into the
Python environment: libraries to lib/, the ament index and launch files to share/, sam2_ros.msg and sam2_ros.srv beside
the Python module. The environment becomes one more ROS prefix. Without ROS 2 only the Python API is installed.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

import setuptools

from distutils.command.install_data import install_data  # isort: skip  (setuptools brings its own distutils)

ROOT = Path(__file__).resolve().parent


def ros_prefixes() -> list[Path]:
    """The folders that hold ROS 2 packages: those that were sourced, and this environment itself (ROS wheels)."""
    sourced = [Path(prefix) for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    return [prefix for prefix in dict.fromkeys([*sourced, Path(sys.prefix)]) if (prefix / "share/ament_index").is_dir()]


def has_ros() -> bool:
    return any((prefix / "share/rclpy").is_dir() for prefix in ros_prefixes())


def build_messages(prefix: Path) -> None:
    """Builds CMakeLists.txt and installs it into `prefix`."""
    found = ros_prefixes()
    libraries = [str(ros / "lib") for ros in found]
    lib_or_local = "lib/python3*/*-packages", "local/lib/python3*/*-packages"
    modules = [str(folder) for ros in found for pattern in lib_or_local for folder in ros.glob(pattern)]

    # pip hides the environment from the build; the generators that CMake starts live in it.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONNOUSERSITE"}
    environment["AMENT_PREFIX_PATH"] = environment["CMAKE_PREFIX_PATH"] = os.pathsep.join(map(str, found))
    environment["LD_LIBRARY_PATH"] = os.pathsep.join([*libraries, os.environ.get("LD_LIBRARY_PATH", "")])
    environment["PYTHONPATH"] = os.pathsep.join(modules)

    with tempfile.TemporaryDirectory() as scratch:
        options = {
            "BUILD_TESTING": "OFF",
            "CMAKE_BUILD_TYPE": "Release",
            "CMAKE_INSTALL_PREFIX": prefix,
            # from lib/, and from lib/python3.x/site-packages/sam2_ros
            "CMAKE_INSTALL_RPATH": "$ORIGIN;$ORIGIN/../../..",
            "Python3_EXECUTABLE": sys.executable,
        }
        configure = ["cmake", "-S", ROOT, "-B", scratch, *(f"-D{name}={value}" for name, value in options.items())]
        build = ["cmake", "--build", scratch, "--target", "install", "--parallel", str(os.cpu_count() or 1)]
        try:
            for command in (configure, build):
                subprocess.run(command, env=environment, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise SystemExit(
                f"sam2_ros: ROS 2 is here ({', '.join(map(str, found))}), but the build failed: {error}\n"
                "The lines above say why. It takes cmake >= 3.19, a C++ compiler and the ROS packages named as <depend>"
                " and <buildtool_depend> in package.xml. A virtual environment over an apt installation of ROS needs"
                " `python3 -m venv --system-site-packages`.\n"
                "To install the Python API alone, without ROS: SAM2_ROS_MESSAGES=off pip install ."
            ) from error


class InstallData(install_data):
    """Installs package.xml, and what CMake built where ROS 2 was found."""

    def run(self) -> None:
        if with_messages:
            with tempfile.TemporaryDirectory() as scratch:
                prefix = Path(scratch)
                build_messages(prefix)
                generated = next(prefix.glob("**/sam2_ros/msg/__init__.py")).parents[1]
                module = Path(self.get_finalized_command("install").install_lib, "sam2_ros")
                for source in (generated / "msg", generated / "srv", *generated.glob("*.so")):
                    target = module / source.name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copytree(source, target) if source.is_dir() else shutil.copy2(source, target)
                for folder in ("lib/sam2_ros", "share", "include"):
                    shutil.copytree(prefix / folder, Path(self.install_dir, folder), dirs_exist_ok=True)
                for library in prefix.glob("lib/*.so"):
                    shutil.copy2(library, Path(self.install_dir, "lib"))
        super().run()


class Distribution(setuptools.Distribution):
    def has_ext_modules(self) -> bool:
        return with_messages

    def has_data(self) -> bool:
        return True  # an editable install asks under this name whether to run install_data


with_messages = has_ros() and os.environ.get("SAM2_ROS_MESSAGES") != "off"

setuptools.setup(
    version=ElementTree.parse(ROOT / "package.xml").getroot().findtext("version"),
    data_files=[("share/sam2_ros", ["package.xml"])],
    cmdclass={"install_data": InstallData},
    distclass=Distribution,
)
