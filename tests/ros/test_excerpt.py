"""Excerpts of foreign text: short, printable, one line."""

from __future__ import annotations

import pytest

from sam2_ros.ros.excerpt import MAX_CHARACTERS, excerpt


def test_long_text_keeps_both_ends() -> None:
    shown = excerpt("not known: '" + "x" * 1_000_000 + "'; use mono8")
    assert len(shown) <= MAX_CHARACTERS and shown.startswith("not known: 'xx") and shown.endswith("xx'; use mono8")
    assert "1000024 characters" in shown


@pytest.mark.parametrize("text", ["two\nlines", "\x1b[31mred", "null\x00", "half \ud800 of a pair", "\u202egnorw"])
def test_control_characters_are_escaped(text: str) -> None:
    shown = excerpt(text)
    assert shown.isprintable() and shown.encode()


def test_plain_text_is_unchanged() -> None:
    assert excerpt("Größe 杯") == "Größe 杯"


def test_escapes_do_not_make_a_cut_line_long() -> None:
    assert len(excerpt("\U000e0001" * 1_000_000)) <= 2 * MAX_CHARACTERS
