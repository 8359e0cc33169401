"""Excerpts of foreign text: short, printable, one line."""

from __future__ import annotations

import pytest

from sam2_ros.ros.excerpt import MAX_CHARACTERS, excerpt


def test_long_text_keeps_both_ends() -> None:
    result = excerpt("not known: '" + "x" * 1_000_000 + "'; use mono8")
    assert len(result) <= MAX_CHARACTERS and result.startswith("not known: 'xx") and result.endswith("xx'; use mono8")
    assert "1000024 characters" in result


@pytest.mark.parametrize("text", ["two\nlines", "\x1b[31mred", "null\x00", "half \ud800 of a pair", "\u202egnorw"])
def test_control_characters_are_escaped(text: str) -> None:
    result = excerpt(text)
    assert result.isprintable() and result.encode()


def test_plain_text_is_unchanged() -> None:
    assert excerpt("Größe 杯") == "Größe 杯"


def test_escaped_excerpt_stays_short() -> None:
    assert len(excerpt("\U000e0001" * 1_000_000)) <= 2 * MAX_CHARACTERS
