"""That a page with faults fails its tests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from browser import Visit, wait_for

pytestmark = pytest.mark.slow

CLEAN = "<!DOCTYPE html><title>trial</title><canvas id=canvas></canvas><script src=/main.js></script>"
POLICY = "default-src 'none'; script-src 'self'; img-src 'self' blob: data:"
SCRIPT = "canvas.getContext('2d').fillRect(0, 0, 9, 9); setTimeout(() => { window.ready = true }, 100)"


PAGES = {
    "/": CLEAN,
    "/main.js": SCRIPT,
    "/favicon.ico": "",
    "/throws": f"{CLEAN}<script src=/throws.js></script>",
    "/throws.js": "throw new Error('a fault')",
    "/says": f"{CLEAN}<script src=/says.js></script>",
    "/says.js": "console.error('a fault')",
    "/inline": f"{CLEAN}<script>window.ready = false</script>",
    "/style": f"{CLEAN}<p style='color: red'>",
    "/missing": f"{CLEAN}<img src=/nothing.png>",
    "/elsewhere": f"{CLEAN}<img src=http://127.0.0.1:9/picture.png>",
}
"""What the site serves, by path."""


class Site(BaseHTTPRequestHandler):
    """Serves the pages of this file."""

    def do_GET(self) -> None:
        body = PAGES.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Type", "text/javascript" if self.path.endswith(".js") else "text/html")
        self.send_header("Content-Security-Policy", POLICY)
        self.end_headers()
        self.wfile.write((body or "").encode())

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_clean_page_is_clean_and_its_canvas_can_be_read(visit: Callable[..., Visit], site: str) -> None:
    page = visit(site).page
    wait_for(page, "window.ready")
    pixels = page.evaluate("[...canvas.getContext('2d').getImageData(8, 8, 2, 1).data]")
    assert pixels == [0, 0, 0, 255, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("/throws", "exception: a fault"),
        ("/says", "console: a fault"),
        ("/inline", "Content Security Policy"),
        ("/style", "Content Security Policy"),
        ("/missing", "404"),
        ("/elsewhere", "another host"),
    ],
)
def test_faults_are_found(visit: Callable[..., Visit], site: str, path: str, complaint: str) -> None:
    visited = visit(site + path)
    visited.page.wait_for_load_state("networkidle")
    assert any(complaint in line for line in visited.complaints), visited.complaints
    assert any(complaint in line for line in visited.close())
    visited.expect(".*")
