"""Import rules: which room of the package may import which, no circles among files, and tests that mirror the rooms.

A room is a folder of sam2_ros/, or a file beside them. docs/architecture.md draws the same rules.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "sam2_ros"

GENERATED = ("msg", "srv")
EVERYBODYS = ("command_line", "lazy", "requirements", "version")
NETWORK = ("acceleration", "checkpoints", "model", "system")
LIGHT = (
    "tracking.boxes",
    "tracking.mask_overlap",
    "tracking.masklet",
    "tracking.object_colours",
    "tracking.prompt",
    "tracking.rle",
)
"""Files of tracking that need NumPy alone."""

ROOMS: dict[str, tuple[str, ...]] = {
    "": ("checkpoints", "lazy", "tracking"),  # `import sam2_ros`
    "command_line": (),
    "lazy": (),
    "requirements": (),
    "version": (),
    "system": EVERYBODYS,
    "model": ("lazy",),
    "acceleration": (
        *EVERYBODYS,
        "acceleration.cpu",
        "acceleration.cpu.kernels.library",  # which it names
        "acceleration.cuda",
        "acceleration.onnx",
        "model",
        "system",
    ),
    "acceleration.cpu": (*EVERYBODYS, "acceleration", "acceleration.cpu.kernels", "model", "system"),
    "acceleration.cpu.kernels": (*EVERYBODYS, "model", "system"),
    "acceleration.cuda": (*EVERYBODYS, "acceleration", "acceleration.cuda.kernels", "model", "system"),
    "acceleration.cuda.kernels": (*EVERYBODYS, "acceleration.cuda.tf32", "model", "system"),
    "acceleration.onnx": (*EVERYBODYS, "acceleration", "model", "system"),
    "checkpoints": (*EVERYBODYS, "acceleration", "acceleration.onnx", "model", "system"),
    "tracking": (*EVERYBODYS, *NETWORK, "acceleration.cuda.recording"),  # of resizing and masks
    "detection": (*EVERYBODYS, *LIGHT),
    "data": (*EVERYBODYS, *LIGHT),
    "geometry": (*EVERYBODYS, *LIGHT),
    "scenes": (*EVERYBODYS, *LIGHT, "data", "scenes.simulation"),
    "scenes.simulation": (*EVERYBODYS, *LIGHT, "data", "scenes"),
    "recordings": (*EVERYBODYS, *NETWORK, "data", "tracking"),
    "evaluation": (*EVERYBODYS, *NETWORK, "data", "recordings", "scenes", "tracking"),
    "training": (*EVERYBODYS, *NETWORK, "data", "evaluation", "scenes", "scenes.simulation", "tracking"),
    "deployment": (*EVERYBODYS, *NETWORK, "acceleration.onnx", "data", "scenes", "tracking"),
    "recordings.outputs": (*EVERYBODYS, "data", "recordings", "tracking"),
    "annotation": (
        *EVERYBODYS,
        *NETWORK,
        "data",
        "evaluation",
        "recordings",
        "recordings.outputs",
        "tracking",
        "training",
    ),
    "fleet": (*EVERYBODYS, *NETWORK, "data", "evaluation", "recordings", "recordings.outputs", "tracking"),
    "commands": (
        *EVERYBODYS,
        *NETWORK,
        "commands.annotation",
        "data",
        "desk",
        "desk.recorded",
        "fleet",
        "recordings",
        "recordings.outputs",
        "tracking",
    ),  # it starts other rooms
    "commands.annotation": (
        *EVERYBODYS,
        *NETWORK,
        "annotation",
        "commands",
        "data",
        "recordings",
        "recordings.outputs",
        "tracking",
    ),
    "desk": (*EVERYBODYS, *LIGHT, "data"),
    "desk.recorded": (
        *EVERYBODYS,
        *NETWORK,
        "annotation",
        "data",
        "desk",
        "recordings",
        "recordings.outputs",
        "tracking",
    ),
    "__main__": ("commands",),  # `python -m sam2_ros`
    "ros": (*EVERYBODYS, *NETWORK, "data", "detection", "geometry", "ros.depth", "ros.outputs", "tracking", *GENERATED),
    "ros.depth": (*EVERYBODYS, *NETWORK, "data", "geometry", "ros", "tracking", *GENERATED),
    "ros.outputs": (*EVERYBODYS, *NETWORK, "data", "geometry", "ros", "ros.depth", "tracking", *GENERATED),
    "ros.demo": (*EVERYBODYS, *NETWORK, "data", "evaluation", "ros", "scenes", "tracking", *GENERATED),
    "desk.live": (*EVERYBODYS, *LIGHT, "data", "desk", "ros", "ros.demo", "system", *GENERATED),
}
"""The rooms, lowest first, and what each may import of the package beside itself: rooms, or single files of them."""

_ROS = ("desk.live", "ros", "ros.demo", "ros.depth", "ros.outputs")
_DESK = ("desk", "desk.live", "desk.recorded")
_SYSTEMS = (
    "acceleration.cpu",
    "acceleration.cpu.kernels",
    "data",
    "desk.recorded",
    "scenes.simulation",
    "system",
    *_ROS,
)
OWNERS: dict[str, Collection[str]] = {
    **dict.fromkeys(
        ("builtin_interfaces", "diagnostic_msgs", "geometry_msgs", "lifecycle_msgs", "rcl_interfaces"), _ROS
    ),
    **dict.fromkeys(("cv_bridge", "sensor_msgs_py", "tf2_msgs"), _ROS),
    **dict.fromkeys(("rclpy", "rosidl_parser", "sensor_msgs", "std_msgs", "std_srvs", "vision_msgs"), _ROS),
    **dict.fromkeys(("onnx", "onnxruntime", "onnxscript"), ("acceleration.onnx",)),
    **dict.fromkeys(("ctypes", "subprocess"), _SYSTEMS),
    **dict.fromkeys(("importlib",), set(ROOMS) - {"model"}),  # its imports are not visible here
    "aiohttp": _DESK,
    "mujoco": ("scenes.simulation",),
    "ray": ("fleet",),
    "triton": ("acceleration.cuda", "acceleration.cuda.kernels"),
}
"""Packages that only these rooms may import."""

WITHOUT_COUNTERPART = {
    "desk/test_browser.py",  # the fixtures of tests in a browser
    "model/test_parity_image.py",  # the whole network, and another implementation of it
    "tracking/test_parity_stream.py",
}
"""Tests of no single file. tests/package/ tests the package as a whole, and the folders beside sam2_ros/."""


# ---------------------------------------------------------------------------------------------------- imports


class Files:
    """The Python files of a package, by their names within it ("" is its `__init__.py`), and what they import."""

    def __init__(self, folder: Path) -> None:
        self.trees: dict[str, ast.Module] = {}
        self.packages: set[str] = set()
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            if parts[-1] == "__init__":
                parts = parts[:-1]
                self.packages.add(".".join(parts))
            self.trees[".".join(parts)] = ast.parse(path.read_text(), str(path))

    def imported(self, file: str) -> Iterator[tuple[str, bool]]:
        """All modules that a file imports, wherever in it: their names, and whether they are of the package.

        Imports for type checkers count as well: a file that names another room's types depends on it. Alone the
        `__init__.py` of a package with lazy names does not import what it gives to type checkers; the files that use
        such a name are taken to import the file that defines it.
        """
        for node, for_types in _imports(self.trees[file]):
            if for_types and file in self.packages:
                continue
            for module, name in self._named(file, node):
                if module == PACKAGE or module.startswith(f"{PACKAGE}."):
                    yield self._definition(module[len(PACKAGE) + 1 :], name), True
                else:
                    yield module, False

    def graph(self) -> dict[str, set[str]]:
        """The files that each file imports. The packages around a file, which Python imports first, don't count."""
        return {
            file: {name for name, ours in self.imported(file) if ours and name in self.trees} for file in self.trees
        }

    def _named(self, file: str, node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
        """The modules in a statement, and the name that is taken from each, if any."""
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
            return
        module = node.module or ""
        if node.level:
            package = [PACKAGE, *file.split(".")] if file else [PACKAGE]
            up = node.level - (file in self.packages)
            module = ".".join([*package[: len(package) - up], *filter(None, [module])])
        yield from ((module, alias.name) for alias in node.names)

    def _definition(self, module: str, name: str) -> str:
        """The file behind a name: a file itself, or the one from which a package's `__init__.py` takes the name."""
        inside = ".".join(filter(None, [module, name]))
        if inside in self.trees or inside in GENERATED or module not in self.packages or not name:
            return inside if inside in self.trees or inside in GENERATED else module
        for node, _ in _imports(self.trees[module]):
            for source, taken in self._named(module, node):
                if taken == name and source.startswith(f"{PACKAGE}."):
                    return self._definition(source[len(PACKAGE) + 1 :], name)
        return module


def _imports(tree: ast.AST, for_types: bool = False) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """The import statements below a node, and whether they stand under `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, for_types
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for child in node.body:
                yield from _imports(ast.Module([child], []), True)
            for child in node.orelse:
                yield from _imports(ast.Module([child], []), for_types)
        else:
            yield from _imports(node, for_types)


# ------------------------------------------------------------------------------------------------------- violations


def unlisted(files: Files, rooms: Collection[str]) -> list[str]:
    """Folders, and files beside them, that are not listed as rooms."""
    present = {_room(file, files) for file in files.trees}
    return sorted(present - set(rooms))


def forbidden(files: Files, rooms: Mapping[str, Collection[str]], owners: Mapping[str, Collection[str]]) -> list[str]:
    """Forbidden imports."""
    wrong = []
    for file in files.trees:
        room = _room(file, files)
        for name, ours in files.imported(file):
            if ours:
                theirs = _room(name, files)
                allowed = theirs == room or {theirs, name} & set(rooms.get(room, ()))
            else:
                allowed = room in owners.get(name.split(".")[0], (room,))
            if not allowed:
                wrong.append(f"{room or PACKAGE} may not import {name} ({file or '__init__'})")
    return sorted(set(wrong))


def circles(graph: Mapping[str, Collection[str]]) -> list[str]:
    """The shortest circle of imports through each file that is part of one."""
    rings = {}
    for start in graph:
        paths, visited = [[start]], set()
        for path in paths:
            for following in sorted(graph[path[-1]] - visited):
                visited.add(following)
                paths.append([*path, following])
        ring = next((path for path in paths[1:] if path[-1] == start), None)
        if ring:
            rings.setdefault(frozenset(ring), " -> ".join(ring))
    return sorted(rings.values())


def without_counterpart(tests: Path, package: Path, exceptions: Collection[str]) -> list[str]:
    """Test files whose name begins with no file or folder of their room, and superfluous exceptions.

    The tests of `ros/node.py` are `ros/test_node.py` and, of an aspect, `ros/test_node_weights.py`; those of a page's
    `stage.js` are `test_stage.py`.
    """
    unmatched = []
    for path in sorted(tests.rglob("test_*.py")):
        room = package / path.parent.relative_to(tests)
        words = path.stem.removeprefix("test_").split("_")
        names = ["_".join(words[:count]) for count in range(1, len(words) + 1)] + [f"__{words[0]}__"]
        files = [room / f"{name}{kind}" for name in names for kind in (".py", ".js")]
        if not any(file.is_file() for file in files) and not any(any((room / name).glob("*.py")) for name in names):
            unmatched.append(path.relative_to(tests).as_posix())
    return sorted(set(unmatched) ^ set(exceptions))


def _room(name: str, files: Files) -> str:
    """The folder of a file; a file (or generated package) at the top level is a room of its own."""
    return name if name in files.packages or "." not in name else name.rsplit(".", 1)[0]


# ------------------------------------------------------------------------------------------------------------ this tree


@pytest.fixture(scope="module")
def files() -> Files:
    return Files(ROOT / PACKAGE)


def report(violations: Collection[str]) -> str:
    return "\n".join(["", *violations])


def test_every_folder_is_listed(files: Files) -> None:
    violations = unlisted(files, ROOMS)
    assert not violations, report(violations)


def test_rooms_import_only_allowed_rooms(files: Files) -> None:
    violations = forbidden(files, ROOMS, OWNERS)
    assert not violations, report(violations)


def test_no_files_import_each_other_in_circles(files: Files) -> None:
    violations = circles(files.graph())
    assert not violations, report(violations)


def test_tests_mirror_the_rooms() -> None:
    of_the_whole = {f"package/{path.name}" for path in (ROOT / "tests/package").glob("test_*.py")}
    beside = {str(path.relative_to(ROOT / "tests")) for path in (ROOT / "tests/benchmarks").rglob("test_*.py")}
    violations = without_counterpart(ROOT / "tests", ROOT / PACKAGE, WITHOUT_COUNTERPART | of_the_whole | beside)
    assert not violations, report(violations)


def test_import_rules_have_no_circle() -> None:
    """Except between a room and the folders within it."""
    above = {
        room: {name.split(".")[0] for name in allowed} - {room} for room, allowed in ROOMS.items() if "." not in room
    }
    assert circles({room: allowed - {*GENERATED} for room, allowed in above.items()}) == []


# ---------------------------------------------------------------------------------------------------- that it sees it


def tree(folder: Path, sources: Mapping[str, str]) -> Files:
    """A package with these files."""
    for name, source in sources.items():
        path = folder / name
        for around in (folder, path.parent):
            around.mkdir(parents=True, exist_ok=True)
            around.joinpath("__init__.py").touch()
        path.write_text(source)
    return Files(folder)


SMALL = {"": (), "low": (), "low.inner": (), "high": ("low.light", "low.inner")}


@pytest.mark.parametrize(
    "statement",
    [
        "import sam2_ros.high.one",
        "from sam2_ros.high.one import name",
        "from sam2_ros.high import one",
        "from sam2_ros import high",
        "from ..high import one",
        "def function():\n    from sam2_ros.high.one import name",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from sam2_ros.high.one import name",
        "import typing\nif typing.TYPE_CHECKING:\n    pass\nelse:\n    from sam2_ros.high.one import name",
        "try:\n    import sam2_ros.high.one\nexcept ImportError:\n    pass",
    ],
)
def test_upward_import_is_forbidden(tmp_path: Path, statement: str) -> None:
    files = tree(tmp_path, {"high/one.py": "name = 1", "low/two.py": statement})
    assert [line.split(" may")[0] for line in forbidden(files, SMALL, {})] == ["low"]


def test_single_file_of_a_room_may_be_allowed(tmp_path: Path) -> None:
    imports = "from sam2_ros.low import light, heavy\nfrom sam2_ros.low.inner.thing import name\nfrom . import two"
    files = tree(
        tmp_path,
        {
            "low/light.py": "",
            "low/heavy.py": "",
            "low/inner/thing.py": "name = 1",
            "high/one.py": imports,
            "high/two.py": "",
        },
    )
    assert forbidden(files, SMALL, {}) == ["high may not import low.heavy (high.one)"]


def test_lazy_name_resolves_to_its_defining_file(tmp_path: Path) -> None:
    files = tree(
        tmp_path,
        {
            "low/light.py": "Name = 1",
            "low/heavy.py": "Other = 1",
            "high/one.py": "from sam2_ros.low import Name, Other",
        },
    )
    lazy = "if TYPE_CHECKING:\n    from sam2_ros.low.light import Name\n    from sam2_ros.low.heavy import Other"
    tmp_path.joinpath("low/__init__.py").write_text(lazy)
    files = Files(tmp_path)
    assert forbidden(files, SMALL, {}) == ["high may not import low.heavy (high.one)"]
    assert files.graph()["high.one"] == {"low.light", "low.heavy"}
    assert files.graph()["low"] == set()


@pytest.mark.parametrize("source", ["import fast", "from fast.kernels import jit", "def function():\n    import fast"])
def test_package_owned_by_another_room_is_forbidden(tmp_path: Path, source: str) -> None:
    files = tree(tmp_path, {"high/one.py": source, "low/two.py": source})
    (violation,) = forbidden(files, SMALL, {"fast": ("high",)})
    assert violation.startswith("low may not import fast")


def test_unlisted_folder_is_reported(tmp_path: Path) -> None:
    files = tree(tmp_path, {"low/one.py": "", "low/inner/new/two.py": "", "high/three.py": "", "helpers.py": ""})
    assert unlisted(files, SMALL) == ["helpers", "low.inner.new"]


def test_import_circles_are_reported(tmp_path: Path) -> None:
    sources = {
        "low/a.py": "from sam2_ros.low.b import name",
        "low/b.py": "def name():\n    from sam2_ros.low import c",
        "low/c.py": "from .a import name",
        "low/d.py": "import sam2_ros.low.a",
    }
    assert circles(tree(tmp_path, sources).graph()) == ["low.a -> low.b -> low.c -> low.a"]


def test_unmatched_test_files_are_reported(tmp_path: Path) -> None:
    tree(
        tmp_path / "package",
        {"low/one.py": "", "low/two_words.py": "", "low/__main__.py": "", "low/inner/three.py": ""},
    )
    tests = [
        "one",
        "one_aspect",
        "two",
        "two_words_aspect",
        "main",
        "inner",
        "ones",
        "inner/test_three",
        "inner/test_one",
    ]
    for name in tests:
        path = tmp_path / "tests/low" / (f"{name}.py" if "/" in name else f"test_{name}.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    violations = without_counterpart(tmp_path / "tests", tmp_path / "package", {"low/test_two.py", "low/test_gone.py"})
    assert violations == ["low/inner/test_one.py", "low/test_gone.py", "low/test_ones.py"]
