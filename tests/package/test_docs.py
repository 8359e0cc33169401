"""What the documentation says to write works as it is written there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from sam2_ros.tracking import rle

ROOT = Path(__file__).resolve().parents[2]


def block(page: str, language: str) -> str:
    """The only piece of code in this language on a page."""
    (code,) = re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    return code


def masks() -> list[np.ndarray]:
    random = np.random.default_rng(3).random((7, 9)) < 0.4
    corner = np.zeros((7, 9), bool)
    corner[0, 0] = corner[-1, -1] = True
    return [random, corner, np.zeros((7, 9), bool), np.ones((7, 9), bool)]


def test_the_numpy_on_the_page_decodes_masks() -> None:
    page: dict[str, object] = {}
    exec(block("docs/masklets.md", "python"), page)
    for mask in masks():
        message = SimpleNamespace(counts=rle.encode(mask), height=7, width=9)
        np.testing.assert_array_equal(page["decode"](message), mask)


def test_the_cpp_on_the_page_decodes_masks(tmp_path: Path) -> None:
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
        done = subprocess.run([program], input=counts, capture_output=True, text=True, check=True)
        pixels = np.array(done.stdout.split(), int).reshape(7, 9)
        np.testing.assert_array_equal(pixels, mask * 255)


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))])
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    missing = [link for link in links if not (ROOT / page).parent.joinpath(link).exists()]
    assert not missing


def test_field_reports_name_tests_that_exist() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?", (ROOT / "docs/field-reports.md").read_text())
    assert len(named) > 90
    for file, function in named:
        text = (ROOT / file).read_text()
        assert not function or f"def {function}(" in text, f"{file}::{function}"
