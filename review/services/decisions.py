"""Decisions: what a person said of an item, and the undoing of it. Append-only."""

from collections.abc import Collection

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from inspection.access import DECIDERS, require
from inspection.errors import ConflictError, DomainError, NotFoundError
from inspection.models import DefectType, Person
from inspection.services.events import event_record
from review import hooks
from review.models import Decision, Look, ReviewItem
from review.selectors.queue import item_of, items_of
from review.selectors.sight import has_seen
from review.selectors.station import UNDO_WITHIN
from review.services.items import item_follow_up
from review.services.leases import LEASE, refuse_item
from review.services.looks import counts_blind
from review.services.verdicts import part_verdict_update

Reason = ReviewItem.Reason
State = ReviewItem.State
Verdict = Decision.Verdict

MOST_SECONDS = 3600.0  # a picture left open over lunch is not an hour's thought


@transaction.atomic
def decision_record(
    *,
    person: Person,
    item_id: int,
    verdict: str,
    key: str,
    defect_types: Collection[int] = (),
    note: str = "",
    seconds: float = 0.0,
    terminal: str = "",
) -> Decision:
    """Record a person's answer to an item and return it; the same key again is the same answer.

    Raises:
        ConflictError: Somebody else answered or has it; the key was used for another item.
        DomainError: Unknown verdict, or defect types that are not the product's.
        NotAllowedError: The person may not decide on this line.
    """
    if verdict not in {Verdict.DEFECT, Verdict.GOOD, Verdict.UNSURE, Verdict.RESHOOT}:
        raise DomainError("Answer defect, good, unsure or reshoot.", {"verdict": verdict[:20]})
    item = _locked(item_of(person, item_id).pk)
    require(person, item.line, DECIDERS)
    before = Decision.objects.filter(person=person, key=key).first()
    if before is not None:
        if before.item_id != item.pk or before.verdict == Verdict.UNDONE:
            raise ConflictError("This key was used for another answer.", {"key": key})
        return before
    types = _types_of(item, verdict, defect_types)
    now = timezone.now()
    # Free, or mine: a lease of mine that ran out and that nobody took is still good.
    mine_or_free = Q(leased_by=person) | (
        (Q(lease_until__isnull=True) | Q(lease_until__lte=now)) & ~Q(not_for=person)
    )
    answerable = ReviewItem.objects.filter(mine_or_free, pk=item.pk, state=State.WAITING)
    if not answerable.exists():
        refuse_item(item, person)
    looked_before = has_seen(person, item)
    decision = Decision.objects.create(
        item=item,
        person=person,
        verdict=verdict,
        note=note.strip(),
        terminal=terminal[:100],
        seconds=min(max(seconds, 0.0), MOST_SECONDS),
        looked_before=looked_before,
        key=key,
        at=now,
    )
    decision.defect_types.set(types)
    changed = ReviewItem.objects.filter(pk=item.pk, state=State.WAITING).update(
        state=State.ANSWERED,
        decision=decision,
        answered_at=now,
        leased_by=None,
        lease_until=None,
    )
    if changed != 1:  # no lock on this database kept another answer out: this one is rolled back
        refuse_item(item, person)
    if _needs_another(item, verdict, looked_before=looked_before):
        lookers = set(Look.objects.filter(item=item).values_list("person_id", flat=True))
        item_follow_up(item=item, not_for=lookers | {person.pk})
    _conclude(decision, kind="decision.recorded")
    return decision


