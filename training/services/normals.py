"""Importing normals that somebody vouches for: files, zips, and batches that come in pieces."""

import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import BinaryIO

from django.db import transaction
from django.utils import timezone

from inspection.access import MAKERS, require
from inspection.errors import DomainError, RefusedImageError
from inspection.models import Image, Person, View
from inspection.services.events import event_record
from training.models import Attestation, GoldenEntry, PoolEntry

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"})
ZIP_MAX_MEMBERS = 5000  # far above any set-up shoot; a list of a million names is an attack
ZIP_MAX_BYTES = 4 * 1024**3  # unpacked, all members together
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class NormalFile:
    """One file to import. ``lot`` groups it for calibration; empty: the day it came in."""

    name: str
    data: bytes
    lot: str = ""


@dataclass(slots=True)
class Imported:
    """What became of a batch."""

    attestation: Attestation | None = None
    added: int = 0
    already_there: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)  # (file name, why)

    @property
    def sentence(self) -> str:
        """Return the batch in one line for a page."""
        words = [f"{self.added} added"]
        if self.already_there:
            words.append(f"{self.already_there} already known")
        if self.refused:
            words.append(f"{len(self.refused)} refused")
        return ", ".join(words) + "."


def normals_import(
    *,
    view: View,
    person: Person,
    reason: str,
    files: Iterable[NormalFile],
    attestation: Attestation | None = None,
    channel: str = Image.Channel.BROWSER,
) -> Imported:
    """Take in files that the person vouches for as normal; they may be learned at once.

    Each file is its own transaction: what came before a refused one stays. ``attestation``
    continues a batch whose first files came in an earlier call.

    Raises:
        NotAllowedError: Not an engineer or administrator of the line.
        DomainError: No reason given, or the batch is another person's or view's.
    """
    from inspection.services.intake import image_receive

    require(person, view.product.line, MAKERS)
    reason = reason.strip()
    if not reason:
        raise DomainError("Say why these are normal: who looked at them, and when.")
    batch = _open_batch(view=view, person=person, reason=reason, attestation=attestation)
    result = Imported(attestation=batch)
    try:
        for file in _read(files, result):
            try:
                # Not one transaction with the vouching: nobody should wait for our decoding. An
                # image left alone in between is vouched for when its file comes again.
                received = image_receive(
                    data=file.data, product=view.product, view=view, channel=channel,
                    person=person, lot=file.lot, file_name=file.name, score=False,
                )  # fmt: skip
            except RefusedImageError as error:
                result.refused.append((file.name, error.message))
                continue
            added = _vouch(received.image, batch, person, is_new=received.created)
            result.added += added
            result.already_there += not added
    finally:  # a full disk half-way: what came in is vouched for all the same
        if result.added:
            _close_batch(batch, person)
        elif attestation is None:
            batch.delete()  # nothing came in, so nothing was vouched for
            result.attestation = None
    return result


def _read(files: Iterable[NormalFile], result: Imported) -> Iterator[NormalFile]:
    """Yield the files; an archive that cannot be read any further is one refused file."""
    try:
        yield from files
    except RefusedImageError as error:
        result.refused.append((str(error.extra.get("file", "")), error.message))


def _open_batch(
    *, view: View, person: Person, reason: str, attestation: Attestation | None
) -> Attestation:
    if attestation is None:
        return Attestation.objects.create(
            person=person, view=view, reason=reason[:300], count=0, at=timezone.now()
        )
    if attestation.person_id != person.pk or attestation.view_id != view.pk:
        raise DomainError("This batch belongs to another person or view: start a new one.")
    return attestation


@transaction.atomic
def _close_batch(batch: Attestation, person: Person) -> None:
    batch.count = batch.entries.count()
    batch.save(update_fields=["count"])
    event_record(
        kind="normals.attested", subject=f"view:{batch.view_id}", actor=person,
        data={"attestation": batch.pk, "count": batch.count, "reason": batch.reason},
    )  # fmt: skip


def _vouch(image: Image, batch: Attestation, person: Person, *, is_new: bool) -> bool:
    """Make an image a verified normal, unless somebody or something already spoke about it."""
    if PoolEntry.objects.filter(image=image).exists():
        return False
    if GoldenEntry.objects.filter(image=image).exists():
        return False
    if not is_new and (image.view_id != batch.view_id or image.part.routings.exists()):
        return False  # it came along the line: its own review counts, not a later import
    PoolEntry.objects.create(
        image=image, view=batch.view, state=PoolEntry.State.VERIFIED, attestation=batch,
        added_by=person, why="attested import", may_calibrate=True, changed_at=timezone.now(),
    )  # fmt: skip
    return True


def files_from_uploads(
    uploads: Iterable[tuple[str, BinaryIO]], *, lot: str
) -> Iterator[NormalFile]:
    """Yield the files of an upload one at a time, zips unpacked on the way."""
    for name, stream in uploads:
        if name.lower().endswith(".zip"):
            yield from files_from_zip(stream, name=name, lot=lot)
        else:
            yield NormalFile(name=PurePosixPath(name).name, data=stream.read(), lot=lot)


def files_from_zip(stream: BinaryIO, *, name: str, lot: str = "") -> Iterator[NormalFile]:
    """Yield the images inside a zip; nothing is written to disk and no path inside is used.

    Where the images lie in two or more folders, each folder counts as a lot.

    Raises:
        RefusedImageError: Not a zip, damaged, encrypted, or too much inside.
    """
    try:
        with zipfile.ZipFile(stream) as archive:
            members = [info for info in archive.infolist() if _is_image(info)]
            if len(members) > ZIP_MAX_MEMBERS:
                raise _zip_error(name, f"it holds more than {ZIP_MAX_MEMBERS:,} images")
            if not members:
                raise _zip_error(name, "there are no PNG, JPEG, TIFF or BMP files in it")
            folders = {PurePosixPath(info.filename).parent.name for info in members}
            left = ZIP_MAX_BYTES
            for info in members:
                data = _read_member(archive, info, name, left)
                left -= len(data)
                path = PurePosixPath(info.filename)
                group = lot or (path.parent.name if len(folders) > 1 else "")
                yield NormalFile(name=path.name, data=data, lot=group[:120])
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        # RuntimeError is how zipfile says "encrypted", NotImplementedError "unknown method".
        raise _zip_error(name, f"it cannot be read ({error})") from error


def _is_image(info: zipfile.ZipInfo) -> bool:
    path = PurePosixPath(info.filename)
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    return not info.is_dir() and not hidden and path.suffix.lower() in SUFFIXES


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, left: int) -> bytes:
    """Read one member, stopping where it holds more than is allowed, whatever it declares."""
    from django.conf import settings

    limit = min(left, settings.MAX_IMAGE_BYTES)
    blocks: list[bytes] = []
    size = 0
    try:
        with archive.open(info) as member:
            while block := member.read(_BLOCK_BYTES):
                size += len(block)
                if size > limit:
                    raise _zip_error(name, f"{info.filename} is too large")
                blocks.append(block)
    except zlib.error as error:
        raise _zip_error(name, f"{info.filename} is damaged ({error})") from error
    return b"".join(blocks)


def _zip_error(name: str, why: str) -> RefusedImageError:
    return RefusedImageError(
        f"The zip {name} was not taken: {why}.", {"reason": "zip", "file": name}
    )
