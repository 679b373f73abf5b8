"""What every test may lean on: a data folder of its own, one of each person, API clients."""

import os
import tempfile
from pathlib import Path

# Before Django reads its settings: tests never touch an installation's data.
_ROOT = Path(tempfile.mkdtemp(prefix="secondlook-tests-"))
os.environ["SECONDLOOK_DATA"] = str(_ROOT)
os.environ.setdefault("SECONDLOOK_SECRET_KEY", "for-tests-only-" + "x" * 40)
os.environ.setdefault("SECONDLOOK_NO_BROKER", "1")
# Here and not in pyproject.toml: pytest-django would read the settings before this file, and
# all sessions would share one test database in the checkout.
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"

import shutil  # noqa: E402
from collections.abc import Iterator  # noqa: E402

import django  # noqa: E402
import hypothesis  # noqa: E402
import pytest  # noqa: E402

django.setup()

from django.test import Client  # noqa: E402

from inspection.models import Person, Role  # noqa: E402
from tests import factories  # noqa: E402

# No test asserts a time, nor does hypothesis: the machine may be busy.
hypothesis.settings.register_profile("secondlook", deadline=None)
hypothesis.settings.load_profile("secondlook")

pytest_plugins = ["tests.skips", "tests.installations"]


@pytest.fixture(scope="session", autouse=True)
def _data_folder() -> Iterator[None]:
    yield
    shutil.rmtree(_ROOT, ignore_errors=True)


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, settings: object) -> None:
    """Give every test blobs, cache and inbox of its own."""
    for name in ("BLOB_DIR", "CACHE_DIR", "INBOX_DIR"):
        setattr(settings, name, tmp_path / name.lower())
    # The real hash is slow on purpose; every person of a test would pay for it.
    hashers = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.PASSWORD_HASHERS = hashers  # type: ignore[attr-defined]


@pytest.fixture
def operator(db: None) -> Person:
    """Somebody who decides, on every line."""
    return factories.make_person("operator", Role.OPERATOR)


@pytest.fixture
def supervisor(db: None) -> Person:
    """Somebody who watches, on every line."""
    return factories.make_person("supervisor", Role.SUPERVISOR)


@pytest.fixture
def engineer(db: None) -> Person:
    """Somebody who trains and promotes, on every line."""
    return factories.make_person("engineer", Role.ENGINEER)


@pytest.fixture
def outsider(db: None) -> Person:
    """Somebody who can sign in and has no role anywhere."""
    return factories.make_person("outsider")


def client_of(person: Person) -> Client:
    """Return a browser in which the person is signed in."""
    client = Client()
    client.force_login(person, backend="inspection.backends.PersonBackend")
    return client
