"""The tick: due once, by the clock on the wall or by count."""

import threading
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.utils import timezone

from inspection.models import Outbox, Policy, View
from tests import factories
from tests.training.records import add_normal, make_run
from training.models import PoolEntry, Run
from training.receivers import TrainingQueue
from training.services.runs import run_claim, run_end, run_request_in_slot
from training.services.schedule import latest_day, schedule_tick

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)  # 12:00 in Berlin


def view_with(count: int = 6, **policy: Any) -> View:
    view = factories.make_view(factories.make_product(**policy))
    Policy.objects.filter(product=view.product).update(created_at=NOON - timedelta(days=3))
    for _ in range(count):
        add_normal(view)
    return view


@pytest.mark.django_db
def test_due_by_the_clock_is_one_candidate_run_a_day() -> None:
    view = view_with(retrain_at=time(11, 0))
    (run,) = schedule_tick(now=NOON)
    policy = view.product.policies.get()
    assert run.slot == f"{view.pk}:{policy.pk}:2026-05-04"
    assert run.trigger == Run.Trigger.SCHEDULE
    assert run.requested_by is None
    assert run.promote_when_done is False
    claimed = run_claim(run_id=run.pk)
    assert claimed is not None
    run_end(claimed, Run.State.DONE, model_version=factories.make_version(view, serve=False))
    add_normal(view)
    assert schedule_tick(now=NOON + timedelta(hours=2)) == []
    assert len(schedule_tick(now=NOON + timedelta(days=1))) == 1
    assert view.promotions.count() == 0


@pytest.mark.django_db
def test_a_rule_written_today_says_nothing_about_this_morning() -> None:
    view = view_with(retrain_at=time(11, 0))
    Policy.objects.filter(product=view.product).update(created_at=NOON - timedelta(minutes=5))
    assert schedule_tick(now=NOON) == []
    assert Run.objects.count() == 0


@pytest.mark.django_db
def test_only_the_policy_in_force_counts() -> None:
    view = view_with(retrain_at=time(11, 0))
    newer = Policy.objects.create(product=view.product, version=2)
    Policy.objects.filter(pk=newer.pk).update(created_at=NOON - timedelta(days=1))
    assert schedule_tick(now=NOON) == []


@pytest.mark.django_db
def test_due_by_count_of_new_normals_and_not_again_for_the_same() -> None:
    view = view_with(count=9, retrain_after_normals=10)
    assert schedule_tick(now=NOON) == []
    add_normal(view)
    (run,) = schedule_tick(now=NOON)
    assert run.trigger == Run.Trigger.COUNT
    claimed = run_claim(run_id=run.pk)
    assert claimed is not None
    run_end(claimed, Run.State.FAILED, "broken")
    assert schedule_tick(now=NOON) == [], "a broken run is not repeated every 20 seconds"
    for _ in range(10):
        add_normal(view)
    assert len(schedule_tick(now=NOON)) == 1


@pytest.mark.django_db
def test_nothing_new_uses_the_slot_up_with_words() -> None:
    view = view_with(retrain_at=time(11, 0))
    (run,) = schedule_tick(now=NOON)
    claimed = run_claim(run_id=run.pk)
    assert claimed is not None
    run_end(claimed, Run.State.DONE, model_version=factories.make_version(view, serve=False))
    assert schedule_tick(now=NOON + timedelta(days=1)) == []
    said = Run.objects.latest("id")
    assert said.state == Run.State.CANCELLED
    assert "Nothing has changed" in said.reason
    rows = Run.objects.count()
    schedule_tick(now=NOON + timedelta(days=1, seconds=20))
    assert Run.objects.count() == rows


@pytest.mark.django_db
def test_an_open_run_is_waited_for() -> None:
    view = view_with(retrain_at=time(11, 0))
    make_run(view, queued_at=timezone.now())
    assert schedule_tick(now=NOON) == []
    assert Run.objects.filter(slot__isnull=False).count() == 0


@pytest.mark.django_db
def test_the_tick_releases_quarantine() -> None:
    view = factories.make_view()
    add_normal(view, state=PoolEntry.State.QUARANTINED, quarantine_until=NOON)
    schedule_tick(now=NOON)
    assert PoolEntry.objects.get().state == PoolEntry.State.VERIFIED


@pytest.mark.django_db
def test_a_quiet_tick_is_cheap(django_assert_max_num_queries: object) -> None:
    for _ in range(5):
        view_with()
    with django_assert_max_num_queries(8):  # type: ignore[operator]
        schedule_tick(now=NOON)


@pytest.mark.django_db(transaction=True)
def test_two_ticks_at_once_make_one_run() -> None:
    view = view_with(retrain_at=time(11, 0))
    start = threading.Barrier(2)
    errors: list[BaseException] = []

    def tick() -> None:
        try:
            start.wait(timeout=10)
            schedule_tick(now=NOON)
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=tick) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert errors == []
    assert Run.objects.filter(view=view).count() == 1
    assert Outbox.objects.filter(topic="train").count() == 1


@pytest.mark.django_db
def test_a_taken_slot_is_left_alone() -> None:
    view = view_with()
    make_run(view, slot="1:1:2026-05-04", state=Run.State.DONE)
    slot = "1:1:2026-05-04"
    assert run_request_in_slot(view=view, slot=slot, trigger=Run.Trigger.SCHEDULE) is None
    assert Run.objects.count() == 1


@pytest.mark.parametrize(
    ("utc", "at", "day"),
    [
        # Spring: 02:30 does not exist on 29 March; the day is passed at 03:00 summer time.
        (datetime(2026, 3, 29, 0, 59, tzinfo=UTC), time(2, 30), date(2026, 3, 28)),
        (datetime(2026, 3, 29, 1, 1, tzinfo=UTC), time(2, 30), date(2026, 3, 29)),
        # Autumn: 02:30 comes twice on 25 October and is one and the same day.
        (datetime(2026, 10, 25, 0, 31, tzinfo=UTC), time(2, 30), date(2026, 10, 25)),
        (datetime(2026, 10, 25, 1, 31, tzinfo=UTC), time(2, 30), date(2026, 10, 25)),
        (datetime(2026, 10, 25, 3, 0, tzinfo=UTC), time(2, 30), date(2026, 10, 25)),
    ],
)
def test_the_day_follows_the_clock_on_the_wall(utc: datetime, at: time, day: date) -> None:
    assert latest_day(utc, at, BERLIN) == day


@pytest.mark.django_db
def test_a_training_worker_ticks_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks: list[bool] = []

    def tick() -> list[Run]:
        ticks.append(True)
        return []

    monkeypatch.setattr("training.services.schedule.schedule_tick", tick)
    queue = TrainingQueue()
    assert queue.work_one(0) is False
    assert queue.work_one(0) is False
    assert ticks == [True], "not at every look"
