"""The verdict of a part, from the decisions that count, and what the line is told of it."""

from django.db import transaction

from inspection.models import Outbox, Outcome, Part
from review.models import Decision, ReviewItem

# What a person's answer makes of the machine's outcome, as the line is told. Unsure changes
# nothing: the part still waits for a person.
TOLD_BY_VERDICT = {
    Decision.Verdict.DEFECT: Outcome.REJECT.value,
    Decision.Verdict.GOOD: Outcome.PASS.value,
    Decision.Verdict.RESHOOT: "reshoot",
}


def told_to_line(outcome: str, verdict: str) -> str:
    """Return the word a line acts on: pass, review, reject, no verdict or reshoot."""
    return TOLD_BY_VERDICT.get(verdict, outcome)  # type: ignore[call-overload, no-any-return]


@transaction.atomic
def part_verdict_update(*, part_id: int) -> Part:
    """Set a part's verdict to its last effective decision; tell the line if that changes a thing.

    Effective decisions are those that an answered item of the part's present round points at.
    """
    part = Part.objects.select_for_update().select_related("product").get(pk=part_id)
    last = (
        Decision.objects.filter(
            pk__in=ReviewItem.objects.filter(
                part_id=part_id, routing__round=part.round, state=ReviewItem.State.ANSWERED
            ).values("decision")
        )
        .order_by("-at", "-id")
        .first()
    )
    before = part.verdict
    part.verdict = last.verdict if last is not None else ""
    part.verdict_at = last.at if last is not None else None
    part.save(update_fields=["verdict", "verdict_at"])
    told = told_to_line(part.outcome, part.verdict)
    if told != told_to_line(part.outcome, before):
        Outbox.objects.create(
            topic="line",
            line_id=part.line_id,
            payload={
                "event": "verdict",
                "part_id": part.pk,
                "serial": part.serial,
                "product": part.product.name,
                "round": part.round,
                "outcome": told,
                "machine_outcome": part.outcome,
                "verdict": part.verdict,
                "at": last.at.isoformat() if last is not None else None,
            },
        )
    return part
