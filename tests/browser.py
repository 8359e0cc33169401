"""A real headless Chromium for tests of pages, and what it finds wrong with them."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, sync_playwright

TIMEOUT = 60_000  # ms; generous, because the machine may be busy: only failures take so long
NAMES = ("chromium", "chromium-browser", "google-chrome")
"""What distributions call it."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """The Chromium that is found on the path. While it runs, this thread can run no event loop of its own."""
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        pytest.skip("no Chromium is installed: on Debian, apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable,
            chromium_sandbox=os.geteuid() != 0,  # root has none
            args=["--disable-dev-shm-usage"],  # containers have little of it
        )
        yield browser
        browser.close()


def wait_for(page: Page, expression: str, argument: object = None, timeout: float = TIMEOUT) -> object:
    """Waits until a JavaScript expression or function is true in a page, and returns its value.

    Playwright's `wait_for_function` makes code of a string in the page, which a content security policy forbids.
    """
    deadline = time.monotonic() + timeout / 1000
    while not (value := page.evaluate(expression, argument)):
        assert time.monotonic() < deadline, f"waited in vain for {expression}"
        page.wait_for_timeout(30)
    return value


class Visit:
    """One page as a person visits it, in a browser profile of its own.

    What goes wrong in the page is collected: errors in the console (violations of the content security policy among
    them), exceptions, failed requests, and requests to other hosts.
    """

    def __init__(self, browser: Browser, address: str, **options: object) -> None:
        """Args:
        address: where to go.
        options: of Playwright's browser context, such as `viewport`, `has_touch` and `color_scheme`.
        """
        self.complaints: list[str] = []
        self._expected: list[str] = []
        self._host = urlsplit(address).netloc
        self.context: BrowserContext = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        self.context.set_default_timeout(TIMEOUT)
        self.page: Page = self.open(address)

    def open(self, address: str) -> Page:
        """Another tab."""
        page = self.context.new_page()
        page.on("console", lambda line: line.type == "error" and self._complain(f"console: {line.text}"))
        page.on("pageerror", lambda error: self._complain(f"exception: {error}"))
        page.on("requestfailed", lambda failed: self._complain(f"failed: {failed.url} ({failed.failure})"))
        page.on("request", lambda request: self._check_host(request.url))
        page.on("dialog", self._on_dialog)
        page.on("websocket", lambda socket: self._check_host(socket.url))
        page.goto(address)
        return page

    def expect(self, pattern: str) -> None:
        """Complaints that match this regular expression are no failure, such as those of a server that was killed."""
        self._expected.append(pattern)

    def close(self) -> list[str]:
        """Leave. Returns what went wrong."""
        self.context.close()
        return [line for line in self.complaints if not any(re.search(pattern, line) for pattern in self._expected)]

    def _check_host(self, address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("blob", "data") and parts.netloc != self._host:
            self._complain(f"another host: {address}")

    def _on_dialog(self, dialog: Dialog) -> None:
        self._complain(f"a dialog that no page of ours opens: {dialog.message}")
        dialog.dismiss()

    def _complain(self, line: str) -> None:
        self.complaints.append(line)
