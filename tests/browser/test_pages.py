"""Every page of the navigation opens without a script error, empty and for each role."""

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Response

from config.processes import WEB
from tests.browser.chromium import sign_in
from tests.scene import PASSWORD, make_scene
from tests.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.flow]

# What Chromium says of a password field it would like to fill in; not about our script.
HARMLESS = "autocomplete"


def _listen(page: Page) -> list[str]:
    """Return a list that grows with everything the page complains about."""
    said: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        if HARMLESS not in message.text:
            said.append(message.text)

    def on_response(answer: Response) -> None:
        if answer.status >= 400:
            said.append(answer.url)

    page.on("console", on_console)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("response", on_response)
    return said


def test_every_page_opens_without_a_script_error(own_stack: Stack, browser: Browser) -> None:
    own_stack.start(WEB)
    make_scene(own_stack)
    opened: dict[str, list[str]] = {}
    for name in ("operator", "supervisor", "engineer", "admin"):
        page = sign_in(browser, own_stack.base_url, name, PASSWORD)
        said = _listen(page)
        links = page.locator("nav a, .menu-list a").evaluate_all("all => all.map(a => a.href)")
        opened[name] = sorted({link.removeprefix(own_stack.base_url) for link in links})
        for link in opened[name]:
            page.goto(own_stack.base_url + link, wait_until="load")
            page.wait_for_timeout(300)  # modules run after load
            assert page.locator("h1, h2").count(), f"{name} sees nothing at {link}"
        assert said == [], name
        page.context.close()
    assert opened["operator"] == ["/queue/", "/review/"]
    assert "/api/v1/docs/" in opened["engineer"]
    assert {"/people/", "/devices/"} <= set(opened["admin"])
