"""Parts: as a person may see them (blind until answered), and as a line is told of them."""

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from inspection import hooks
from inspection.access import lines_for
from inspection.errors import ConflictError, NotFoundError
from inspection.models import (
    DeviceToken,
    Image,
    Outcome,
    Part,
    Person,
    Routing,
    ScoringJob,
)

IN_REVIEW = "in review"
WAITING = "waiting for its score"
COLLECTED = "collected"
# Pictures to learn from or of known truth: nobody waits for an outcome of theirs.
IMPORTED = "imported"

# What the list filters by: address value -> words on the page.
STATES: dict[str, str] = {
    "in-review": "in review",
    "pass": "passed",
    "flagged": "flagged, answered",
    "confirmed": "flag confirmed: defect",
    "false-alarm": "flag rejected: good",
    "audited": "passed, audited",
    "missed": "passed, found defective",
    "good": "said good",
    "defect": "said defect",
    "no-verdict": "no verdict",
    "waiting": "not routed yet",
    "imported": "imported, not inspected",
    "held": "on hold",
}
FLAGGED = Q(outcome__in=[Outcome.REVIEW, Outcome.REJECT])


@dataclass(frozen=True, slots=True)
class PartFilter:
    """What a person asked to see; ``None`` and empty mean all."""

    product: int | None = None
    line: int | None = None
    state: str = ""
    text: str = ""  # part of a serial, or a whole lot
    since: datetime | None = None
    until: datetime | None = None


def parts_of(person: Person, chosen: PartFilter | None = None) -> QuerySet[Part]:
    """Return the parts on the person's lines, newest first, with ``is_in_review``.

    A part that somebody is still asked about matches no filter on outcome or verdict: a list
    that leaves it out or lets it in would tell.
    """
    parts = (
        Part.objects.filter(line__in=lines_for(person))
        .annotate(
            is_in_review=_in_review(),
            thumbnail_image=Subquery(
                Image.objects.filter(part=OuterRef("pk"), round=OuterRef("round"))
                .order_by("view__rank", "id")
                .values("pk")[:1]
            ),
            is_collected=Exists(
                Image.objects.filter(
                    part=OuterRef("pk"), round=OuterRef("round"), state=Image.State.COLLECTED
                )
            ),
            is_inspected=is_inspected(),
        )
        .select_related("product", "line")
        .order_by("-first_seen_at", "-id")
    )
    if chosen is None:
        return parts
    if chosen.product is not None:
        parts = parts.filter(product=chosen.product)
    if chosen.line is not None:
        parts = parts.filter(line=chosen.line)
    if chosen.text:
        parts = parts.filter(Q(serial__icontains=chosen.text) | Q(lot=chosen.text))
    if chosen.since is not None:
        parts = parts.filter(first_seen_at__gte=chosen.since)
    if chosen.until is not None:
        parts = parts.filter(first_seen_at__lt=chosen.until)
    return _with_state(parts, chosen.state)


def is_inspected() -> Exists:
    """Return the test whether a part came along the line: an import has no live job, ever."""
    return Exists(
        ScoringJob.objects.filter(
            image__part=OuterRef("pk"),
            image__round=OuterRef("round"),
            purpose=ScoringJob.Purpose.LIVE,
        )
    )


def part_of(person: Person, part_id: int) -> Part:
    """Return one part on the person's lines, annotated like ``parts_of``.

    Raises:
        NotFoundError: No such part, or not on a line of this person.
    """
    part = parts_of(person).filter(pk=part_id).select_related("held_by").first()
    if part is None:
        raise NotFoundError("There is no such part on your lines.")
    return part


def may_see(person: Person, part: Part) -> bool:
    """Return whether score, heat, outcome and reasons of the part are open to this person.

    Before the part is routed nobody knows yet whether somebody will be asked: closed.
    """
    return bool(part.outcome) and hooks.may_see_model_says.ask(person, part)


def shown_state(part: Part) -> str:
    """Return the words a list shows for a part of ``parts_of``; never more than blindness allows.

    ``is_in_review``, ``is_collected`` and ``is_inspected`` must be annotated.
    """
    if part.is_in_review:  # type: ignore[attr-defined]  # annotated by parts_of
        return IN_REVIEW
    if part.verdict:
        return part.verdict
    if part.outcome:
        return part.outcome
    if not part.is_inspected:  # type: ignore[attr-defined]
        return IMPORTED
    return COLLECTED if part.is_collected else WAITING  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class PartStatus:
    """What a line is told of a part.

    ``outcome`` is what to act on: a person's word where there is one, else the machine's. It is
    never ``pass`` for a part that was neither routed so nor said good.
    """

    id: int
    serial: str
    product: dict[str, Any]
    line: str
    lot: str
    round: int
    outcome: str
    machine_outcome: str
    verdict: str
    held: bool
    hold_reason: str
    disposition: str
    first_seen_at: str
    verdict_at: str | None

    def as_json(self) -> dict[str, Any]:
        """Return the JSON of the API and of line messages."""
        return asdict(self)


