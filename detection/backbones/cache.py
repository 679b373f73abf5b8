"""Files that only save time: written whole, checked when read, rebuilt when damaged or missing."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path

# A network has one graph and a few compiled forms, of 10 MB or so each; older ones belong to
# other versions of the packages.
MAX_ENTRIES = 24
_DIGEST_BYTES = 32
_SUFFIX = ".cached"


def read_entry(folder: Path, key: str) -> bytes | None:
    """The bytes kept under the key; None where there are none or they are not as written."""
    try:
        data = _place(folder, key).read_bytes()
    except OSError:
        return None
    digest, payload = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
    return payload if hashlib.sha256(payload).digest() == digest else None


def write_entry(folder: Path, key: str, payload: bytes) -> None:
    """Keep the bytes under the key, and forget the oldest entries beyond ``MAX_ENTRIES``.

    A folder that cannot be written to is no error: the work is then done anew each time.
    """
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".", suffix=_SUFFIX, dir=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(payload).digest() + payload)
            Path(name).replace(_place(folder, key))
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        entries = sorted(folder.glob(f"[!.]*{_SUFFIX}"), key=lambda path: path.stat().st_mtime)
        for path in entries[:-MAX_ENTRIES]:
            path.unlink(missing_ok=True)


def digest_of(*parts: bytes | str) -> str:
    """A key that differs whenever one of the parts does."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "big"))
        total.update(data)
    return total.hexdigest()


def _place(folder: Path, key: str) -> Path:
    return folder / f"{key}{_SUFFIX}"
