"""The pictures of the README, taken from a demo that runs: ``python -m tests.browser.screenshots``.

Only looks, never answers: a demo can be photographed as often as one likes.
"""

import argparse
import io
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from PIL import Image
from playwright.sync_api import Browser, Page, expect

from config.demo import LOGINS
from config.processes import BASE_DIR
from tests.browser.chromium import chromium, sign_in

FOLDER = BASE_DIR / "docs" / "screenshots"
PRODUCT = re.compile("Flange ring")
VIEW = re.compile("face")
MAX_BYTES = 500_000
COLOURS = (256, 128, 64)  # tried in turn until a picture is small enough
PATIENCE_MS = 30_000
DEAF_MS = 400  # a part that has just come hears no key for a quarter of a second


@contextmanager
def _signed_in(browser: Browser, address: str, name: str, theme: str = "light") -> Iterator[Page]:
    """Sign one of the demo's people in, in a context that goes with the block."""
    password = {login: secret for login, secret, _ in LOGINS}[name]
    page = sign_in(browser, address, name, password, color_scheme=theme)
    page.set_default_timeout(PATIENCE_MS)
    try:
        yield page
    finally:
        page.goto("about:blank")  # an open station gives its parts back as it is left
        page.context.close()


def _station(page: Page, address: str) -> None:
    """Open the station on the product, with the first part in sight."""
    page.goto(f"{address}/queue/")
    page.get_by_role("group", name="Filters").get_by_role("link", name=PRODUCT).click()
    page.get_by_role("link", name="Review from the top").click()
    expect(page.locator("[data-station=state]")).to_contain_text("raw picture")
    expect(page.locator("[data-station=next]")).not_to_be_empty()
    _rest(page)
    page.wait_for_timeout(DEAF_MS)


def _open_heat(page: Page) -> None:
    """Latch the heat and go to the hottest place."""
    page.keyboard.press("l")
    expect(page.locator("[data-says=title]")).to_have_text("Why flagged")
    expect(page.locator("[data-station=legend]")).to_be_visible()
    page.keyboard.press("h")
    expect(page.locator("[data-side=close-ups]")).to_be_visible()
    _rest(page)


def _rest(page: Page) -> None:
    """Wait until pictures, fonts and figures stand."""
    page.wait_for_load_state("networkidle")
    page.wait_for_function("[...document.images].every((image) => image.complete)")
    page.wait_for_function(
        "!document.querySelector('[data-figure]') || document.documentElement.dataset.figures"
    )
    page.wait_for_timeout(DEAF_MS)  # the last frame


def _take(page: Page, name: str) -> None:
    """Write the window as a PNG, in fewer colours where it would be large."""
    data = page.screenshot()
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    for colours in COLOURS:  # by coverage: few pixels carry the colours of buttons and text
        if len(data) <= MAX_BYTES:
            break
        stream = io.BytesIO()
        picture.quantize(colours, Image.Quantize.MAXCOVERAGE).save(stream, "PNG", optimize=True)
        data = stream.getvalue()
    (FOLDER / f"{name}.png").write_bytes(data)
    print(f"{name}.png  {len(data) // 1000} kB")  # noqa: T201


def main(words: Sequence[str]) -> int:
    """Take every picture."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser.screenshots")
    parser.add_argument("--address", default="http://127.0.0.1:8000", help="of a running demo")
    address = parser.parse_args(words).address.rstrip("/")
    expect.set_options(timeout=PATIENCE_MS)
    FOLDER.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        with _signed_in(browser, address, "operator") as page:
            page.goto(f"{address}/queue/")
            _rest(page)
            _take(page, "queue")
            _station(page, address)
            _take(page, "station")
            _open_heat(page)
            _take(page, "station-heat")
        with _signed_in(browser, address, "operator", "dark") as page:
            _station(page, address)
            _open_heat(page)
            _take(page, "station-dark")
        with _signed_in(browser, address, "supervisor") as page:
            page.goto(f"{address}/shift/")
            _rest(page)
            _take(page, "shift")
        with _signed_in(browser, address, "engineer") as page:
            page.goto(f"{address}/models/")
            page.locator("main").get_by_role("link", name=PRODUCT).filter(has_text=VIEW).click()
            page.get_by_role("link", name=re.compile(r"^v\d+$")).first.click()
            expect(page.locator("h1")).to_contain_text("serves")
            _rest(page)
            _take(page, "model")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
