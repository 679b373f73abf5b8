"""Debian's Chromium under Playwright: one browser, one context per person."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

PROGRAM = shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",  # tests run as root in a container
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def is_installed() -> bool:
    """Return whether there is a Chromium to drive."""
    return Path(PROGRAM).exists()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def sign_in(browser: Browser, base_url: str, name: str, password: str, **context: object) -> Page:
    """Return a page of a fresh context in which the person has signed in."""
    options = {"viewport": {"width": 1440, "height": 900}} | context
    page = browser.new_context(**options).new_page()  # type: ignore[arg-type]  # a typed dict
    page.goto(f"{base_url}/accounts/login/")
    page.fill("input[name=username]", name)
    page.fill("input[name=password]", password)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/accounts/login/" not in url)
    return page
