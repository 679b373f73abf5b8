"""Windows in site time, over the change of clocks as well."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from review.windows import Window, window_of

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def _just_after_midnight_in_berlin(monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)
    monkeypatch.setattr(timezone, "now", lambda: now)


@pytest.mark.usefixtures("_just_after_midnight_in_berlin")
@pytest.mark.parametrize(
    ("name", "first", "last"),
    [("today", 23, 23), ("yesterday", 22, 22), ("7", 17, 23), ("nonsense", 23, 23)],
)
def test_days_are_the_sites(name: str, first: int, last: int) -> None:
    window = window_of(name, "", "", BERLIN)
    assert (window.first, window.last) == (date(2026, 11, first), date(2026, 11, last))
    assert window.start.astimezone(UTC).hour == 23


@pytest.mark.usefixtures("_just_after_midnight_in_berlin")
@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("2026-11-01", "2026-11-03", (1, 3)),
        ("2026-11-03", "2026-11-01", (1, 3)),
        ("2026-11-05", "", (5, 5)),
        ("2026-13-01", "", (23, 23)),
        ("9999-01-01", "", (23, 23)),
        ("0001-01-01", "", (23, 23)),
    ],
)
def test_two_dates_or_today(first: str, last: str, expected: tuple[int, int]) -> None:
    window = window_of("custom", first, last, BERLIN)
    assert (window.first.day, window.last.day) == expected


def test_a_window_never_exceeds_a_year() -> None:
    assert window_of("custom", "2024-01-01", "2026-01-01", BERLIN).days == 366


def test_the_day_the_clock_goes_back_has_25_hours() -> None:
    autumn = Window("custom", date(2025, 10, 26), date(2025, 10, 26), BERLIN)
    spring = Window("custom", date(2025, 3, 30), date(2025, 3, 30), BERLIN)
    assert len(autumn.buckets()) == 25
    assert len(spring.buckets()) == 23
    assert autumn.end - autumn.start == timedelta(days=1)  # the wall's clock, not hours gone by


def test_long_windows_go_by_day_and_touch_the_one_before() -> None:
    window = Window("custom", date(2025, 10, 20), date(2025, 10, 26), BERLIN)
    assert window.bucket == "day"
    days = [start.astimezone(BERLIN).day for start in window.buckets()]
    assert days == [20, 21, 22, 23, 24, 25, 26]
    assert window.before.end == window.start


@pytest.mark.parametrize(("name", "step"), [("Europe/Berlin", 3600), ("Asia/Kolkata", 900)])
def test_every_moment_lies_in_one_of_the_buckets(name: str, step: int) -> None:
    zone = ZoneInfo(name)
    for first, last in (((2025, 10, 26), (2025, 10, 26)), ((2025, 10, 20), (2025, 10, 28))):
        window = Window("custom", date(*first), date(*last), zone)
        assert window.step_s == step
        starts = window.buckets()
        moment, seen = window.start.astimezone(UTC), set()
        while moment < window.end.astimezone(UTC):
            bucket = window.bucket_of(moment)
            assert bucket == max(start for start in starts if start <= moment)
            seen.add(bucket)
            moment += timedelta(seconds=step)
        assert seen == set(starts)
