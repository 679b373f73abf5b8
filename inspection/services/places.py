"""Lines and stations."""

from django.db import IntegrityError, transaction

from inspection.access import ADMINS, MAKERS, require
from inspection.errors import ConflictError, DomainError
from inspection.models import Line, Person, Site, Station
from inspection.services.events import event_record


@transaction.atomic
def line_create(*, name: str, person: Person | None, site: Site | None = None) -> Line:
    """Add a line to the site.

    Raises:
        NotAllowedError: Not an administrator on every line.
        ConflictError: The site has a line of that name.
        DomainError: No name, or no site yet.
    """
    if person is not None:
        require(person, None, ADMINS)
    site = site or Site.objects.order_by("id").first()
    if site is None:
        raise DomainError("There is no site yet: open the first page and set it up.")
    try:
        with transaction.atomic():
            line = Line.objects.create(site=site, name=_name(name))
    except IntegrityError:
        raise ConflictError(f"{site.name} has a line {name} already.") from None
    event_record(
        kind="line.created", subject=f"line:{line.pk}", actor=person, data={"name": line.name}
    )
    return line


@transaction.atomic
def station_create(*, line: Line, name: str, person: Person | None, bit_depth: int = 16) -> Station:
    """Add a station (one camera) to a line.

    Raises:
        NotAllowedError: Not an engineer or administrator of the line.
        ConflictError: The line has a station of that name.
        DomainError: No name, or a bit depth outside 8 to 16.
    """
    if person is not None:
        require(person, line, MAKERS)
    if not 8 <= bit_depth <= 16:
        raise DomainError("The bit depth goes from 8 to 16.", {"field": "bit_depth"})
    try:
        with transaction.atomic():
            station = Station.objects.create(line=line, name=_name(name), bit_depth=bit_depth)
    except IntegrityError:
        raise ConflictError(f"{line.name} has a station {name} already.") from None
    event_record(
        kind="station.created",
        subject=f"station:{station.pk}",
        actor=person,
        data={"name": station.name, "line": line.pk, "bit_depth": bit_depth},
    )
    return station


def _name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > 100 or not name.isprintable():
        raise DomainError("Give it a name of at most 100 characters.", {"field": "name"})
    return name
