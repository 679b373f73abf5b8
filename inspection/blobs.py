"""The blob store: bytes by their sha256, written once, never changed.

The only place that knows folders. Rows hold hashes; ``local_path`` gives a file to read for as
long as the blob exists.
"""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

from inspection.errors import DomainError, NotFoundError, StorageFullError
from inspection.models import Blob

# Soft stop before the disk is full: the database must still be able to write.
RESERVE_BYTES = 256 * 1024 * 1024


class BlobStore:
    """A folder of files named by content."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def local_path(self, sha256: str) -> Path:
        """Return where the bytes lie. The file may be missing: see ``exists``."""
        if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
            raise DomainError("That is not a sha256.", {"sha256": sha256[:80]})
        return self.root / sha256[:2] / sha256[2:4] / sha256

    def exists(self, sha256: str) -> bool:
        """Return whether the bytes are there."""
        return self.local_path(sha256).is_file()

    def open(self, sha256: str) -> BinaryIO:
        """Return the bytes as a stream.

        Raises:
            NotFoundError: The store does not have them.
        """
        try:
            return self.local_path(sha256).open("rb")
        except FileNotFoundError:
            raise NotFoundError("The stored file is missing.", {"sha256": sha256}) from None

    def read(self, sha256: str) -> bytes:
        """Return all bytes."""
        with self.open(sha256) as stream:
            return stream.read()

    def put(self, data: bytes) -> str:
        """Store bytes durably and return their sha256; bytes already there are not written again.

        Raises:
            StorageFullError: Less room than the reserve would be left.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        path = self.local_path(sha256)
        if path.is_file() and path.stat().st_size == len(data):
            return sha256
        path.parent.mkdir(parents=True, exist_ok=True)
        free = os.statvfs(path.parent)
        if free.f_bavail * free.f_frsize < RESERVE_BYTES + len(data):
            raise StorageFullError("The disk is almost full: make room, then send it again.")
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            Path(temporary).replace(path)
            _fsync_folder(path.parent)
        except OSError as error:
            Path(temporary).unlink(missing_ok=True)
            raise StorageFullError(f"The file could not be stored: {error.strerror}.") from error
        return sha256

    def delete(self, sha256: str) -> None:
        """Forget the bytes; a blob that is not there is no error."""
        self.local_path(sha256).unlink(missing_ok=True)


def _fsync_folder(folder: Path) -> None:
    """Make a rename durable: the name lives in the folder, not in the file."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def blob_store() -> BlobStore:
    """Return the store that the settings name."""
    return BlobStore(Path(settings.BLOB_DIR))


def blob_put(data: bytes) -> Blob:
    """Store bytes and return their row. The file is durable before the row is written."""
    sha256 = blob_store().put(data)
    blob, _ = Blob.objects.get_or_create(sha256=sha256, defaults={"size_bytes": len(data)})
    return blob
