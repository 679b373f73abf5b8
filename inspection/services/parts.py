"""What people do to a part: hold it, release it."""

from django.db import transaction
from django.utils import timezone

from inspection.access import DECIDERS, WATCHERS, require
from inspection.errors import ConflictError, DomainError
from inspection.models import Part, Person
from inspection.services.events import event_record
from inspection.services.outbox import LINE, outbox_add


@transaction.atomic
def part_hold(*, part: Part, person: Person, reason: str) -> Part:
    """Hold a part and tell its line. Everybody on the line may stop a part.

    Raises:
        NotAllowedError: No role on the part's line.
        DomainError: No reason given.
        ConflictError: It is on hold already.
    """
    require(person, part.line, DECIDERS)
    reason = " ".join(reason.split())[:300]
    if not reason:
        raise DomainError("Say why the part is held: somebody else must decide when it may go.")
    held = Part.objects.filter(pk=part.pk, held_at__isnull=True).update(
        held_at=timezone.now(), held_by=person, hold_reason=reason
    )
    if held != 1:
        raise ConflictError(f"Part {part.serial} is on hold already.")
    return _tell(part, person, "hold", reason)


@transaction.atomic
def part_release(*, part: Part, person: Person) -> Part:
    """Release a held part and tell its line.

    Raises:
        NotAllowedError: Not a supervisor, engineer or administrator of the line.
        ConflictError: It is not on hold.
    """
    require(person, part.line, WATCHERS)
    released = Part.objects.filter(pk=part.pk, held_at__isnull=False).update(
        held_at=None, held_by=None, hold_reason=""
    )
    if released != 1:
        raise ConflictError(f"Part {part.serial} is not on hold.")
    return _tell(part, person, "release", part.hold_reason)


def _tell(part: Part, person: Person, what: str, reason: str) -> Part:
    part.refresh_from_db(fields=["held_at", "held_by", "hold_reason"])
    event_record(
        kind=f"part.{what}", subject=f"part:{part.pk}", actor=person, data={"reason": reason}
    )
    payload = {
        "event": what,
        "part_id": part.pk,
        "serial": part.serial,
        "product": part.product.name,
        "round": part.round,
        "held": part.held_at is not None,
        "reason": reason,
        "at": timezone.now().isoformat(),
    }
    outbox_add(LINE, payload, line=part.line)
    return part
