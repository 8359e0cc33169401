"""The documentation: its code, commands, links and names work."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from sam2_ros.commands.main import COMMANDS
from sam2_ros.tracking import rle

ROOT = Path(__file__).resolve().parents[2]


def block(page: str, language: str) -> str:
    """The only code block in this language on a page."""
    (code,) = re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    return code


def masks() -> list[np.ndarray]:
    random = np.random.default_rng(3).random((7, 9)) < 0.4
    corner = np.zeros((7, 9), bool)
    corner[0, 0] = corner[-1, -1] = True
    return [random, corner, np.zeros((7, 9), bool), np.ones((7, 9), bool)]


def test_documented_numpy_decodes_masks() -> None:
    page: dict[str, object] = {}
    exec(block("docs/masklets.md", "python"), page)
    for mask in masks():
        message = SimpleNamespace(counts=rle.encode(mask), height=7, width=9)
        np.testing.assert_array_equal(page["decode"](message), mask)


@pytest.mark.slow
def test_documented_cpp_decodes_masks(tmp_path: Path) -> None:
    source, program = tmp_path / "decode.cpp", tmp_path / "decode"
    rest = """
#include <iostream>
int main() {
  std::vector<std::uint32_t> counts;
  for (std::uint32_t n; std::cin >> n;) counts.push_back(n);
  for (int pixel : decode(counts, 7, 9)) std::cout << pixel << ' ';
}
"""
    source.write_text(block("docs/masklets.md", "cpp") + rest)
    subprocess.run(["g++", "-std=c++17", "-Wall", "-Werror", "-o", program, source], check=True)
    for mask in masks():
        counts = " ".join(map(str, rle.encode(mask)))
        completed = subprocess.run([program], input=counts, capture_output=True, text=True, check=True)
        pixels = np.array(completed.stdout.split(), int).reshape(7, 9)
        np.testing.assert_array_equal(pixels, mask * 255)


PAGES = ["README.md", *(str(page.relative_to(ROOT)) for page in sorted((ROOT / "docs").rglob("*.md")))]


def prose(page: str) -> str:
    """A page without its code blocks."""
    return re.sub(r"^ *```.*?^ *```", "", (ROOT / page).read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ +(.*)", prose(str(page.relative_to(ROOT))), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_relative_links_resolve(page: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)", prose(page))
    broken = []
    for path, anchor in links:
        target = (ROOT / page).parent.joinpath(path).resolve() if path else ROOT / page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(f"{path}#{anchor}" if anchor else path)
    assert not broken


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def is_command(name: str) -> bool:
    """Whether `python -m NAME` exists."""
    return is_module(name) and (not ROOT.joinpath(*name.split(".")).is_dir() or is_module(f"{name}.__main__"))


@pytest.mark.parametrize("page", PAGES)
def test_commands_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    makefile, cmake = (ROOT / "Makefile").read_text(), (ROOT / "CMakeLists.txt").read_text()
    targets, executables = (
        re.findall(r"^([a-z]+):", makefile, re.MULTILINE),
        re.findall(r"^install_executable\((\w+)", cmake, re.MULTILINE),
    )

    assert [name for name in re.findall(r"python -m (sam2_ros[\w.]*\w)", text) if not is_command(name)] == []
    assert [name for name in re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE) if name not in targets] == []
    assert [name for name in re.findall(r"ros2 run sam2_ros (\w+)", text) if name not in executables] == []
    assert [
        name for name in re.findall(r"(?:^|`|/)sam2_ros ([a-z][\w-]*)", text, re.MULTILINE) if name not in COMMANDS
    ] == []
    assert [path for path in re.findall(r"\b(?:benchmarks|tests)/[\w/.-]*\w", text) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_python_names_exist(page: str) -> None:
    missing = []
    for name in re.findall(r"\bsam2_ros(?:\.\w+)+", (ROOT / page).read_text()):
        parts = name.split(".")
        end = next(end for end in range(len(parts), 0, -1) if is_module(".".join(parts[:end])))
        path = ROOT.joinpath(*parts[:end])
        source = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text()
        if end < len(parts) and not re.search(rf"\b{parts[end]}\b", source):
            missing.append(name)
    assert not missing


def test_pages_named_in_sources_exist() -> None:
    sources = [ROOT / "Makefile", ROOT / "pyproject.toml"]
    sources += [
        path
        for folder in ("sam2_ros", "tests", "benchmarks", "launch", "config")
        for path in (ROOT / folder).rglob("*.*")
    ]
    named = {
        (page, source.name)
        for source in sources
        if source.suffix in ("", ".py", ".toml", ".yaml", ".cpp", ".h")
        for page in re.findall(r"\bdocs/[\w/-]+\.md", source.read_text())
    }
    assert named
    assert not [(page, source) for page, source in named if not (ROOT / page).is_file()]


@pytest.mark.parametrize("contents", ["docs/README.md", "docs/notebook/README.md"])
def test_tables_of_contents_list_every_page(contents: str) -> None:
    text, folder = (ROOT / contents).read_text(), (ROOT / contents).parent
    assert [page.name for page in folder.glob("*.md") if page.name != "README.md" and f"({page.name}" not in text] == []


@pytest.mark.parametrize(("page", "least"), [("docs/field-reports.md", 90), ("docs/what-users-ask-for.md", 40)])
def test_tests_that_prove_a_page_exist(page: str, least: int) -> None:
    assert len(proofs_on(page)) > least


@pytest.mark.parametrize("page", PAGES)
def test_tests_named_in_pages_exist(page: str) -> None:
    for file, function in proofs_on(page):
        text = (ROOT / file).read_text()
        assert not function or re.search(rf"^def {function}\(", text, re.MULTILINE), f"{file}::{function}"


def proofs_on(page: str) -> list[tuple[str, str]]:
    """The files of tests that a page names, and a function in each, or none."""
    return re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?", (ROOT / page).read_text())
