"""What waits, for whom, in which order, and how much of it under which filter.

Everybody who asks can decide, so nothing here tells a score, an outcome or a reason.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, F, Min, Q, QuerySet
from django.utils import timezone

from inspection.access import DECIDERS, lines_for
from inspection.errors import NotFoundError
from inspection.models import Person
from review.models import ReviewItem

OLD_AFTER = timedelta(minutes=20)  # a queue item older than this is marked

# Deferred ones after the others, of every kind alike; then priority, then age.
QUEUE_ORDER = (F("deferred_at").asc(nulls_first=True), "priority", "waiting_since", "id")


@dataclass(frozen=True, slots=True)
class QueueFilter:
    """What a person asked to see; ``None`` means all."""

    product: int | None = None
    line: int | None = None
    station: int | None = None
    priority: int | None = None

    def as_query(self) -> Q:
        """Return the filter on review items."""
        query = Q()
        for name, field in (("product", "product_id"), ("line", "line_id"),
                            ("station", "station_id"), ("priority", "priority")):  # fmt: skip
            value = getattr(self, name)
            if value is not None:
                query &= Q(**{field: value})
        return query


def is_free(now: datetime) -> Q:
    """Return the filter for items nobody uses: a lease that ran out frees itself here."""
    return Q(lease_until__isnull=True) | Q(lease_until__lte=now)


def items_of(person: Person) -> QuerySet[ReviewItem]:
    """Return every review item on the lines where the person decides."""
    return ReviewItem.objects.filter(line__in=lines_for(person, DECIDERS))


def item_of(person: Person, item_id: int) -> ReviewItem:
    """Return one review item.

    Raises:
        NotFoundError: No such item, or not on a line of this person.
    """
    item = items_of(person).filter(pk=item_id).first()
    if item is None:
        raise NotFoundError("There is no such part to review on your lines.")
    return item


def waiting_items(person: Person) -> QuerySet[ReviewItem]:
    """Return what waits and may come to this person.

    What went to another person (deferred, called unsure, looked at) is left out for all kinds
    alike: a count that stays would tell an audit from a flag.
    """
    return items_of(person).filter(state=ReviewItem.State.WAITING).exclude(not_for=person)


def waiting_summary(person: Person, chosen: QueueFilter) -> tuple[int, int | None]:
    """Return how many items wait under a filter and how long the oldest has waited, in seconds."""
    found = waiting_items(person).filter(chosen.as_query())
    totals = found.aggregate(count=Count("id"), oldest=Min("waiting_since"))
    if totals["oldest"] is None:
        return 0, None
    return totals["count"], max(0, int((timezone.now() - totals["oldest"]).total_seconds()))


@dataclass(frozen=True, slots=True)
class Group:
    """So many waiting items that share product, line, station and priority."""

    product: int
    product_name: str
    line: int
    line_name: str
    station: int | None
    station_name: str
    priority: int
    count: int
    old: int
    deferred: int
    in_use: int

    def matches(self, chosen: QueueFilter, *, but: str = "") -> bool:
        """Return whether the group lies under a filter, one part of it set aside."""
        return all(
            name == but or getattr(chosen, name) in (None, getattr(self, name))
            for name in ("product", "line", "station", "priority")
        )


def queue_groups(person: Person) -> list[Group]:
    """Return all that waits, counted in groups: one query behind every tab and chip."""
    now = timezone.now()
    rows = (
        waiting_items(person)
        .values("product_id", "product__name", "line_id", "line__name",
                "station_id", "station__name", "priority")
        .annotate(
            count=Count("id"),
            old=Count("id", filter=Q(waiting_since__lte=now - OLD_AFTER)),
            deferred=Count("id", filter=Q(deferred_at__isnull=False)),
            in_use=Count("id", filter=Q(lease_until__gt=now) & ~Q(leased_by=person)),
        )
        .order_by("line__name", "product__name", "station__name", "priority")
    )  # fmt: skip
    return [
        Group(
            product=row["product_id"],
            product_name=row["product__name"],
            line=row["line_id"],
            line_name=row["line__name"],
            station=row["station_id"],
            station_name=row["station__name"] or "",
            priority=row["priority"],
            count=row["count"],
            old=row["old"],
            deferred=row["deferred"],
            in_use=row["in_use"],
        )
        for row in rows
    ]


def queue_page(
    person: Person, chosen: QueueFilter, *, tab: str, start: int, size: int
) -> list[ReviewItem]:
    """Return ``size`` waiting items from ``start`` on, with what a card of the queue shows."""
    now = timezone.now()
    found = waiting_items(person).filter(chosen.as_query())
    if tab == "old":
        found = found.filter(waiting_since__lte=now - OLD_AFTER)
    elif tab == "deferred":
        found = found.filter(deferred_at__isnull=False)
    elif tab == "in-use":
        found = found.filter(lease_until__gt=now).exclude(leased_by=person)
    return list(
        found.select_related("part", "station", "leased_by")
        .prefetch_related("part__images__view")
        .order_by(*QUEUE_ORDER)[start : start + size]
    )
