"""People, their roles, and device tokens: every change of rights is an event."""

from collections.abc import Iterable
from typing import Final
from zoneinfo import available_timezones

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from inspection.access import ADMINS, require
from inspection.api.authentication import new_token
from inspection.errors import ConflictError, DomainError
from inspection.models import DeviceToken, Line, Membership, Person, Role, Site, Station
from inspection.services.events import event_record
from inspection.services.places import line_create, station_create

SCOPES: Final = {
    "images:write": "send images",
    "line:read": "read outcomes and line messages",
}


@transaction.atomic
def site_setup(
    *,
    site_name: str,
    time_zone: str,
    currency: str,
    line_name: str,
    station_name: str,
    username: str,
    full_name: str,
    password: str,
) -> Person:
    """Create the site, its first line and station, and the first person with every role.

    Raises:
        ConflictError: Somebody is here already.
        DomainError: A value that cannot be used.
    """
    # The event first: its lock lets only one set-up at a time look whether it is the first.
    event_record(kind="site.setup", subject="site", actor=None, data={"by": username[:150]})
    if Person.objects.exists():
        raise ConflictError("This installation is set up already: sign in.")
    if time_zone not in available_timezones():
        raise DomainError("There is no such time zone.", {"field": "time_zone"})
    if len(currency) != 3 or not currency.isalpha():
        raise DomainError("A currency has three letters, such as EUR.", {"field": "currency"})
    site = Site.objects.create(
        name=site_name.strip(), time_zone=time_zone, currency=currency.upper()
    )
    line = line_create(name=line_name, person=None, site=site)
    station_create(line=line, name=station_name, person=None)
    person = _person_new(username, full_name, password)
    for role in Role:
        _grant(person=person, role=role, line=None, by=person)
    return person


@transaction.atomic
def person_create(
    *,
    by: Person,
    username: str,
    full_name: str,
    password: str,
    roles: Iterable[Role],
    line: Line | None,
) -> Person:
    """Create somebody with roles on one line, or on every line.

    Raises:
        NotAllowedError: ``by`` is no administrator there.
        ConflictError: The name is taken.
        DomainError: The password is too easy, or no role was chosen.
    """
    require(by, line, ADMINS)
    chosen = list(roles)
    if not chosen:
        raise DomainError("Choose at least one role: without one nothing can be opened.")
    person = _person_new(username, full_name, password)
    event_record(
        kind="person.created",
        subject=f"person:{person.pk}",
        actor=by,
        data={"username": person.username},
    )
    for role in chosen:
        _grant(person=person, role=role, line=line, by=by)
    return person


@transaction.atomic
def membership_add(*, by: Person, person: Person, role: Role, line: Line | None) -> Membership:
    """Give somebody a role on a line, or on every line.

    Raises:
        NotAllowedError: ``by`` is no administrator there.
        ConflictError: They have it already.
    """
    require(by, line, ADMINS)
    return _grant(person=person, role=role, line=line, by=by)


@transaction.atomic
def membership_remove(*, by: Person, membership: Membership) -> None:
    """Take a role away; the last administrator of the whole plant stays.

    Raises:
        NotAllowedError: ``by`` is no administrator there.
        ConflictError: Nobody would be left to administer.
    """
    require(by, membership.line, ADMINS)
    event_record(
        kind="right.removed",
        subject=f"person:{membership.person_id}",
        actor=by,
        data={"role": membership.role, "line": membership.line_id},
    )
    membership.delete()
    _somebody_administers()


@transaction.atomic
def person_set_active(*, by: Person, person: Person, is_active: bool) -> None:
    """Let somebody sign in, or not any more; their decisions stay theirs.

    Raises:
        NotAllowedError: ``by`` does not administer every line.
        ConflictError: It is so already, or nobody would be left to administer.
    """
    require(by, None, ADMINS)
    changed = Person.objects.filter(pk=person.pk, is_active=not is_active)
    if changed.update(is_active=is_active) != 1:
        raise ConflictError("That is so already.")
    person.is_active = is_active
    event_record(
        kind="person.activated" if is_active else "person.deactivated",
        subject=f"person:{person.pk}",
        actor=by,
    )
    _somebody_administers()


