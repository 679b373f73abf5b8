"""What a view's pools are said to be enough for: normals and lots count, not normals alone."""

from datetime import UTC, datetime

import pytest

from inspection.models import Line, Site, View
from tests import factories
from tests.training.records import add_normal
from training.models import PoolEntry
from training.selectors.pools import Pool, pool_counts

pytestmark = pytest.mark.django_db


@pytest.fixture
def view() -> View:
    return factories.make_view()


def shot_at(entry: PoolEntry, *moment: int) -> None:
    entry.image.captured_at = datetime(*moment, tzinfo=UTC)  # type: ignore[misc, arg-type]
    entry.image.save(update_fields=["captured_at"])


def test_lots_count_and_days_where_there_are_none(view: View) -> None:
    site = view.product.line.site
    site.time_zone = "Asia/Tokyo"
    site.save()
    for lot in ("A", "A", "B"):
        add_normal(view, lot=lot)
    shot_at(add_normal(view), 2026, 3, 1, 14, 0)  # 23:00 of the first in Tokyo
    shot_at(add_normal(view), 2026, 3, 1, 16, 0)  # 01:00 of the second
    shot_at(add_normal(view), 2026, 3, 2, 1, 0)  # 10:00 of the second
    add_normal(view, lot="flagged", may_calibrate=False)
    add_normal(view, lot="undone", state=PoolEntry.State.WITHDRAWN)
    pool = pool_counts([view])[view.pk]
    assert (pool.normals, pool.may_calibrate, pool.lots) == (7, 6, 4)


def test_views_of_several_zones_keep_their_own_counts(view: View) -> None:
    lima = Site.objects.create(name="Second plant", time_zone="America/Lima")
    line = Line.objects.create(site=lima, name="Line 9")
    elsewhere = factories.make_view(factories.make_product(line=line))
    empty = factories.make_view()
    for lot in ("A", "B", "C"):
        add_normal(view, lot=lot)
    add_normal(elsewhere)
    counts = pool_counts([view, elsewhere, empty])
    assert [counts[one.pk].lots for one in (view, elsewhere, empty)] == [3, 1, 0]
    assert pool_counts([]) == {}


@pytest.mark.parametrize(
    ("may_calibrate", "lots", "words"),
    [
        (0, 0, "about 0 of 0 would calibrate now."),
        (42, 1, "about 8 of 1 would calibrate now."),
        (3_000, 1, "about 600 of 1 would calibrate now."),
        (3_000, 40, "about 600 of 8 would calibrate now."),
        (1_000, 60, "about 200 of 12 would calibrate now."),
    ],
)
def test_too_few_normals_or_lots_promise_nothing(may_calibrate: int, lots: int, words: str) -> None:
    promise = Pool(verified=may_calibrate, may_calibrate=may_calibrate, lots=lots).promise
    assert promise.startswith(
        "No promise about false alarms below 299 calibration normals of 10 lots or days; "
    )
    assert promise.endswith(words)


def test_many_normals_of_many_lots_may_carry_a_promise() -> None:
    promise = Pool(verified=1_500, may_calibrate=1_500, lots=50).promise
    assert promise == (
        "About 300 normals of 10 lots or days calibrate: a promise of 1 % is possible where lots "
        "are alike."
    )
