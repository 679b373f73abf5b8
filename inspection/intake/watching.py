"""The watched folder: INBOX/<product>/<view>/<file>, read once a file has come to rest.

A file is taken away last, after its image is committed; a refused one moves to INBOX/rejected
with its reason beside it. Nothing is ever deleted that is not safely in.
"""

import logging
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import DatabaseError

from inspection.errors import BusyError, DomainError, NotFoundError, StorageFullError
from inspection.models import Image, Product, View
from inspection.selectors.products import view_by_name_or_id
from inspection.services.intake import image_receive

REJECTED: Final = "rejected"
# What copying programs name a file they are still writing.
UNFINISHED: Final = (".part", ".tmp", ".partial", ".crdownload", ".filepart")
RETRY_AFTER_S: Final = 5.0  # disk full, database away, every decoder at work
MAX_AT_ONCE: Final = 200  # files of one poll, so that a stop is heard

logger = logging.getLogger("secondlook.watch")


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a file looked like, and since when it has not changed."""

    size: int
    mtime_ns: int
    since: float


@dataclass(slots=True)
class Poll:
    """What one look at the folder did."""

    accepted: int = 0
    refused: int = 0
    waiting: int = 0
    names: list[str] = field(default_factory=list)


class FolderWatcher:
    """Remembers what lay in the folder at the last look; one instance a process."""

    def __init__(self, inbox: Path, *, settle_s: float) -> None:
        self.inbox = inbox
        self.settle_s = settle_s
        self._seen: dict[Path, _Seen] = {}
        self._retry_at: dict[Path, float] = {}

    def poll(self, now: float | None = None) -> Poll:
        """Take in every file that has been still for ``settle_s``; ``now`` is monotonic."""
        now = time.monotonic() if now is None else now
        result = Poll()
        present: set[Path] = set()
        for path, found in sorted(_files(self.inbox)):
            present.add(path)
            settled = self._is_settled(path, found, now)
            has_room = result.accepted + result.refused < MAX_AT_ONCE
            if settled and has_room and self._retry_at.get(path, now) <= now:
                self._take(path, found, now, result)
            else:
                result.waiting += 1
        for path in set(self._seen) - present:
            self._forget(path)
        return result

    def _is_settled(self, path: Path, found: os.stat_result, now: float) -> bool:
        seen = self._seen.get(path)
        if seen is None or (seen.size, seen.mtime_ns) != (found.st_size, found.st_mtime_ns):
            self._seen[path] = _Seen(found.st_size, found.st_mtime_ns, now)
            return False
        return now - seen.since >= self.settle_s

    def _take(self, path: Path, found: os.stat_result, now: float, result: Poll) -> None:
        try:
            data = _read_unchanged(path, found)
            if data is None:
                self._forget(path)  # still being written: let it come to rest again
                result.waiting += 1
                return
            image = self._receive(path, found, data)
        except (StorageFullError, BusyError, DatabaseError, OSError) as error:
            logger.warning("%s waits: %s", path.name, error)
            self._retry_at[path] = now + RETRY_AFTER_S
            result.waiting += 1
            return
        except DomainError as error:
            self._reject(path, error)
            result.refused += 1
            return
        except Exception:  # one odd file must not stop the line: it waits and is told of
            logger.exception("%s waits: not taken in", path.name)
            self._retry_at[path] = now + RETRY_AFTER_S
            result.waiting += 1
            return
        # Committed: only now may the source go, and only if it is still the file that was read.
        if _same_file(path, found):
            path.unlink(missing_ok=True)
        self._forget(path)
        result.accepted += 1
        result.names.append(image.part.serial)

    def _receive(self, path: Path, found: os.stat_result, data: bytes) -> Image:
        product, view = self._place(path)
        # Name and time of writing are the shot's key: a second run over the same file is the
        # same image, the same picture written again is a new one (and a stuck camera).
        key = f"{found.st_mtime_ns}-{path.name}"[:200]
        return image_receive(
            data=data,
            product=product,
            view=view,
            channel=Image.Channel.FOLDER,
            capture_key="".join(letter for letter in key if letter.isprintable()),
            serial=_serial(path),
            file_name=path.name,
        ).image

    def _place(self, path: Path) -> tuple[Product, View | None]:
        """Return whose folder the file lies in.

        Raises:
            NotFoundError: The folders name no product and view.
        """
        folders = path.relative_to(self.inbox).parts[:-1]
        if not folders:
            raise NotFoundError("Put files into a folder: inbox/PRODUCT/VIEW/file.")
        products = Product.objects.filter(archived_at__isnull=True).select_related("line")
        product = products.filter(name=folders[0]).first()
        if product is None:
            raise NotFoundError(f"There is no product {folders[0]!r}: name the folder after one.")
        if len(folders) == 1:
            return product, None
        return product, view_by_name_or_id(product, folders[1])

    def _reject(self, path: Path, error: DomainError) -> None:
        folder = self.inbox / REJECTED
        folder.mkdir(parents=True, exist_ok=True)
        target = _free_name(folder, path.name)
        reason = f"{path.relative_to(self.inbox)}\n{error.message}\n"
        # The reason first: a rejected file without one would be a riddle.
        target.with_name(target.name + ".reason.txt").write_text(reason, encoding="utf-8")
        path.rename(target)
        self._forget(path)
        logger.warning("%s refused: %s", path.name, error.message)

    def _forget(self, path: Path) -> None:
        self._seen.pop(path, None)
        self._retry_at.pop(path, None)


def watcher_from_settings() -> FolderWatcher:
    """Return a watcher of the folder the settings name, made where it is missing."""
    inbox = Path(settings.INBOX_DIR)
    inbox.mkdir(parents=True, exist_ok=True)
    return FolderWatcher(inbox, settle_s=float(settings.WATCH_SETTLE_S))


def _files(inbox: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield the files in the inbox, two folders deep; no links, nothing hidden or unfinished."""
    pending = [(inbox, 0)]
    while pending:
        folder, depth = pending.pop()
        try:
            entries = list(os.scandir(folder))
        except OSError:
            continue
        for entry in entries:
            if entry.name.startswith(".") or entry.is_symlink():
                continue
            if entry.is_dir(follow_symlinks=False):
                if depth < 2 and not (depth == 0 and entry.name == REJECTED):
                    pending.append((Path(entry.path), depth + 1))
                continue
            if entry.name.lower().endswith(UNFINISHED):
                continue
            try:
                found = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if stat.S_ISREG(found.st_mode):
                yield Path(entry.path), found


def _read_unchanged(path: Path, found: os.stat_result) -> bytes | None:
    """Return the bytes, or ``None`` when the file is not the one that was looked at any more."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as stream:
        if found.st_size > settings.MAX_IMAGE_BYTES:
            data = stream.read(settings.MAX_IMAGE_BYTES + 1)  # enough to be refused
        else:
            data = stream.read()
        after = os.fstat(stream.fileno())
    return data if _identity(after) == _identity(found) else None


def _same_file(path: Path, found: os.stat_result) -> bool:
    try:
        return _identity(path.lstat()) == _identity(found)
    except OSError:
        return False


def _identity(found: os.stat_result) -> tuple[int, int, int, int]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _serial(path: Path) -> str:
    """Return the file's name without its ending: views of one part share it."""
    return "".join(letter for letter in path.stem if letter.isprintable()).strip()[:120]


def _free_name(folder: Path, name: str) -> Path:
    target = folder / name
    number = 1
    while target.exists() or target.with_name(target.name + ".reason.txt").exists():
        number += 1
        target = folder / f"{Path(name).stem} ({number}){Path(name).suffix}"
    return target