# Unsure changes nothing: the part still waits for a person.
_BY_VERDICT = {
    Part.Verdict.GOOD.value: Outcome.PASS.value,
    Part.Verdict.DEFECT.value: Outcome.REJECT.value,
    Part.Verdict.RESHOOT.value: "reshoot",
}


def part_status_for_line(part: Part) -> PartStatus:
    """Return what the part's line is told now; at most two queries.

    A passed part with an image that has no score (a late view) is told as "no verdict".
    """
    machine_outcome = _machine_outcome(part)
    return PartStatus(
        id=part.pk,
        serial=part.serial,
        product={"id": part.product_id, "name": part.product.name},
        line=part.line.name,
        lot=part.lot,
        round=part.round,
        outcome=_BY_VERDICT.get(part.verdict, machine_outcome),
        machine_outcome=machine_outcome,
        verdict=part.verdict,
        held=part.held_at is not None,
        hold_reason=part.hold_reason,
        disposition=part.disposition,
        first_seen_at=_iso(part.first_seen_at) or "",
        verdict_at=_iso(part.verdict_at),
    )


def status_for_person(part: Part) -> PartStatus:
    """Return the same for a person: "in review" and nothing else while somebody is asked.

    ``is_in_review`` must be annotated.
    """
    status = part_status_for_line(part)
    if part.is_in_review:  # type: ignore[attr-defined]  # annotated by the selectors
        status = replace(status, outcome=IN_REVIEW, machine_outcome="", verdict="", verdict_at=None)
    return status


def part_for_line(
    *,
    serial: str,
    product: int | None = None,
    person: Person | None = None,
    device: DeviceToken | None = None,
) -> Part:
    """Return the part with that serial on the caller's line.

    Raises:
        NotFoundError: No such part there.
        ConflictError: Several products have a part with that serial: name the product.
    """
    parts = Part.objects.filter(serial=serial).select_related("product", "line")
    if product is not None:
        parts = parts.filter(product=product)
    if device is not None:
        line = device.line_id or (device.station.line_id if device.station else None)
        parts = parts if line is None else parts.filter(line=line)
    elif person is not None:
        parts = parts.filter(line__in=lines_for(person))
    else:
        parts = parts.none()
    found = list(parts.annotate(is_in_review=_in_review()).order_by("id")[:2])
    if not found:
        raise NotFoundError(f"There is no part {serial} here.", {"serial": serial})
    if len(found) > 1:
        raise ConflictError(
            f"Several products have a part {serial}. Add ?product=NUMBER.",
            {"products": [part.product_id for part in found]},
        )
    return found[0]


def _in_review() -> Exists:
    # One alias of the table per Exists: the outer row is found again by its key.
    return Exists(Part.objects.filter(hooks.parts_in_review.ask(), pk=OuterRef("pk")))


def _with_state(parts: QuerySet[Part], state: str) -> QuerySet[Part]:
    if state == "in-review":
        return parts.filter(_in_review())
    if state == "held":
        return parts.filter(held_at__isnull=False)
    if state in {"waiting", "imported"}:
        parts = parts.filter(is_inspected() if state == "waiting" else ~is_inspected())
    where = {
        "pass": Q(outcome=Outcome.PASS, verdict=""),
        "flagged": FLAGGED & ~Q(verdict=""),
        "confirmed": FLAGGED & Q(verdict=Part.Verdict.DEFECT),
        "false-alarm": FLAGGED & Q(verdict=Part.Verdict.GOOD),
        "audited": Q(outcome=Outcome.PASS) & ~Q(verdict=""),
        "missed": Q(outcome=Outcome.PASS, verdict=Part.Verdict.DEFECT),
        "good": Q(verdict=Part.Verdict.GOOD),
        "defect": Q(verdict=Part.Verdict.DEFECT),
        "no-verdict": Q(outcome=Outcome.NO_VERDICT),
        "waiting": Q(outcome=""),
        "imported": Q(outcome="", verdict=""),
    }.get(state)
    return parts if where is None else parts.filter(where, ~_in_review())


def _machine_outcome(part: Part) -> str:
    from inspection.services.routing import outcome_for_line

    routing = Routing.objects.filter(part=part, round=part.round).first() if part.outcome else None
    if routing is None:
        return Outcome.NO_VERDICT.value
    outcome = str(outcome_for_line(routing))
    if outcome == Outcome.PASS.value:
        images = Image.objects.filter(part=part, round=part.round)
        if images.exclude(state=Image.State.SCORED).exists():
            return Outcome.NO_VERDICT.value
    return outcome


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
