"""The verdict of a part, from the decisions that count, and what the line is told of it."""

from django.db import transaction

from inspection.models import Part
from inspection.selectors.parts import part_status_for_line
from inspection.services.outbox import LINE, outbox_add
from review.models import Decision, ReviewItem


@transaction.atomic
def part_verdict_update(*, part_id: int) -> Part:
    """Set a part's verdict to its last effective decision; tell the line if that changes a thing.

    Effective decisions are those that an answered item of the part's present round points at.
    """
    part = (
        Part.objects.select_for_update(of=("self",))
        .select_related("product", "line")
        .get(pk=part_id)
    )
    last = (
        Decision.objects.filter(
            pk__in=ReviewItem.objects.filter(
                part_id=part_id, routing__round=part.round, state=ReviewItem.State.ANSWERED
            ).values("decision")
        )
        .order_by("-at", "-id")
        .first()
    )
    before = part_status_for_line(part).outcome
    part.verdict = last.verdict if last is not None else ""
    part.verdict_at = last.at if last is not None else None
    part.save(update_fields=["verdict", "verdict_at"])
    status = part_status_for_line(part)
    if status.outcome != before:
        outbox_add(
            LINE,
            {
                "event": "verdict",
                "part_id": part.pk,
                "serial": part.serial,
                "product": part.product.name,
                "round": part.round,
                "outcome": status.outcome,
                "machine_outcome": status.machine_outcome,
                "verdict": part.verdict,
                "at": last.at.isoformat() if last is not None else None,
            },
            line=part.line,
        )
    return part
