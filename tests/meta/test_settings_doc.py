"""Every setting that the code reads stands in docs/settings.md, with its default, and no other."""

import ast
import re
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import env
from config.processes import BASE_DIR

READERS = {"text", "flag", "number", "words"}
DOC = (BASE_DIR / "docs" / "settings.md").read_text()
# Read with os.environ where the settings cannot be asked yet; documented all the same.
# The folders of the core's command line come from the user's desktop, not from our settings.
READ_ELSEWHERE = {
    "XDG_RUNTIME_DIR",
    "XDG_CACHE_HOME",
    "XDG_STATE_HOME",
    "PATH",
    "DJANGO_SETTINGS_MODULE",
    "OMP_NUM_THREADS",
}


def _product_files() -> list[Path]:
    apps = ("config", "detection", "inspection", "review", "training")
    return [path for app in apps for path in (BASE_DIR / app).rglob("*.py")]


def _names_read(source: str) -> set[str]:
    """Return the names given to ``env.text("NAME")`` and its kin, and to ``text("NAME")``."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        function, first = node.func, node.args[0]
        called = (
            function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        )
        owner = getattr(getattr(function, "value", None), "id", "env")
        if called in READERS and owner == "env" and isinstance(first, ast.Constant):
            names.add(str(first.value))
    return {name for name in names if re.fullmatch(r"[A-Z][A-Z0-9_]+", name)}


def _documented() -> dict[str, tuple[str, str]]:
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \| (.+?) \| (.+?) \|$", DOC, flags=re.MULTILINE)
    return {name: (default, meaning) for name, default, meaning in rows}


def test_what_the_code_reads_is_what_is_documented() -> None:
    read = {name for path in _product_files() for name in _names_read(path.read_text())}
    assert read == set(_documented())


def test_every_row_has_a_default_and_a_meaning() -> None:
    for name, (default, meaning) in _documented().items():
        assert len(default) >= 1, name
        assert len(meaning) > 15, name


def test_numbers_in_the_code_are_the_numbers_in_the_page() -> None:
    calls = re.compile(r'env\.number\(\s*"([A-Z0-9_]+)", (\d+),')
    found = {
        name: default
        for path in _product_files()
        for name, default in calls.findall(path.read_text())
    }
    assert len(found) >= 5
    for name, default in found.items():
        assert _documented()[name][0].startswith(f"`{default}`"), name


def test_the_environment_is_read_in_one_place() -> None:
    """Elsewhere a variable would be honoured without a line in the page."""
    readers = {
        str(path.relative_to(BASE_DIR))
        for path in _product_files()
        for name in re.findall(
            r"os\.(?:environ(?:\.get\(|\[)|getenv\()\s*\"([A-Z_]+)\"", path.read_text()
        )
        if name not in READ_ELSEWHERE
    }
    assert readers <= {"config/env.py", "config/supervisor.py"}


@pytest.mark.parametrize("value", ["ten", "0", "1e9"])
def test_a_number_that_cannot_be_used_stops_the_start(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECONDLOOK_TRY", value)
    with pytest.raises(ImproperlyConfigured, match="SECONDLOOK_TRY is"):
        env.number("SECONDLOOK_TRY", 5, low=1, high=100)


def test_a_yes_or_no_that_is_neither_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECONDLOOK_TRY", "perhaps")
    with pytest.raises(ImproperlyConfigured, match="write 1 or 0"):
        env.flag("SECONDLOOK_TRY")


def test_two_installations_never_share_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SECONDLOOK_SECRET_KEY", raising=False)
    first = env.secret_key(tmp_path / "a")
    assert first == env.secret_key(tmp_path / "a")
    assert first != env.secret_key(tmp_path / "b")
    assert (tmp_path / "a" / "secret_key").stat().st_mode & 0o777 == 0o600
