"""Who may already see what the model says of a part."""

from django.db.models import F

from inspection.access import WATCHERS, may
from inspection.models import Part, Person
from review.models import Decision, Look, ReviewItem


def may_see_model_says(person: Person, part: Part) -> bool:
    """Return whether score, heat, outcome and reasons of a part are open to this person.

    They are after the person's own look at, or decision on, the part's present round; and to
    those who watch the line while nobody is asked about the part.
    """
    mine = {
        "person": person,
        "item__part": part,
        "item__routing__round": F("item__part__round"),
    }
    if Look.objects.filter(**mine).exists() or Decision.objects.filter(**mine).exists():
        return True
    return not is_in_review(part) and may(person, part.line, WATCHERS)


def has_seen(person: Person, item: ReviewItem) -> bool:
    """Return whether the person knows what the model says of the item.

    By a look, or by an answer, undone or not: each answer opens the panel.
    """
    mine = {"person": person, "item": item}
    return Look.objects.filter(**mine).exists() or Decision.objects.filter(**mine).exists()


def is_in_review(part: Part) -> bool:
    """Return whether somebody is still asked about the part: pages then say "in review"."""
    return ReviewItem.objects.filter(part=part, state=ReviewItem.State.WAITING).exists()
