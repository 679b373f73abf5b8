"""What review tells the floor below when a page of inspection asks."""

from django.db.models import Q

from inspection.hooks import Said
from inspection.models import Part
from review.models import Decision, ReviewItem


def parts_in_review() -> Q:
    """Return the filter on parts that somebody is still asked about."""
    return Q(review_items__state=ReviewItem.State.WAITING)


def part_history(part: Part) -> list[Said]:
    """Return every decision on a part, oldest first; two queries."""
    decisions = (
        Decision.objects.filter(item__part=part)
        .exclude(verdict=Decision.Verdict.UNDONE)
        .select_related("person", "superseded_by")
        .prefetch_related("defect_types")
        .order_by("id")
    )
    return [
        Said(
            at=decision.at,
            who=decision.person.display_name,
            verdict=decision.verdict,
            words="; ".join(
                [kind.name for kind in decision.defect_types.all()]
                + ([decision.note] if decision.note else [])
            ),
            is_undone=getattr(decision, "superseded_by", None) is not None,
        )
        for decision in decisions
    ]
