"""Pointing at the picture of a recording, in a browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from browser import Visit, wait_for
from playwright.sync_api import Route
from small_projects import make_project

from sam2_ros.annotation.project import Project

pytestmark = pytest.mark.slow


def test_what_is_pointed_at_is_the_picture_on_the_screen(
    tmp_path: Path, serve: Callable[[Path], str], visit: Callable[..., Visit]
) -> None:
    """A click while the picture of another frame is on its way belongs to the one that is still there."""
    folder = make_project(tmp_path, frames=30, annotated=[0], verified=False)
    page = visit(serve(folder)).page
    page.get_by_label("Your name").fill("ann")
    page.keyboard.press("Enter")
    wait_for(page, "!document.querySelector('dialog[open]') && desk.stage.frame && desk.project.objects.size === 3")
    held: list[Route] = []
    page.route("**/picture/29*", lambda route: held.append(route))
    page.evaluate("void fetch('/picture/29?is=held')")
    while not held:  # only then is it certain that the next one is held, too
        page.wait_for_timeout(10)
    held.pop().fulfill(status=204)
    page.keyboard.press("End")
    wait_for(page, "desk.player.frame === 29")
    assert page.evaluate("desk.shown.frame") == 0
    place = page.evaluate("desk.stage.toScreen(60, 44)")
    page.keyboard.down("Alt")  # a new object, whatever is there
    page.mouse.click(place["x"], place["y"])
    page.keyboard.up("Alt")
    wait_for(page, "desk.project.objects.size === 4")
    assert page.evaluate("desk.player.frame") == 0
    with page.expect_response("**/picture/29*"):
        held[0].continue_()
    with Project(folder) as project:
        assert [mask.frame for mask in project.masks_of(4)] == [0]
