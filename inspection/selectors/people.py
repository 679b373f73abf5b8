"""People and devices, for those who administer them."""

from django.db.models import Prefetch, Q, QuerySet

from inspection.access import ADMINS, lines_for, may
from inspection.models import DeviceToken, Membership, Person


def people_of(person: Person) -> QuerySet[Person]:
    """Return everybody, with memberships, to an administrator; nobody to anybody else.

    Names are no secret inside a plant: who may be given a role must be found. Which roles may be
    changed is checked where it is done.
    """
    if not lines_for(person, ADMINS).exists() and not may(person, None, ADMINS):
        return Person.objects.none()
    memberships = Membership.objects.select_related("line").order_by("role", "line__name")
    return Person.objects.order_by("-is_active", "username").prefetch_related(
        Prefetch("memberships", queryset=memberships)
    )


def devices_of(person: Person) -> QuerySet[DeviceToken]:
    """Return the device tokens on lines the person administers; unbound ones to whole-plant."""
    where = Q(line__in=lines_for(person, ADMINS)) | Q(station__line__in=lines_for(person, ADMINS))
    if may(person, None, ADMINS):
        where |= Q(line__isnull=True, station__isnull=True)
    return (
        DeviceToken.objects.filter(where)
        .select_related("line", "station__line", "created_by")
        .order_by("revoked_at", "name", "id")
    )
