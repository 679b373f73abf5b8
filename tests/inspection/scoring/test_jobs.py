"""Jobs: claimed once, ended once, found again."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from detection.manifest import ArtifactError
from inspection.blobs import BlobStore, blob_store
from inspection.errors import StorageFullError
from inspection.models import HealthSample, Image, Outbox, Routing, Score, ScoringJob
from inspection.services import jobs
from inspection.services.jobs import collected_enqueue, job_claim, job_run, jobs_sweep
from inspection.tasks import score_job
from tests import factories
from tests.inspection.scoring.conftest import FakeModel, Heard, Line, state_of

Purpose, State = ScoringJob.Purpose, ScoringJob.State


def _claim(job: ScoringJob) -> ScoringJob:
    claimed = job_claim(job_id=job.pk)
    assert claimed is not None
    return claimed


def _expire(job: ScoringJob) -> None:
    ScoringJob.objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


def test_a_job_is_claimed_once(line: Line) -> None:
    job = line.job()
    first = _claim(job)
    assert job_claim(job_id=job.pk) is None
    assert job_claim() is None
    assert first.attempts == 1
    assert uuid.UUID(first.lease_token)
    assert first.lease_until is not None


def test_the_oldest_live_job_comes_first(line: Line) -> None:
    replay = line.job(purpose=Purpose.REPLAY, queued_at=factories.minutes_ago(9))
    ScoringJob.objects.filter(pk=replay.pk).update(model_version=line.version)
    young = line.job(queued_at=factories.minutes_ago(1))
    old = line.job(queued_at=factories.minutes_ago(5))
    order = [claimed.pk for claimed in (job_claim(), job_claim(), job_claim()) if claimed]
    assert order == [old.pk, young.pk, replay.pk]


def test_a_young_job_is_left_to_its_bell(line: Line) -> None:
    line.job()
    assert job_claim(waited_s=1) is None
    assert job_claim() is not None


def test_a_job_becomes_score_health_heat_and_routing(
    line: Line, model: FakeModel, heard: Heard
) -> None:
    job = line.job(dark=False)
    job_run(_claim(job))
    score = Score.objects.get()
    assert state_of(job) == ("done", "scored")
    assert (score.image_id, score.model_version_id) == (job.image_id, line.version.pk)
    assert score.value == pytest.approx(2.0, abs=0.01)
    assert score.embedding is not None
    assert len(score.embedding) == 3 * 4
    assert score.regions[0]["box_xyxy"] == [0, 0, 64, 48]
    assert (score.explanation or {})["normal_id"] == "normal-1"
    assert score.heat_id is not None
    assert blob_store().read(score.heat_id).startswith(b"\x89PNG")
    assert HealthSample.objects.get().brightness == pytest.approx(200, abs=1)
    assert Routing.objects.get().outcome == "review"
    assert ScoringJob.objects.get().model_version_id == line.version.pk
    assert [routing.part_id for routing in heard.routed] == [job.image.part_id]


def test_a_second_delivery_changes_nothing(line: Line, model: FakeModel) -> None:
    job = line.job()
    for _ in range(5):
        score_job(job.pk)
    assert len(model.calls) == 1
    assert (Score.objects.count(), Routing.objects.count()) == (1, 1)
    assert Outbox.objects.filter(topic="line").count() == 1


def test_a_worker_that_lost_its_lease_writes_nothing(line: Line, model: FakeModel) -> None:
    job = line.job()
    late = _claim(job)
    _expire(job)
    jobs_sweep()
    job_run(_claim(job))
    job_run(late)
    assert len(model.calls) == 1  # the late one found the score
    assert Score.objects.count() == 1
    assert state_of(job) == ("done", "scored")


def test_a_lease_lost_while_scoring_throws_the_result_away(line: Line, model: FakeModel) -> None:
    job = line.job()

    def stolen() -> None:
        ScoringJob.objects.filter(pk=job.pk).update(lease_token="somebody else's")

    model.before = stolen
    job_run(_claim(job))
    assert Score.objects.count() == HealthSample.objects.count() == Routing.objects.count() == 0
    assert state_of(job) == ("running", "accepted")


def test_the_lease_is_longer_after_the_model_was_loaded(
    line: Line, model: FakeModel, settings: Any
) -> None:
    job = line.job()
    claimed = _claim(job)
    before = claimed.lease_until
    seen: list[Any] = []
    model.before = lambda: seen.append(ScoringJob.objects.get(pk=job.pk).lease_until)
    settings.JOB_LEASE_S = 600
    job_run(claimed)
    assert seen[0] is not None
    assert before is not None
    assert seen[0] > before + timedelta(seconds=300)


def test_a_killed_workers_job_is_put_back_and_scored(line: Line, model: FakeModel) -> None:
    job = line.job()
    _claim(job)  # and the worker dies
    assert jobs_sweep().requeued == []
    _expire(job)
    assert jobs_sweep().requeued == [job.pk]
    again = _claim(job)
    assert again.attempts == 2
    job_run(again)
    assert state_of(job) == ("done", "scored")


def test_a_poison_image_ends_as_failed_and_in_review(
    line: Line, model: FakeModel, heard: Heard
) -> None:
    job = line.job()
    for _ in range(3):
        _claim(job)  # and the worker dies
        _expire(job)
        swept = jobs_sweep()
    assert swept.failed == [job.pk]
    assert state_of(job) == ("failed", "failed")
    routing = heard.routed[0]
    assert routing.outcome == "review"
    assert routing.reasons[0]["code"] == "failed"
    assert "scoring stopped without a result" in routing.reasons[0]["message"]
    told = Outbox.objects.get(topic="line")
    assert told.payload["outcome"] == "no verdict"


def test_an_error_is_retried_after_a_while_and_then_given_up(
    line: Line, model: FakeModel, heard: Heard
) -> None:
    model.error = RuntimeError("the engine stumbled")
    job = line.job()
    for attempt in (1, 2):
        job_run(_claim(job))
        waiting = ScoringJob.objects.get()
        assert (waiting.state, waiting.attempts) == ("queued", attempt)
        assert waiting.reason == "RuntimeError: the engine stumbled"
        assert job_claim() is None  # not before its time
        _expire(job)
    job_run(_claim(job))
    assert state_of(job) == ("failed", "failed")
    assert Image.objects.get().reason == "RuntimeError: the engine stumbled"
    assert heard.routed[0].outcome == "review"


def test_an_error_that_passes_leaves_a_score(line: Line, model: FakeModel) -> None:
    model.error = OSError("the file server was away")
    job = line.job()
    job_run(_claim(job))
    model.error = None
    _expire(job)
    job_run(_claim(job))
    assert state_of(job) == ("done", "scored")


def test_pixels_that_cannot_be_read_fail_at_once_with_plain_words(
    line: Line, model: FakeModel, heard: Heard
) -> None:
    job = factories.make_job(factories.make_image(line.view, data=b"no picture"))
    job_run(_claim(job))
    assert state_of(job) == ("failed", "failed")
    assert "not an image file" in Image.objects.get().reason
    assert heard.routed[0].outcome == "review"


def test_a_broken_model_file_never_lets_a_part_pass(
    line: Line, monkeypatch: pytest.MonkeyPatch, heard: Heard
) -> None:
    def broken(version: object) -> None:
        raise ArtifactError("bank.safetensors", "was changed after the model was saved.")

    monkeypatch.setattr("inspection.services.registry.version_load", broken)
    job = line.job()
    for _ in range(3):
        job_run(_claim(job))
        _expire(job)
    assert state_of(job) == ("failed", "failed")
    assert "bank.safetensors: was changed" in heard.routed[0].reasons[0]["message"]


def test_a_full_disk_costs_no_attempt(
    line: Line, model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = line.job()

    def full(store: object, data: bytes) -> None:
        raise StorageFullError("The disk is almost full: make room, then send it again.")

    with monkeypatch.context() as patch:
        patch.setattr(BlobStore, "put", full)
        for _ in range(5):
            job_run(_claim(job))
            _expire(job)
    assert ScoringJob.objects.get().attempts == 0
    job_run(_claim(job))
    assert state_of(job) == ("done", "scored")


def test_a_score_that_is_no_number_fails(line: Line, model: FakeModel) -> None:
    model.value = float("nan")
    job = line.job()
    for _ in range(3):
        job_run(_claim(job))
        _expire(job)
    assert state_of(job) == ("failed", "failed")
    assert Score.objects.count() == 0


def test_without_a_model_images_are_collected_and_scored_once_there_is_one(
    db: None, model: FakeModel, heard: Heard
) -> None:
    product = factories.make_product(audit_rate=0.0)
    view = factories.make_view(product)
    job = Line(product, view, None).job()  # type: ignore[arg-type]
    score_job(job.pk)
    assert state_of(job) == ("collected", "collected")
    job.image.part.refresh_from_db()
    assert job.image.part.outcome == "no verdict"
    assert [part.pk for part in heard.collected] == [job.image.part_id]
    assert Outbox.objects.get(topic="line").payload["outcome"] == "no verdict"
    assert Routing.objects.count() == 0

    factories.make_threshold(factories.make_version(view), review_from=0.7)
    assert collected_enqueue(view) == 1
    assert collected_enqueue(view) == 0
    assert state_of(job) == ("queued", "accepted")
    assert Outbox.objects.get(topic="score").payload == {"job_id": job.pk}
    score_job(job.pk)
    assert state_of(job) == ("done", "scored")
    assert Routing.objects.get().outcome == "pass"


def test_replay_and_shadow_leave_image_and_part_alone(line: Line, model: FakeModel) -> None:
    job = line.job()
    score_job(job.pk)
    candidate = factories.make_version(line.view, serve=False)
    shadow = factories.make_job(job.image, purpose=Purpose.SHADOW, model_version=candidate)
    again = factories.make_job(job.image, purpose=Purpose.REPLAY, model_version=line.version)
    model.value = 99.0
    score_job(shadow.pk)
    score_job(again.pk)
    assert Score.objects.get(model_version=candidate).value == 99.0
    assert Score.objects.filter(model_version=line.version).count() == 1
    assert Routing.objects.count() == 1
    assert state_of(again) == ("done", "scored")


def test_a_failing_shadow_does_not_fail_the_image(line: Line, model: FakeModel) -> None:
    job = line.job()
    score_job(job.pk)
    candidate = factories.make_version(line.view, serve=False)
    shadow = factories.make_job(job.image, purpose=Purpose.SHADOW, model_version=candidate)
    model.error = RuntimeError("no")
    for _ in range(3):
        job_run(_claim(shadow))
        _expire(shadow)
    assert state_of(shadow) == ("failed", "scored")


def test_jobs_that_nobody_rang_for_are_named(line: Line) -> None:
    old = line.job(queued_at=factories.minutes_ago(1))
    line.job()
    retry = line.job(queued_at=factories.minutes_ago(1))
    later = timezone.now() + timedelta(minutes=1)
    ScoringJob.objects.filter(pk=retry.pk).update(lease_until=later)
    assert jobs_sweep().unheard == [old.pk]


def test_a_part_that_cannot_be_routed_does_not_stop_the_sweep(
    line: Line, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [line.job(), line.job()]
    for job in both:
        _claim(job)
        ScoringJob.objects.filter(pk=job.pk).update(
            attempts=3, lease_until=factories.minutes_ago(1)
        )

    def refuses_first(part: Any, **_: Any) -> None:
        if part.pk == both[0].image.part_id:
            raise RuntimeError("receiver")

    monkeypatch.setattr(jobs, "part_route", refuses_first)
    assert jobs_sweep().failed == [both[1].pk]
    assert state_of(both[0]) == ("running", "accepted")


def test_job_run_asks_the_same_number_of_questions_for_any_number_of_parts(
    line: Line, model: FakeModel, django_assert_max_num_queries: Any
) -> None:
    for _ in range(30):
        score_job(line.job().pk)
    job = line.job()
    with django_assert_max_num_queries(28):
        score_job(job.pk)
    assert state_of(job) == ("done", "scored")
