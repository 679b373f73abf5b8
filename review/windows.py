"""Windows of time in the site's own zone: today, yesterday, the last days, or two given dates."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.utils import timezone

CHOICES = {"today": "Today", "yesterday": "Yesterday", "7": "7 days", "30": "30 days"}
LONGEST_DAYS = 366
HOUR_S, QUARTER_S = 3600, 900  # some sites are half an hour, or 45 minutes, off the full one
HOURLY_UP_TO_DAYS = 2  # longer windows are drawn by day


@dataclass(frozen=True, slots=True)
class Window:
    """Whole days of the site: from midnight of ``first`` to midnight after ``last``."""

    name: str
    first: date
    last: date
    zone: ZoneInfo

    @property
    def start(self) -> datetime:
        """The first moment of the window."""
        return datetime.combine(self.first, time.min, self.zone)

    @property
    def end(self) -> datetime:
        """The first moment after the window."""
        return datetime.combine(self.last + timedelta(days=1), time.min, self.zone)

    @property
    def days(self) -> int:
        """How many days it covers."""
        return (self.last - self.first).days + 1

    @property
    def bucket(self) -> str:
        """What one bar of a figure covers: ``hour`` or ``day``."""
        return "hour" if self.days <= HOURLY_UP_TO_DAYS else "day"

    @property
    def before(self) -> "Window":
        """The window of the same length that ends where this one starts."""
        length = timedelta(days=self.days)
        return Window("custom", self.first - length, self.last - length, self.zone)

    @property
    def title(self) -> str:
        """The name of the window for a heading."""
        if self.name in CHOICES:
            return CHOICES[self.name]
        return _words(self.first) if self.days == 1 else f"{self.days} days"

    @property
    def dates(self) -> str:
        """The days of the window in words."""
        if self.days == 1:
            return _words(self.first)
        return f"{_words(self.first)} to {_words(self.last)}"

    def bucket_of(self, moment: datetime) -> datetime:
        """Return the start, in UTC, of the site's hour or day in which a moment lies.

        In UTC because two hours of the day on which the clock goes back read alike.
        """
        local = moment.astimezone(self.zone)
        if self.bucket == "day":
            return datetime.combine(local.date(), time.min, self.zone).astimezone(UTC)
        past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        return moment.astimezone(UTC) - past

    @property
    def step_s(self) -> int:
        """The steps of real time that never straddle an hour of the site, in seconds."""
        offset = self.start.utcoffset() or timedelta()
        return HOUR_S if offset.total_seconds() % HOUR_S == 0 else QUARTER_S

    def buckets(self) -> list[datetime]:
        """Return the start, in UTC, of every hour or day of the window that has begun.

        Hours are steps of real time: a day of the clock change has 23 or 25 of them.
        """
        end = min(self.end, timezone.now())
        if self.bucket == "day":
            count = self.days
            starts = [
                datetime.combine(self.first + timedelta(days=day), time.min, self.zone).astimezone(
                    UTC
                )
                for day in range(count)
            ]
        else:
            first = self.start.astimezone(UTC)
            hours = int((self.end - first).total_seconds() // 3600)
            starts = [first + timedelta(hours=hour) for hour in range(hours)]
        return [start for start in starts if start < end] or starts[:1]


def window_of(name: str, first: str, last: str, zone: ZoneInfo) -> Window:
    """Return the window that an address asks for; today where it makes no sense.

    Args:
        name: A key of ``CHOICES``; anything else means the two dates.
        first: ISO date, for a custom window.
        last: ISO date, the last day included.
        zone: The site's.
    """
    today = timezone.now().astimezone(zone).date()
    days_back = {"yesterday": (1, 1), "7": (6, 0), "30": (29, 0)}.get(name)
    if days_back is not None:
        back, until = days_back
        return Window(name, today - timedelta(days=back), today - timedelta(days=until), zone)
    if name == "today" or not first:
        return Window("today", today, today, zone)
    try:
        start = date.fromisoformat(first)
        end = date.fromisoformat(last) if last else start
    except ValueError:
        return Window("today", today, today, zone)
    start, end = min(start, end), max(start, end)
    if not date(2000, 1, 1) <= start <= today + timedelta(days=1):
        return Window("today", today, today, zone)
    end = min(end, start + timedelta(days=LONGEST_DAYS - 1))
    return Window("custom", start, end, zone)


def _words(day: date) -> str:
    return f"{day:%a} {day.day} {day:%b %Y}"
