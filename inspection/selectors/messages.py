"""What lines are told: the outbox topic ``line``, read with a cursor."""

from django.db import connection
from django.db.models import QuerySet

from inspection.models import DeviceToken, Outbox

PAGE = 200


def line_messages(*, device: DeviceToken, after: int, limit: int = PAGE) -> QuerySet[Outbox]:
    """Return the next messages for the token's line (all lines, for a token bound to none).

    On Postgres ids are given before commit: a message could appear behind a cursor that has
    moved on. So those that an unfinished transaction might still precede wait for it. SQLite has
    one writer at a time.
    """
    messages = Outbox.objects.filter(topic="line", id__gt=after).order_by("id")
    line = device.line_id or (device.station.line_id if device.station else None)
    if line is not None:
        messages = messages.filter(line=line)
    if connection.vendor == "postgresql":
        messages = messages.extra(
            where=[
                "age(inspection_outbox.xmin) > age(pg_snapshot_xmin(pg_current_snapshot())::xid)"
            ]
        )
    return messages[: max(1, min(limit, PAGE))]
