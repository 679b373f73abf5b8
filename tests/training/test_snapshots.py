"""What a run may learn from."""

from datetime import UTC, datetime

import pytest
from django.utils import timezone as django_timezone

from inspection.models import Image, View
from tests import factories
from tests.training.records import add_normal
from training.errors import TooFewNormalsError
from training.models import GoldenEntry, PoolEntry
from training.services.snapshots import MIN_NORMALS, snapshot_create

pytestmark = pytest.mark.django_db
State = PoolEntry.State


@pytest.fixture
def view() -> View:
    view = factories.make_view()
    for _ in range(MIN_NORMALS):
        add_normal(view)
    return view


def hashes(view: View) -> set[str]:
    snapshot = snapshot_create(view=view, method="patchcore", config={})
    entries = snapshot.entries.all()
    assert snapshot.image_count == len(entries)
    return {entry.sha256 for entry in entries}


def test_holds_verified_and_used_and_nothing_else(view: View) -> None:
    before = hashes(view)
    used = add_normal(view, state=State.USED)
    for state in (State.QUARANTINED, State.DEFECT, State.WITHDRAWN):
        add_normal(view, state=state)
    add_normal(factories.make_view())
    assert hashes(view) == before | {used.image.blob_id}


def test_never_golden_nor_bytes_that_are_golden_or_a_defect(view: View) -> None:
    before = hashes(view)
    golden = add_normal(view, data=b"golden")
    GoldenEntry.objects.create(
        image=golden.image, view=view, is_defect=False, added_at=django_timezone.now()
    )
    add_normal(view, data=b"golden")
    add_normal(view, data=b"said to be a defect elsewhere")
    add_normal(view, data=b"said to be a defect elsewhere", state=State.DEFECT)
    assert hashes(view) == before


def test_the_same_bytes_count_once(view: View) -> None:
    before = hashes(view)
    add_normal(view, data=b"twice")
    add_normal(view, data=b"twice")
    assert len(hashes(view)) == len(before) + 1


def test_groups_are_the_lot_else_the_local_day(view: View) -> None:
    add_normal(view, data=b"lot", lot="L7")
    late = add_normal(view, data=b"day")
    # 23:30 UTC is the next day in Berlin, where the test plant stands.
    Image.objects.filter(pk=late.image_id).update(
        captured_at=datetime(2026, 5, 4, 23, 30, tzinfo=UTC)
    )
    snapshot = snapshot_create(view=view, method="patchcore", config={})
    groups = set(snapshot.entries.values_list("group", flat=True))
    assert {"lot L7", "day 2026-05-05"} <= groups


def test_the_same_list_is_the_same_snapshot_until_anything_changes(view: View) -> None:
    first = snapshot_create(view=view, method="patchcore", config={})
    assert snapshot_create(view=view, method="patchcore", config={}) == first
    assert snapshot_create(view=view, method="patchcore", config={"a": 1}) != first
    assert snapshot_create(view=view, method="other", config={}) != first
    PoolEntry.objects.filter(image__blob__in=list(hashes(view))[:1]).update(may_calibrate=False)
    changed = snapshot_create(view=view, method="patchcore", config={})
    assert changed != first
    judge = factories.make_image(view)
    GoldenEntry.objects.create(
        image=judge, view=view, is_defect=True, added_at=django_timezone.now()
    )
    assert snapshot_create(view=view, method="patchcore", config={}) != changed


def test_an_older_snapshot_keeps_what_was_withdrawn_later(view: View) -> None:
    first = snapshot_create(view=view, method="patchcore", config={})
    gone = first.entries.first()
    assert gone is not None
    add_normal(view)
    PoolEntry.objects.filter(image=gone.image_id).update(state=State.WITHDRAWN)
    assert gone.sha256 not in hashes(view)
    assert first.entries.filter(sha256=gone.sha256).exists()


def test_too_few_is_said_with_numbers() -> None:
    view = factories.make_view()
    add_normal(view)
    with pytest.raises(TooFewNormalsError) as caught:
        snapshot_create(view=view, method="patchcore", config={})
    assert caught.value.extra == {"have": 1, "need": MIN_NORMALS}


def test_queries_do_not_grow_with_images(view: View, django_assert_max_num_queries: object) -> None:
    for _ in range(40):
        add_normal(view)
    with django_assert_max_num_queries(12):  # type: ignore[operator]
        snapshot_create(view=view, method="patchcore", config={})
