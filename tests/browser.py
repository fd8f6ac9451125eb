"""A page in headless Chromium without a network, for tests of the pages that Tinct writes."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import ConsoleMessage, Page, Request, sync_playwright

CHROMIUM = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")


@contextmanager
def open_page(path: Path) -> Iterator[Page]:
    """Yield a page that has drawn; a warning or a request fails the test when it ends."""
    complaints: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    def see(request: Request) -> None:
        if not request.url.startswith(("file:", "data:")):
            complaints.append(request.url)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True).new_page()
        page.on("console", hear)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", see)
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready=yes]")
        yield page
        browser.close()
    assert complaints == []


def list_cut(page: Page) -> list[str]:
    """Return the cells and captions of a page that reach beyond its sides, or that their box cuts.

    A phone shows no more than the width of its screen without being moved sideways.
    """
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll("td, th, dd, p, li, figcaption, svg text")]
            .filter((one) => one.getClientRects().length && !one.closest("[hidden], thead"))
            .filter((one) => {
              const box = one.getBoundingClientRect();
              return box.left < -0.5 || box.right > document.documentElement.clientWidth + 0.5;
            })
            .map((one) => one.textContent)"""
    )
    return found
