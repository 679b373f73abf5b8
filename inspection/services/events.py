"""The audit log's one writer."""

import hashlib
import json
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from inspection.models import Event, Person

GENESIS = "0" * 64
# One writer at a time may add to the chain; any constant does, it only has to be ours.
ADVISORY_LOCK = 62204


@transaction.atomic
def event_record(
    *, kind: str, subject: str, actor: Person | None, data: dict[str, Any] | None = None
) -> Event:
    """Append an event to the chain, in the caller's transaction.

    Args:
        kind: What happened, "policy.changed".
        subject: To what, "policy:7".
        actor: Who did it; ``None`` for the system itself.
        data: What a reader needs to understand it later; JSON.
    """
    if connection.vendor == "postgresql":
        # SQLite's IMMEDIATE transactions are alone anyway.
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ADVISORY_LOCK])
    previous = Event.objects.order_by("-id").values_list("sha256", flat=True).first() or GENESIS
    event = Event(
        at=timezone.now(), actor=actor, kind=kind, subject=subject, data=data or {},
        previous_sha256=previous,
    )  # fmt: skip
    event.sha256 = event_sha256(event)
    event.save(force_insert=True)
    return event


def event_sha256(event: Event) -> str:
    """Return the hash of an event's content together with its predecessor's hash."""
    content = {
        "at": event.at.isoformat(),
        "actor": event.actor_id,
        "kind": event.kind,
        "subject": event.subject,
        "data": event.data,
        "previous": event.previous_sha256,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