@transaction.atomic
def person_set_password(*, by: Person, person: Person, password: str) -> None:
    """Give somebody a new password; their open sessions end.

    Raises:
        NotAllowedError: ``by`` does not administer every line.
        DomainError: The password is too easy.
    """
    require(by, None, ADMINS)
    _check_password(password, person)
    person.set_password(password)
    person.save(update_fields=["password"])
    event_record(kind="person.password", subject=f"person:{person.pk}", actor=by)


@transaction.atomic
def device_create(
    *,
    by: Person,
    name: str,
    scopes: Iterable[str],
    line: Line | None = None,
    station: Station | None = None,
) -> tuple[DeviceToken, str]:
    """Return a new device and its token, which is shown this once and kept only as a hash.

    Raises:
        NotAllowedError: ``by`` is no administrator there.
        DomainError: No name, no known scope, or a station of another line.
    """
    if station is not None:
        if line is not None and station.line_id != line.pk:
            raise DomainError(f"Station {station.name} is not on {line.name}.")
        line = station.line
    require(by, line, ADMINS)
    chosen = [scope for scope in SCOPES if scope in set(scopes)]
    if not chosen or set(scopes) - set(SCOPES):
        raise DomainError("Choose what the device may do.", {"field": "scopes"})
    name = name.strip()
    if not name or len(name) > 100:
        raise DomainError("Give the device a name of at most 100 characters.", {"field": "name"})
    token, digest = new_token()
    device = DeviceToken.objects.create(
        name=name,
        token_sha256=digest,
        scopes=chosen,
        line=line,
        station=station,
        created_by=by,
    )
    event_record(
        kind="device.created",
        subject=f"device:{device.pk}",
        actor=by,
        data={"name": name, "scopes": chosen, "line": device.line_id},
    )
    return device, token


@transaction.atomic
def device_revoke(*, by: Person, device: DeviceToken) -> None:
    """End a token at once.

    Raises:
        NotAllowedError: ``by`` is no administrator there.
        ConflictError: It was revoked already.
    """
    require(by, device.line, ADMINS)
    live = DeviceToken.objects.filter(pk=device.pk, revoked_at__isnull=True)
    if live.update(revoked_at=timezone.now()) != 1:
        raise ConflictError(f"{device.name} was revoked already.")
    event_record(kind="device.revoked", subject=f"device:{device.pk}", actor=by)


def _person_new(username: str, full_name: str, password: str) -> Person:
    words = full_name.split()
    person = Person(
        username=username.strip(),
        first_name=" ".join(words[:-1] if len(words) > 1 else words)[:150],
        last_name=(words[-1] if len(words) > 1 else "")[:150],
    )
    _check_password(password, person)
    person.set_password(password)
    try:
        person.clean_fields()
        with transaction.atomic():
            person.save(force_insert=True)
    except ValidationError as error:
        raise DomainError(" ".join(error.messages), {"field": "username"}) from None
    except IntegrityError:
        raise ConflictError(f"There is somebody called {person.username} already.") from None
    return person


def _check_password(password: str, person: Person) -> None:
    try:
        validate_password(password, person)
    except ValidationError as error:
        raise DomainError(" ".join(error.messages), {"field": "password"}) from None


def _grant(*, person: Person, role: Role, line: Line | None, by: Person) -> Membership:
    try:
        with transaction.atomic():
            membership = Membership.objects.create(person=person, role=role, line=line)
    except IntegrityError:
        raise ConflictError(f"{person.display_name} has that role already.") from None
    event_record(
        kind="right.given",
        subject=f"person:{person.pk}",
        actor=by,
        data={"role": str(role), "line": None if line is None else line.pk},
    )
    return membership


def _somebody_administers() -> None:
    left = Membership.objects.filter(
        role=Role.ADMIN, line__isnull=True, person__is_active=True, person__is_demo=False
    )
    if not left.exists():
        raise ConflictError("Somebody must be left who administers every line.")
