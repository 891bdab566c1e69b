"""A real Chromium, the machine's own, and what went wrong on a page in it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--no-sandbox",  # it can have none as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sourceFile}`));
"""


@dataclass
class Faults:
    """What a page complained of; a refused request is none, if the test provokes it."""

    said: list[str] = field(default_factory=list)

    def take(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.said.append(message.text)

    def beside(self, *statuses: int) -> list[str]:
        """Return all but those about requests that got one of these statuses."""
        expected = [f"status of {status} " for status in statuses]
        return [text for text in self.said if not any(one in text for one in expected)]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Have a browser without a window; skip the test where there is none."""
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    expect.set_options(timeout=60_000)  # a machine may be busy
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def new_page(browser: Browser, width: int = 1280) -> Iterator[tuple[Page, Faults]]:
    """Have a page with nothing of another one, and what goes wrong on it."""
    context = browser.new_context(viewport={"width": width, "height": 900})
    try:
        page, faults = context.new_page(), Faults()
        page.set_default_timeout(30_000)
        page.add_init_script(_WATCH)
        page.on("pageerror", lambda error: faults.said.append(str(error)))
        page.on("console", faults.take)
        yield page, faults
    finally:
        context.close()
