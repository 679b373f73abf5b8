"""Pools: where an image goes by what people said of its part, and the end of quarantine.

An entry's state is worked out anew from the answers that stand, so undoing, repeating or
disputing an answer always leads to the same place. Imports: see ``normals`` and ``golden``.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from inspection.models import Image, Part, View
from inspection.services.references import reference_write
from review.models import Decision, ReviewItem
from training.models import GoldenEntry, PoolEntry

State = PoolEntry.State
DISPUTED = "disputed: good and defect were both said"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the answers that stand put the images of a part; ``state`` empty: nowhere."""

    state: str
    why: str
    decision: Decision | None = None
    may_calibrate: bool = False
    probability: float = 1.0


def pool_follow_decision(decision: Decision) -> None:
    """Move the images of a decision's part into, or out of, the pools.

    Runs inside the transaction of the decision. Golden images never enter; answers to seeded
    known parts teach nothing.
    """
    item = decision.item
    if item.reason == ReviewItem.Reason.SEEDED:
        return
    # Two people answering about one part at once must see each other's answer here.
    Part.objects.select_for_update().get(pk=item.part_id)
    place = _place_of(_standing_decisions(item))
    now = timezone.now()
    # By bytes, not by row: a golden picture that comes along the line again is still golden.
    golden = GoldenEntry.objects.filter(view__product=item.product_id).values("image__blob")
    images = (
        Image.objects.filter(part_id=item.part_id, round=item.routing.round)
        .exclude(blob__in=golden)
        .select_related("pool_entry", "health")
    )
    for image in images:
        entry = getattr(image, "pool_entry", None)
        if entry is None:
            if place.state and _can_teach(image):
                PoolEntry.objects.create(image=image, view_id=image.view_id, **_fields(place, now))
            continue
        _entry_move(entry, place, now)
    _drop_references(item.part_id, item.routing.round, place)


def _drop_references(part_id: int, part_round: int, place: _Place) -> None:
    """Take a golden reference away that no answer calls good any more."""
    if place.state == State.QUARANTINED:
        return
    views = View.objects.filter(
        reference_image__part=part_id, reference_image__round=part_round
    ).exclude(reference_image__pool_entry__state__in=(State.VERIFIED, State.USED))
    for view in views:
        reference_write(view=view, image=None, person=None)


def _can_teach(image: Image) -> bool:
    """Return whether a model may see it as an example: a picture in the dark shows no normal."""
    health = getattr(image, "health", None)
    return image.state == Image.State.SCORED and (health is None or health.is_healthy)


def _standing_decisions(item: ReviewItem) -> list[Decision]:
    """Return the answers about the item's part and round that nothing took the place of."""
    standing = (
        Decision.objects.filter(item__part_id=item.part_id, item__routing__round=item.routing.round)
        .filter(superseded_by__isnull=True)
        .exclude(verdict=Decision.Verdict.UNDONE)
        .exclude(item__reason=ReviewItem.Reason.SEEDED)
        .select_related("item__routing", "person")
        .order_by("at", "id")
    )
    return list(standing)


def _place_of(standing: list[Decision]) -> _Place:
    good = [decision for decision in standing if decision.verdict == Decision.Verdict.GOOD]
    defect = [decision for decision in standing if decision.verdict == Decision.Verdict.DEFECT]
    if good and defect:
        return _Place("", DISPUTED)
    if defect:
        return _Place(State.DEFECT, "confirmed defect", defect[0])
    if not good:
        return _Place("", "no answer stands" if not standing else "the answer is not clear yet")
    routing = good[0].item.routing
    # A flagged part was chosen for its score, whoever looks at it again: it never calibrates.
    is_audit = routing.is_audit and routing.outcome == "pass"
    return _Place(
        State.QUARANTINED,
        "good in an audit" if is_audit else "flag rejected: good",
        good[0],
        may_calibrate=is_audit,
        probability=(routing.audit_probability or 1.0) if is_audit else 1.0,
    )


def _fields(place: _Place, now: datetime) -> dict[str, object]:
    decision = place.decision
    if decision is None:
        raise ValueError("only an answer puts an image into a pool")
    wait = timedelta(hours=settings.QUARANTINE_H)
    return {
        "state": place.state,
        "decision": decision,
        "added_by": decision.person,
        "why": place.why,
        "may_calibrate": place.may_calibrate,
        "selection_probability": place.probability,
        "quarantine_until": decision.at + wait if place.state == State.QUARANTINED else None,
        "changed_at": now,
    }


def _entry_move(entry: PoolEntry, place: _Place, now: datetime) -> None:
    """Bring an entry to where its part's answers put it."""
    if entry.attestation_id is not None and place.state in {"", State.QUARANTINED}:
        disputed = place.why == DISPUTED
        if entry.state in {State.DEFECT, State.WITHDRAWN} and not disputed:
            _entry_set(entry, state=State.VERIFIED, why="attested import", changed_at=now)
        elif disputed:
            _entry_set(entry, state=State.WITHDRAWN, why=place.why, changed_at=now)
        return
    if not place.state:
        _entry_set(
            entry, state=State.WITHDRAWN, why=place.why, may_calibrate=False,
            quarantine_until=None, changed_at=now,
        )  # fmt: skip
        return
    stays_in = place.state == State.QUARANTINED and entry.state in {State.VERIFIED, State.USED}
    if stays_in and entry.decision_id == getattr(place.decision, "pk", None):
        return  # one more good: the first one's quarantine is over already
    if entry.attestation_id is not None:
        _entry_set(entry, state=place.state, why=place.why, changed_at=now)
    else:
        _entry_set(entry, **_fields(place, now))


def _entry_set(entry: PoolEntry, **fields: object) -> None:
    for name, value in fields.items():
        setattr(entry, name, value)
    entry.save(update_fields=list(fields))


@transaction.atomic
def pools_release(*, now: datetime | None = None, view: View | None = None) -> int:
    """Let normals whose quarantine is over become verified; returns how many.

    Disputed and undone ones were withdrawn when that was said, so waiting is all that is left.
    """
    now = now or timezone.now()
    where = Q(state=State.QUARANTINED, quarantine_until__lte=now)
    if view is not None:
        where &= Q(view=view)
    return PoolEntry.objects.filter(where).update(state=State.VERIFIED, changed_at=now)
