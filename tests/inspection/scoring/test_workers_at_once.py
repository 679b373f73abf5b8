"""Several workers and a sweeper at once: each job ends once, each part is routed once."""

from threading import Event, Thread

import pytest
from django.db import connections
from django.utils import timezone

from inspection.models import Outbox, Routing, Score, ScoringJob
from inspection.services.jobs import job_claim, jobs_sweep, work_one
from tests import factories, images
from tests.inspection.scoring.conftest import FakeModel, Heard

PARTS = 20
WORKERS = 4


class Together:
    """Threads that end, and whose errors are those of the test."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []

    def run(self, *calls: object) -> None:
        """Run every call in a thread of its own and wait for all."""
        threads = [Thread(target=self._one, args=(call,)) for call in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert self.errors == []

    def _one(self, call: object) -> None:
        try:
            call()  # type: ignore[operator]
        except BaseException as error:
            self.errors.append(error)
        finally:
            connections.close_all()


@pytest.fixture
def two_views(transactional_db: None, heard: Heard) -> None:
    """Parts with two images each, all queued."""
    product = factories.make_product(audit_rate=0.0)
    views = [factories.make_view(product, name) for name in ("face", "back")]
    for view in views:
        factories.make_threshold(factories.make_version(view), review_from=0.7)
    now = timezone.now()
    for number in range(PARTS):
        part = factories.make_part(product)
        for view in views:
            data = images.encode(images.part_pixels(number, height=48, width=64))
            factories.make_job(
                factories.make_image(view, part, data=data + bytes([view.pk % 256])), queued_at=now
            )


def _drain() -> None:
    while ScoringJob.objects.filter(state__in=("queued", "running")).exists():
        work_one(0)


def test_each_job_ends_once_and_each_part_is_routed_once(
    two_views: None, model: FakeModel, heard: Heard
) -> None:
    done = Event()

    def sweep() -> None:
        while not done.is_set():
            swept = jobs_sweep()
            assert swept.requeued == swept.failed == []
            done.wait(0.01)

    def work() -> None:
        try:
            _drain()
        finally:
            done.set()

    Together().run(*[work] * WORKERS, sweep)
    assert set(ScoringJob.objects.values_list("state", "attempts")) == {("done", 1)}
    assert Score.objects.count() == 2 * PARTS == len(model.calls)
    assert Routing.objects.count() == PARTS == len(heard.routed)
    assert Outbox.objects.filter(topic="line").count() == PARTS
    assert {routing.scores.count() for routing in Routing.objects.all()} == {2}


def test_of_many_claims_at_once_one_wins(two_views: None) -> None:
    job = ScoringJob.objects.order_by("id")[0]
    won: list[str] = []

    def claim() -> None:
        claimed = job_claim(job_id=job.pk)
        if claimed is not None:
            won.append(claimed.lease_token)

    Together().run(*[claim] * 8)
    assert len(won) == 1
    job.refresh_from_db()
    assert (job.lease_token, job.attempts) == (won[0], 1)
