"""Looks: somebody opens what the model says before answering."""

from django.db import transaction
from django.utils import timezone

from inspection.access import DECIDERS, require
from inspection.models import Person
from review.models import Decision, Look, ReviewItem
from review.selectors.queue import item_of
from review.services.leases import refuse_item


@transaction.atomic
def item_look(*, person: Person, item_id: int) -> ReviewItem:
    """Record that the person opened what the model says, and return the item.

    Looking twice is one look. A blind item that was looked at is not given to this person again
    once they let it go: only eyes that know nothing count for it.

    Raises:
        ConflictError: The item is not in use by this person, and was not answered by them.
    """
    item = item_of(person, item_id)
    require(person, item.line, DECIDERS)
    if item.state == ReviewItem.State.WAITING and item.leased_by_id == person.pk:
        Look.objects.get_or_create(item=item, person=person, defaults={"at": timezone.now()})
        if counts_blind(item):
            item.not_for.add(person)
    elif not Decision.objects.filter(item=item, person=person).exists():
        refuse_item(item, person)
    return item


def counts_blind(item: ReviewItem) -> bool:
    """Return whether the answer only counts from somebody who saw nothing of the model's."""
    return item.is_blind and item.reason != ReviewItem.Reason.FLAGGED
