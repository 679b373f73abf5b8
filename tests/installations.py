"""Installations of real processes as fixtures, for flow and browser tests (a pytest plugin).

``plant_stack`` stands on Postgres and Redis, one for the session; ``own_stack`` on SQLite and the
embedded broker, for one test alone. ``installation`` runs one wherever a test needs it.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.plant import postgres_server, redis_server
from tests.stack import Stack


@contextmanager
def installation(extra: dict[str, str]) -> Iterator[Stack]:
    """Run an installation in a folder of its own, which goes with it."""
    # Not pytest's own folder: its long path would move the broker's socket elsewhere.
    folder = Path(tempfile.mkdtemp(prefix="secondlook-stack-"))
    stack: Stack | None = None
    try:
        stack = Stack.create(folder, extra)
        stack.start_all()
        yield stack
    finally:
        if stack is not None:
            stack.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def plant_stack() -> Iterator[Stack]:
    """An installation on Debian's Postgres and Redis."""
    with ExitStack() as servers:
        extra = {
            "DATABASE_URL": servers.enter_context(postgres_server()),
            "REDIS_URL": servers.enter_context(redis_server()),
        }
        yield servers.enter_context(installation(extra))


@pytest.fixture
def own_stack() -> Iterator[Stack]:
    """An installation for one test alone, migrated, with nothing started: to break at will."""
    folder = Path(tempfile.mkdtemp(prefix="secondlook-stack-"))
    stack = Stack.create(folder, {})
    try:
        yield stack
    finally:
        stack.close()
        shutil.rmtree(folder, ignore_errors=True)
