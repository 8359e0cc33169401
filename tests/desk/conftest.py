"""Fixtures of the desk's tests: pages in a real browser, a desk over a project."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from browser import Visit, chromium
from playwright.sync_api import Browser, Error

FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium. It is ended after each file, because tests with event loops of their own may follow."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An annotation project with three objects of ann's, known on all frames."""
    from recording_desks import FRAMES  # the live desk's tests need none of what it imports
    from small_projects import make_project

    return make_project(tmp_path, frames=FRAMES, verified=False)


@pytest.fixture
def serve() -> Iterator[Callable[[Path], str]]:
    """Serves desks over annotation projects until the test ends: `serve(project)` returns the address."""
    with ExitStack() as desks:

        def start(project: Path) -> str:
            from recording_desks import served

            return desks.enter_context(served(project))

        yield start


@pytest.fixture
def desk(project: Path, serve: Callable[[Path], str]) -> str:
    """The address of a desk over that project."""
    return serve(project)


@pytest.fixture
def visit(
    browser: Browser, request: pytest.FixtureRequest, tmp_path: Path, serve: Callable[[Path], str]
) -> Iterator[Callable[..., Visit]]:
    """Opens pages: `visit(address, **options)`, as `Visit`. What goes wrong in them fails the test.

    They are left before the desks of `serve` stop: a page without its server complains. If the test fails, `tmp_path`
    has pictures of the pages.
    """
    visits: list[Visit] = []

    def open_page(address: str, **options: object) -> Visit:
        visits.append(Visit(browser, address, **options))
        return visits[-1]

    yield open_page
    if request.node.stash.get(FAILED, False):
        for number, page in enumerate(page for visited in visits for page in visited.context.pages):
            try:
                page.screenshot(path=tmp_path / f"page{number}.png", timeout=10_000)
            except Error as error:
                print(f"no picture of page {number}: {error}")
            else:
                print(f"what page {number} showed: {tmp_path / f'page{number}.png'}")
    wrong = [line for visited in visits for line in visited.close()]
    assert not wrong, "\n".join(["the page is not clean:", *wrong])
