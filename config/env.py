"""Reads the environment once, typed, with plain words when a value cannot be used.

Every variable that Secondlook honours is read through here; ``docs/settings.md`` lists them.
"""

import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def text(name: str, default: str = "") -> str:
    """Return the variable without surrounding blanks, or the default when unset or empty."""
    return os.environ.get(name, "").strip() or default


def flag(name: str, *, default: bool = False) -> bool:
    """Return a yes/no variable.

    Raises:
        ImproperlyConfigured: The value is neither yes/true/1/on nor no/false/0/off.
    """
    value = text(name).lower()
    if not value:
        return default
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    raise ImproperlyConfigured(f"{name} is {value!r}: write 1 or 0.")


def number(name: str, default: float, *, low: float, high: float) -> float:
    """Return a number between ``low`` and ``high``.

    Raises:
        ImproperlyConfigured: Not a number, or out of range.
    """
    value = text(name)
    if not value:
        return default
    try:
        parsed = float(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} is {value!r}: write a number.") from None
    if not low <= parsed <= high:
        raise ImproperlyConfigured(f"{name} is {parsed:g}: allowed is {low:g} to {high:g}.")
    return parsed


def words(name: str, default: str = "") -> list[str]:
    """Return a comma-separated variable as a list without empty entries."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def secret_key(data_dir: Path) -> str:
    """Return the signing key: from the environment, else from the data folder, made at first use.

    There is no built-in key: two installations never share one.
    """
    given = text("SECONDLOOK_SECRET_KEY")
    if given:
        return given
    path = data_dir / "secret_key"
    data_dir.mkdir(parents=True, exist_ok=True)
    try:
        # O_EXCL: of several processes starting at once exactly one writes the key.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(handle, "w") as stream:
            stream.write(secrets.token_urlsafe(50))
    key = path.read_text().strip()
    if len(key) < 32:
        raise ImproperlyConfigured(f"{path} is empty or cut short: delete it and start again.")
    return key
