"""What browsers make of the token and its cookie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from browser import Visit
from desk_parts import EchoBackend, write_page

from sam2_ros.desk.page_files import PageFiles
from sam2_ros.desk.server import Server

TOKEN = "correct-horse-battery"
ICON = '<link rel="icon" href="data:,">'


@pytest.mark.slow
def test_link_with_the_token_opens_the_page(visit: Callable[..., Visit], tmp_path: Path) -> None:
    """Also one in a page of another site, after which browsers send no cookie that is SameSite=Strict."""
    desk = Server(EchoBackend(), host="0.0.0.0", port=0, token=TOKEN, page=PageFiles(write_page(tmp_path)))
    folder = tmp_path / "mail"
    folder.mkdir()
    link = f'<a href="http://127.0.0.1:{desk.port}/?token={TOKEN}">the desk</a>'
    (folder / "index.html").write_text(f"<!doctype html>{ICON}{link}")
    mail = Server(EchoBackend(), port=0, page=PageFiles(folder))
    desk.start()
    mail.start()
    try:
        visited = visit(mail.url.replace("127.0.0.1", "localhost"))
        visited.expect(f"another host: http://127.0.0.1:{desk.port}/")
        page = visited.page
        page.click("a")
        page.wait_for_url(f"http://127.0.0.1:{desk.port}/")
        assert page.title() == "desk"
        (cookie,) = page.context.cookies()
        assert cookie["httpOnly"] and cookie["sameSite"] == "Strict"
        page.go_back()
        page.wait_for_url(mail.url.replace("127.0.0.1", "localhost"))
    finally:
        mail.stop()
        desk.stop()