@transaction.atomic
def decision_undo(*, person: Person, decision_id: int, key: str) -> Decision:
    """Take back one's own answer: the item waits again, in use by the same person.

    Returns:
        The undoing record. The same key again is the same undoing.

    Raises:
        NotFoundError: No such decision of this person.
        ConflictError: It no longer counts, another person answered since, or it is too old.
    """
    decision = Decision.objects.filter(
        pk=decision_id, person=person, item__in=items_of(person)
    ).first()
    if decision is None or decision.verdict == Verdict.UNDONE:
        raise NotFoundError("There is no such answer of yours.")
    item = _locked(decision.item_id)
    require(person, item.line, DECIDERS)
    before = Decision.objects.filter(person=person, key=key).first()
    if before is not None:
        if before.supersedes_id != decision.pk:
            raise ConflictError("This key was used for another answer.", {"key": key})
        return before
    now = timezone.now()
    if now - decision.at > UNDO_WITHIN:
        raise ConflictError("This answer is too old to undo.", {"at": decision.at.isoformat()})
    if item.part.round != item.routing.round:
        raise ConflictError("The part has come back since: answer its new pictures.", {})
    _withdraw_follow_up(item)
    changed = ReviewItem.objects.filter(pk=item.pk, state=State.ANSWERED, decision=decision).update(
        state=State.WAITING,
        decision=None,
        answered_at=None,
        leased_by=person,
        lease_until=now + LEASE,
    )
    if changed != 1:
        raise ConflictError("This answer was already undone.", {})
    if counts_blind(item):
        item.not_for.add(person)  # the panel opened with the answer: no longer a blind eye
    undone = Decision.objects.create(
        item=item, person=person, verdict=Verdict.UNDONE, key=key, supersedes=decision, at=now
    )
    _conclude(undone, kind="decision.undone")
    return undone


def _locked(item_id: int) -> ReviewItem:
    """Return the item, locked where the database can: two answers with one key come in turn."""
    return (
        ReviewItem.objects.select_for_update(of=("self",))
        .select_related("line", "part", "routing")
        .get(pk=item_id)
    )


def _types_of(item: ReviewItem, verdict: str, wanted: Collection[int]) -> list[DefectType]:
    ids = set(wanted)
    if ids and verdict != Verdict.DEFECT:
        raise DomainError("Only a defect has defect types.", {"defect_types": sorted(ids)})
    types = list(DefectType.objects.filter(pk__in=ids, product_id=item.product_id))
    unknown = sorted(ids - {defect_type.pk for defect_type in types})
    if unknown:
        raise DomainError("These defect types are not the product's.", {"defect_types": unknown})
    return types


def _needs_another(item: ReviewItem, verdict: str, *, looked_before: bool) -> bool:
    """Return whether the part goes on to another, blind person."""
    if verdict == Verdict.UNSURE:
        return True
    if item.reason == Reason.FLAGGED:
        return False
    return verdict == Verdict.RESHOOT or (item.is_blind and looked_before)


def _withdraw_follow_up(item: ReviewItem) -> None:
    """Withdraw what waits only because of the answer that is being undone.

    Raises:
        ConflictError: Another person answered it meanwhile.
    """
    later = list(
        ReviewItem.objects.select_for_update(of=("self",)).filter(
            routing_id=item.routing_id, reason=item.reason, round__gt=item.round
        )
    )
    for follow_up in later:
        if follow_up.state == State.ANSWERED:
            other = Decision.objects.select_related("person").get(
                item=follow_up, superseded_by__isnull=True
            )
            raise ConflictError(
                f"{other.person.display_name} has answered this part since.",
                {"by": other.person.display_name, "at": other.at.isoformat()},
            )
    ReviewItem.objects.filter(
        pk__in=[follow_up.pk for follow_up in later], state=State.WAITING
    ).update(state=State.WITHDRAWN, leased_by=None, lease_until=None)


def _conclude(decision: Decision, *, kind: str) -> None:
    """Do what every new record brings with it: the part's verdict, the log, whoever listens."""
    item = decision.item
    part = part_verdict_update(part_id=item.part_id)
    names = decision.defect_types.order_by("name").values_list("name", flat=True)
    event_record(
        kind=kind,
        subject=f"decision:{decision.pk}",
        actor=decision.person,
        data={
            "item": item.pk,
            "part": item.part_id,
            "serial": part.serial,
            "verdict": decision.verdict,
            "defect_types": list(names),
            "looked_before": decision.looked_before,
            "supersedes": decision.supersedes_id,
        },
    )
    hooks.decision_recorded.call(decision)
