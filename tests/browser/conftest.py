"""One browser a session."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser import chromium


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    if not chromium.is_installed():
        pytest.skip("needs chromium (Debian: apt-get install chromium)")
    with chromium.chromium() as browser:
        yield browser
