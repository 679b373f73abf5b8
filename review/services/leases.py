"""Leases: who has which item in use. One conditional UPDATE takes an item, so two never share it.

A lease lasts a minute and is renewed by the open page; one that ran out frees itself in the
queries, nobody has to sweep.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import NoReturn

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from inspection.access import DECIDERS, require
from inspection.errors import ConflictError
from inspection.models import Membership, Person
from review.models import ReviewItem
from review.selectors.queue import (
    QUEUE_ORDER,
    QueueFilter,
    is_free,
    item_of,
    items_of,
    waiting_items,
)

LEASE = timedelta(seconds=60)
MOST_AT_ONCE = 10  # a station prefetches three; nobody hoards the queue
# Several people who ask at the same moment try for the same first items; each round somebody wins.
ROUNDS = 5

State = ReviewItem.State


def item_lease_next(
    *,
    person: Person,
    chosen: QueueFilter | None = None,
    count: int = 3,
    holding: Collection[int] = (),
    first: int | None = None,
) -> list[int]:
    """Return the ids of up to ``count`` items that this person now has in use, in queue order.

    Args:
        person: Who reviews; sees only the lines on which they decide.
        chosen: Product, line and station to stay within.
        count: How many more are wanted.
        holding: Ids that the page already has: they are not given again.
        first: An item picked by hand; it comes first if nobody else has it.
    """
    count = max(0, min(count, MOST_AT_ONCE))
    chosen = chosen or QueueFilter()
    now = timezone.now()
    mine = items_of(person).filter(state=State.WAITING, leased_by=person, lease_until__gt=now)
    # Leases of a page that was reloaded, and items whose answer was undone.
    got = list(
        mine.filter(chosen.as_query())
        .exclude(pk__in=list(holding))
        .order_by(*QUEUE_ORDER)
        .values_list("id", flat=True)[:count]
    )
    if first is not None and first not in holding:
        picked = waiting_items(person).filter(pk=first)
        if first in got or _take(picked, person) or mine.filter(pk=first).exists():
            got = [first, *[pk for pk in got if pk != first]][: max(count, 1)]
    if got:
        ReviewItem.objects.filter(pk__in=got, leased_by=person, state=State.WAITING).update(
            lease_until=now + LEASE
        )
    passed_over: set[int] = {*holding, *got}
    free = waiting_items(person).filter(is_free(now), chosen.as_query())
    for _ in range(ROUNDS):
        if len(got) >= count:
            break
        candidates = list(
            free.exclude(pk__in=passed_over)
            .order_by(*QUEUE_ORDER)
            .values_list("id", flat=True)[: count * 4]
        )
        if not candidates:
            break
        for pk in candidates:
            passed_over.add(pk)
            if _take(ReviewItem.objects.filter(pk=pk), person):
                got.append(pk)
                if len(got) >= count:
                    break
    return got


def item_renew(*, person: Person, item_id: int) -> datetime:
    """Keep an item in use for another minute and return until when.

    Raises:
        ConflictError: It is no longer this person's: answered, taken by somebody else, withdrawn.
    """
    item = item_of(person, item_id)
    until = timezone.now() + LEASE
    if _held(item, person).update(lease_until=until) != 1:
        refuse_item(item, person)
    return until


def item_release(*, person: Person, item_id: int) -> None:
    """Give an item back unanswered; giving back what one does not have changes nothing."""
    item = item_of(person, item_id)
    _held(item, person).update(leased_by=None, lease_until=None)


@transaction.atomic
def item_defer(*, person: Person, item_id: int) -> None:
    """Put an item off: it goes to another person, or comes back last where there is no other.

    The same for flags and audits: were only audits kept from the one who deferred, the others
    would be known as flags when they return.

    Raises:
        ConflictError: The item is not in use by this person.
    """
    item = item_of(person, item_id)
    require(person, item.line, DECIDERS)
    changed = _held(item, person).update(
        leased_by=None,
        lease_until=None,
        deferred_at=timezone.now(),
        deferred_count=item.deferred_count + 1,
    )
    if changed != 1:
        refuse_item(item, person)
    if _others_decide(item, person):
        item.not_for.add(person)


def refuse_item(item: ReviewItem, person: Person) -> NoReturn:
    """Say why an item is not this person's to answer: who was first and when, never what.

    Raises:
        ConflictError: Always.
    """
    now = ReviewItem.objects.select_related("leased_by", "decision__person").get(pk=item.pk)
    if now.state == State.ANSWERED and now.decision is not None:
        decision = now.decision
        who = "You" if decision.person_id == person.pk else decision.person.display_name
        raise ConflictError(
            f"{who} already answered this part.",
            {"by": decision.person.display_name, "at": decision.at.isoformat()},
        )
    if now.state == State.WITHDRAWN:
        raise ConflictError("This part no longer waits for an answer.", {"withdrawn": True})
    if now.leased_by is not None and now.leased_by_id != person.pk:
        raise ConflictError(
            f"{now.leased_by.display_name} has this part open.",
            {"by": now.leased_by.display_name, "at": timezone.now().isoformat()},
        )
    raise ConflictError("This part is not open with you: take it from the queue first.", {})


def _held(item: ReviewItem, person: Person) -> QuerySet[ReviewItem]:
    """Return the item if the person holds it; a lease that ran out and nobody took still counts."""
    return ReviewItem.objects.filter(pk=item.pk, state=State.WAITING, leased_by=person)


def _take(items: QuerySet[ReviewItem], person: Person) -> bool:
    now = timezone.now()
    taken = items.filter(is_free(now), state=State.WAITING).update(
        leased_by=person, lease_until=now + LEASE
    )
    return taken == 1


def _others_decide(item: ReviewItem, person: Person) -> bool:
    everywhere_or_here = Membership.objects.filter(
        line__isnull=True, role__in=DECIDERS
    ) | Membership.objects.filter(line_id=item.line_id, role__in=DECIDERS)
    barred = item.not_for.values("pk")
    return (
        everywhere_or_here.filter(person__is_active=True)
        .exclude(person=person)
        .exclude(person__in=barred)
        .exists()
    )
