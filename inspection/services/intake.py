"""Intake: the one way an image comes in, whatever the channel."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from inspection.access import MAKERS, require
from inspection.blobs import blob_store
from inspection.errors import (
    ConflictError,
    DomainError,
    NotAllowedError,
    RefusedImageError,
)
from inspection.intake.children import Examined, decoder_pool
from inspection.models import (
    Blob,
    DeviceToken,
    Image,
    Part,
    Person,
    Product,
    ScoringJob,
    Station,
    View,
)
from inspection.services.events import event_record
from inspection.services.outbox import SCORE, outbox_add

SCOPE: Final = "images:write"
MAX_TAGS: Final = 32
MAX_ROUNDS: Final = 1000  # a camera that writes "latest.png" for ever is no reworked part
CLOCK_SLACK: Final = timedelta(hours=24)  # a camera's clock may be wrong, but not by days


@dataclass(frozen=True, slots=True)
class Received:
    """The image as it is kept; ``created`` is false when it was here already.

    ``same_bytes_as`` is an earlier image of the product with the very same bytes: the camera may
    be stuck.
    """

    image: Image
    created: bool
    same_bytes_as: Image | None


@dataclass(frozen=True, slots=True)
class _Shot:
    """What is known of an image before its pixels are looked at."""

    product: Product
    view: View
    station: Station | None
    channel: str
    capture_key: str
    sha256: str
    serial: str
    lot: str
    tags: dict[str, str]
    captured_at: datetime
    file_name: str
    score: bool


def image_receive(
    *,
    data: bytes,
    product: Product,
    view: View | None = None,
    station: Station | None = None,
    channel: str,
    person: Person | None = None,
    device: DeviceToken | None = None,
    capture_key: str = "",
    sha256: str = "",
    serial: str = "",
    lot: str = "",
    tags: dict[str, str] | None = None,
    captured_at: datetime | None = None,
    file_name: str = "",
    score: bool = True,
) -> Received:
    """Check and keep an image, with its part, its job and its bell in one transaction.

    Idempotent: the same capture key again is the same image; without a key, so are the same
    bytes. The same bytes under a new key are a new image and raise a stuck-camera event. A second
    image of the same view of a part opens the part's next round.

    Args:
        data: The file's bytes, kept untouched.
        product: What is seen.
        view: From where; found by the station, or the product's only one, when left out.
        station: Which camera; the token's or the view's own when left out.
        channel: One of ``Image.Channel``.
        person: Who sends it, checked for the right to; none for trusted commands.
        device: Which token sends it, checked for scope and line.
        capture_key: The sender's own name of this shot, unique on its station.
        sha256: What the sender says the bytes hash to; checked when given.
        serial: Of the part; made up when empty.
        lot: Of the part.
        tags: Such as machine setting or tool, kept with the part.
        captured_at: When it was taken; now when left out.
        file_name: Shown on pages, never used as a path.
        score: False only collects the image: no job, no routing.

    Raises:
        RefusedImageError: The bytes are no image we read, or not what the sender hashed.
        StorageFullError: No room.
        ConflictError: The key was used for other bytes, or the part belongs to another lot.
        NotAllowedError: The person or token may not send images there.
        DomainError: A field cannot be used, or the view is not clear.
    """
    if device is not None and station is None:
        station = device.station
    _require_right(product=product, station=station, person=person, device=device)
    shot = _shot(
        data=data, product=product, view=view, station=station, channel=channel,
        capture_key=capture_key, declared_sha256=sha256, serial=serial, lot=lot, tags=tags,
        captured_at=captured_at, file_name=file_name, score=score,
    )  # fmt: skip
    known = _already_here(shot)
    if known is not None:
        return known
    twin = _same_bytes(shot) if shot.capture_key else None
    found = decoder_pool().examine(data, bit_depth=_bit_depth(shot))
    blobs = _store(data, found)
    try:
        with transaction.atomic():
            image = _write(shot, found, blobs)
            if twin is not None:
                _report_stuck_camera(image, twin, person)
    except IntegrityError:
        # Somebody sent the same shot at the same time and was first.
        known = _already_here(shot)
        if known is None:
            raise
        return known
    return Received(image=image, created=True, same_bytes_as=twin)


def _require_right(
    *,
    product: Product,
    station: Station | None,
    person: Person | None,
    device: DeviceToken | None,
) -> None:
    if product.archived_at is not None:
        raise ConflictError(f"{product.name} is archived and takes no images.")
    if station is not None and station.line_id != product.line_id:
        raise DomainError(f"Station {station.name} is not on the line of {product.name}.")
    if person is not None:
        require(person, product.line, MAKERS)
    if device is not None:
        if SCOPE not in device.scopes:
            raise NotAllowedError(f"This token lacks the scope {SCOPE}.")
        if device.line_id not in (None, product.line_id):
            raise NotAllowedError("This token is bound to another line.")
        if device.station_id is not None and (station is None or station.pk != device.station_id):
            raise NotAllowedError("This token is bound to another station.")


def _shot(
    *,
    data: bytes,
    product: Product,
    view: View | None,
    station: Station | None,
    channel: str,
    capture_key: str,
    declared_sha256: str,
    serial: str,
    lot: str,
    tags: dict[str, str] | None,
    captured_at: datetime | None,
    file_name: str,
    score: bool,
) -> _Shot:
    limit = int(settings.MAX_IMAGE_BYTES)
    if len(data) > limit:
        raise RefusedImageError(
            f"The file is over {limit // 1024**2} MB. Send a smaller one, or raise the limit.",
            {"reason": "file_too_big"},
        )
    digest = hashlib.sha256(data).hexdigest()
    if declared_sha256 and declared_sha256.lower() != digest:
        raise RefusedImageError(
            "The bytes that came are not the ones that were sent: the sha256 differs. Send again.",
            {"reason": "digest", "sha256": digest},
        )
    view = _view(product=product, view=view, station=station)
    now = timezone.now()
    if captured_at is not None and captured_at > now + CLOCK_SLACK:
        raise DomainError("captured_at lies in the future: set the camera's clock.")
    return _Shot(
        product=product,
        view=view,
        station=station or view.station,
        channel=channel,
        capture_key=_text("capture_key", capture_key, 200),
        sha256=digest,
        serial=_text("serial", serial, 120),
        lot=_text("lot", lot, 120),
        tags=_tags(tags or {}),
        captured_at=captured_at or now,
        file_name=_shown_name(file_name),
        score=score,
    )


def _view(*, product: Product, view: View | None, station: Station | None) -> View:
    """Return which view the image shows: as said, by its station, or the only one there is."""
    if view is not None:
        if view.product_id != product.pk:
            raise DomainError(f"View {view.name} does not belong to {product.name}.")
        return view
    views = list(product.views.select_related("station"))
    if not views:
        raise DomainError(f"{product.name} has no view yet. Add one on its set-up page.")
    if station is not None:
        at_station = [view for view in views if view.station_id == station.pk]
        if len(at_station) == 1:
            return at_station[0]
    if len(views) == 1:
        return views[0]
    names = ", ".join(view.name for view in views)
    raise DomainError(
        f"{product.name} has several views: say which one it is ({names}).",
        {"views": [view.name for view in views]},
    )


def _text(name: str, value: str, longest: int) -> str:
    value = value.strip()
    if len(value) > longest:
        raise DomainError(f"{name} may have at most {longest} characters.", {"field": name})
    if not value.isprintable():
        raise DomainError(f"{name} holds characters that cannot be shown.", {"field": name})
    return value


def _tags(tags: dict[str, str]) -> dict[str, str]:
    if len(tags) > MAX_TAGS:
        raise DomainError(f"At most {MAX_TAGS} tags may be given.", {"field": "tags"})
    return {_text("tags", key, 60): _text("tags", value, 200) for key, value in tags.items()}


def _shown_name(file_name: str) -> str:
    """Return the last part of a name, without what cannot be shown: it is never a path."""
    last = file_name.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(character for character in last if character.isprintable())[:255]


def _already_here(shot: _Shot) -> Received | None:
    """Return the image this very shot became before.

    Raises:
        ConflictError: The key stands for other bytes, or the bytes for another view.
    """
    if not shot.capture_key:
        image = _same_bytes(shot)
        if image is None:
            return None
        if image.view_id != shot.view.pk:
            raise ConflictError(
                "The same file is already here as another view. Give each shot a capture key.",
                {"image": image.pk, "view": image.view.name},
            )
        return Received(image=image, created=False, same_bytes_as=None)
    # The two conditions on the key name the partial index, which SQLite only then uses.
    images = Image.objects.exclude(capture_key="").filter(capture_key=shot.capture_key)
    if shot.station is not None:
        images = images.filter(station=shot.station)
    else:
        images = images.filter(product=shot.product, station__isnull=True)
    image = images.select_related("part", "view").first()
    if image is None:
        return None
    if image.blob_id != shot.sha256:
        raise ConflictError(
            f"The capture key {shot.capture_key!r} was already used for another file.",
            {"image": image.pk, "capture_key": shot.capture_key},
        )
    return Received(image=image, created=False, same_bytes_as=None)


def _same_bytes(shot: _Shot) -> Image | None:
    images = Image.objects.filter(product=shot.product, blob=shot.sha256)
    return images.select_related("part", "view").order_by("id").first()


def _bit_depth(shot: _Shot) -> int | None:
    """Return how many bits the camera uses; unknown without a station, and 8 is no deep image."""
    if shot.station is None or shot.station.bit_depth < 9:
        return None
    return shot.station.bit_depth


def _store(data: bytes, found: Examined) -> dict[str, Blob]:
    """Write the files durably and return their rows, not saved yet."""
    store = blob_store()
    files = {"blob": data, "preview": found.preview, "thumbnail": found.thumbnail}
    if found.derived is not None:
        files["derived"] = found.derived
    return {
        name: Blob(sha256=store.put(content), size_bytes=len(content))
        for name, content in files.items()
    }


def _write(shot: _Shot, found: Examined, blobs: dict[str, Blob]) -> Image:
    now = timezone.now()
    Blob.objects.bulk_create(
        {blob.sha256: blob for blob in blobs.values()}.values(), ignore_conflicts=True
    )
    part = _part_for(shot)
    image = Image.objects.create(
        part=part,
        round=part.round,
        product=shot.product,
        view=shot.view,
        station=shot.station,
        **blobs,
        content_type=found.content_type,
        width=found.width,
        height=found.height,
        capture_key=shot.capture_key,
        file_name=shot.file_name,
        channel=shot.channel,
        captured_at=shot.captured_at,
        received_at=now,
        state=Image.State.ACCEPTED if shot.score else Image.State.COLLECTED,
    )
    if shot.score:
        job = ScoringJob.objects.create(image=image, queued_at=now)
        outbox_add(SCORE, {"job_id": job.pk})
    return image


def _part_for(shot: _Shot) -> Part:
    """Return the part in the round this image belongs to, made or moved on where needed."""
    if not shot.serial:
        return _new_part(shot, _new_serial(shot.captured_at))
    part = _locked_part(shot)
    if part is not None:
        return _joined(part, shot)
    try:
        with transaction.atomic():
            return _new_part(shot, shot.serial)
    except IntegrityError:
        # Another view of the same part was first.
        part = _locked_part(shot)
        if part is None:
            raise
        return _joined(part, shot)


def _new_part(shot: _Shot, serial: str) -> Part:
    return Part.objects.create(
        product=shot.product,
        line=shot.product.line,
        serial=serial,
        lot=shot.lot,
        tags=shot.tags,
        first_seen_at=shot.captured_at,
    )


def _locked_part(shot: _Shot) -> Part | None:
    parts = Part.objects.select_for_update(of=("self",)).select_related("product", "line")
    return parts.filter(product=shot.product, serial=shot.serial).first()


def _joined(part: Part, shot: _Shot) -> Part:
    """Add lot and tags to a known part, and open its next round where this view was seen."""
    if shot.lot and part.lot and shot.lot != part.lot:
        raise ConflictError(
            f"Part {part.serial} belongs to lot {part.lot}, not {shot.lot}.",
            {"serial": part.serial, "lot": part.lot},
        )
    changed = []
    if shot.lot and not part.lot:
        part.lot = shot.lot
        changed.append("lot")
    if any(part.tags.get(key) != value for key, value in shot.tags.items()):
        part.tags = _tags(part.tags | shot.tags)
        changed.append("tags")
    if part.images.filter(view=shot.view, round=part.round).exists():
        if part.round >= MAX_ROUNDS:
            raise ConflictError(f"{part.serial} came {part.round} times: send real serials.")
        # A reworked part comes back: what was said of it before stays with its round.
        part.round += 1
        part.outcome, part.verdict, part.verdict_at, part.disposition = "", "", None, ""
        changed += ["round", "outcome", "verdict", "verdict_at", "disposition"]
    if changed:
        part.save(update_fields=changed)
    return part


def _new_serial(captured_at: datetime) -> str:
    """Return a serial for a part that came without: readable, and unique by chance."""
    return f"{captured_at:%y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def _report_stuck_camera(image: Image, twin: Image, person: Person | None) -> None:
    event_record(
        kind="camera.same_bytes",
        subject=f"image:{image.pk}",
        actor=person,
        data={
            "same_as": twin.pk,
            "station": image.station_id,
            "view": image.view_id,
            "capture_keys": [twin.capture_key, image.capture_key],
        },
    )
