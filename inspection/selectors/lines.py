"""Lines: whether they run, and in which time zone their pages show times."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.utils import timezone

from inspection.access import lines_for
from inspection.models import Person, ScoringJob, Site

# A line is shown as running while its last image is younger than this.
QUIET_AFTER = timedelta(minutes=2)


def line_state(*, person: Person) -> dict[str, Any] | None:
    """Return whether images arrive on the person's lines, and since when, for the top bar.

    Only what is to be scored counts: imported normals do not make a line run.
    """
    lines = lines_for(person)
    last = (
        ScoringJob.objects.filter(image__part__line__in=lines, purpose=ScoringJob.Purpose.LIVE)
        .order_by("-id")
        .values_list("image__received_at", "image__part__line__name")
        .first()
    )
    if last is None:
        return {"running": False, "text": "No image yet", "since": None}
    received_at, name = last
    running = timezone.now() - received_at < QUIET_AFTER
    return {
        "running": running,
        "text": f"{name} running" if running else f"{name} quiet",
        "since": received_at,
    }


def shown_zone() -> ZoneInfo:
    """Return the time zone of the site (the first one, while a plant has one), else UTC."""
    name = Site.objects.order_by("id").values_list("time_zone", flat=True).first() or "UTC"
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def shown_currency() -> str:
    """Return the currency of the site, three letters."""
    return Site.objects.order_by("id").values_list("currency", flat=True).first() or "EUR"
