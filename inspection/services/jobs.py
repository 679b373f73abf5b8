"""Scoring jobs: claimed by one worker at a time, ended exactly once, found again after a fault.

The rows are the queue of record. Whoever claims a job holds a lease under a token of its own;
everything a job does becomes visible in one transaction that first checks that token. So a
second delivery, a killed worker or a worker that comes back late changes nothing twice.
"""

import errno
import logging
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import F, Max, Q, QuerySet
from django.utils import timezone

from detection.decoding import DecodeError
from detection.protocol import DetectionError
from inspection.blobs import blob_put, blob_store
from inspection.errors import DomainError, StorageFullError
from inspection.models import (
    HealthSample,
    Image,
    ModelVersion,
    Outcome,
    Part,
    Promotion,
    Score,
    ScoringJob,
    View,
)
from inspection.services import registry, scoring
from inspection.services.outbox import SCORE, outbox_add
from inspection.services.queues import Queue, queue_register
from inspection.services.registry import serving_version
from inspection.services.routing import part_route

logger = logging.getLogger("secondlook.jobs")

Purpose, State = ScoringJob.Purpose, ScoringJob.State

LEASE_IS_YOUNG: Final = 0.75  # of it is left
RING_AGAIN_AFTER_S: Final = 5.0
RETRY_AFTER_S: Final = 2.0  # times the attempts so far: a file server needs moments, not minutes
FULL_AGAIN_AFTER_S: Final = 10.0
STUCK_AFTER_LEASES: Final = 2  # the job is somebody else's by then
SWEEP_BATCH: Final = 200
ENQUEUE_BATCH: Final = 500


class LeaseLostError(Exception):
    """Somebody else holds, or has ended, the job: what was computed is thrown away."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep found: job ids put back, job ids given up, job ids to ring for again."""

    requeued: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    unheard: list[int] = field(default_factory=list)


def job_claim(*, job_id: int | None = None, waited_s: float = 0) -> ScoringJob | None:
    """Claim one queued job and return it with its image, or ``None``.

    Args:
        job_id: This job and no other; without it the oldest one, live before the rest.
        waited_s: Only jobs that have been in the queue for so long.
    """
    now = timezone.now()
    ready = ScoringJob.objects.filter(state=State.QUEUED).filter(
        Q(lease_until__isnull=True) | Q(lease_until__lte=now)  # a retry waits for its time
    )
    if job_id is not None:
        return _take(job_id, ready, now)
    ready = ready.filter(queued_at__lte=now - timedelta(seconds=waited_s)).order_by("queued_at")
    # A few, because another worker may take the first one in between.
    found = list(ready.filter(purpose=Purpose.LIVE).values_list("pk", flat=True)[:4])
    found = found or list(ready.values_list("pk", flat=True)[:4])
    for pk in found:
        job = _take(pk, ready, now)
        if job is not None:
            return job
    return None


def _take(pk: int, ready: QuerySet[ScoringJob], now: datetime) -> ScoringJob | None:
    token = str(uuid.uuid4())
    changed = (
        ready.order_by()
        .filter(pk=pk)
        .update(
            state=State.RUNNING,
            lease_token=token,
            lease_until=now + timedelta(seconds=settings.JOB_LEASE_S),
            attempts=F("attempts") + 1,
        )
    )
    if changed != 1:
        return None
    return ScoringJob.objects.select_related(
        "image__part", "image__station", "image__view__station", "model_version"
    ).get(pk=pk, lease_token=token)


def lease_renew(job: ScoringJob) -> None:
    """Hold on to a claimed job for another lease: called on progress, not by a timer.

    Raises:
        LeaseLostError: It is not ours any more.
    """
    now, lease = timezone.now(), timedelta(seconds=settings.JOB_LEASE_S)
    if job.lease_until is not None and job.lease_until - now > LEASE_IS_YOUNG * lease:
        return  # one durable write less for every image but the first
    if _held(job).update(lease_until=now + lease) != 1:
        raise LeaseLostError
    job.lease_until = now + lease


def job_run(job: ScoringJob) -> None:
    """Bring a claimed job to its end: scored, collected, put back for a retry, or failed.

    Only faults of the database come out of it; the lease then runs out and the sweep takes over.
    """
    try:
        try:
            _run(job)
        except LeaseLostError:
            raise
        except Exception as error:
            _record(job, error)
    except LeaseLostError:
        logger.warning("job %s: lease lost, result thrown away", job.pk)


def work_one(waited_s: float) -> bool:
    """Claim and run one job; return whether there was one."""
    job = job_claim(waited_s=waited_s)
    if job is None:
        return False
    job_run(job)
    return True


def register() -> None:
    """Register scoring as a queue that a worker can serve."""
    queue_register(
        Queue(
            name="scoring",
            work_one=work_one,
            prepare=versions_warm,
            limit_s=STUCK_AFTER_LEASES * settings.JOB_LEASE_S,
        )
    )


def versions_warm() -> None:
    """Load what serves, so that the first image does not wait for it."""
    newest = Promotion.objects.values("view").annotate(newest=Max("id")).order_by("-newest")
    ids = [row["newest"] for row in newest[: registry.KEPT_IN_MEMORY]]
    for promotion in Promotion.objects.filter(pk__in=ids).select_related("version"):
        try:
            registry.version_load(promotion.version)
        except Exception:  # the job that needs it will say so, beside the image
            logger.exception("version %s cannot be loaded", promotion.version_id)


def jobs_sweep(now: datetime | None = None) -> Swept:
    """Put jobs back whose lease ran out, give up those that used all attempts, find the unheard.

    Safe to run in several processes at once: each change checks the lease it saw.
    """
    now = now or timezone.now()
    swept = Swept()
    expired = (
        ScoringJob.objects.filter(state=State.RUNNING, lease_until__lt=now)
        .select_related("image__part")
        .order_by("lease_until")[:SWEEP_BATCH]
    )
    for job in expired:
        try:
            if job.attempts >= settings.JOB_MAX_ATTEMPTS:
                reason = job.reason or "scoring stopped without a result, each time"
                _fail(job, reason)
                swept.failed.append(job.pk)
            else:
                _put_back(job, "scoring stopped without a result", after_s=0, attempts=job.attempts)
                swept.requeued.append(job.pk)
        except LeaseLostError:
            continue
        except Exception:  # one part that cannot be routed must not keep the others waiting
            logger.exception("job %s: cannot be swept", job.pk)
    unheard = ScoringJob.objects.filter(
        Q(lease_until__isnull=True) | Q(lease_until__lte=now),
        state=State.QUEUED,
        queued_at__lt=now - timedelta(seconds=RING_AGAIN_AFTER_S),
    ).order_by("queued_at")
    swept.unheard.extend(unheard.values_list("pk", flat=True)[:SWEEP_BATCH])
    return swept


def collected_enqueue(view: View) -> int:
    """Queue the collected live images of a view, now that a model serves it; return how many."""
    queued = 0
    while True:
        with transaction.atomic():
            jobs = list(
                ScoringJob.objects.select_for_update()
                .filter(image__view=view, purpose=Purpose.LIVE, state=State.COLLECTED)
                .order_by("id")[:ENQUEUE_BATCH]
            )
            if not jobs:
                return queued
            ids = [job.pk for job in jobs]
            ScoringJob.objects.filter(pk__in=ids).update(
                state=State.QUEUED, attempts=0, reason="", queued_at=timezone.now(),
                finished_at=None, lease_token="", lease_until=None,
            )  # fmt: skip
            images = Image.objects.filter(jobs__in=ids, state=Image.State.COLLECTED)
            parts = set(images.values_list("part_id", flat=True))
            Image.objects.filter(jobs__in=ids, state=Image.State.COLLECTED).update(
                state=Image.State.ACCEPTED
            )
            # They wait for an outcome again; parts that were routed by other views keep theirs.
            Part.objects.filter(pk__in=parts, outcome=Outcome.NO_VERDICT, routings=None).update(
                outcome=""
            )
            for pk in ids:
                outbox_add(SCORE, {"job_id": pk})
            queued += len(ids)


def _run(job: ScoringJob) -> None:
    version = job.model_version or serving_version(job.image.view)
    if version is None:
        _end(job, State.COLLECTED, Image.State.COLLECTED)
        return
    if Score.objects.filter(image=job.image_id, model_version=version).exists():
        # A replay of what the live job scored, or the other way round: one score is enough.
        _end(job, State.DONE, Image.State.SCORED, version=version)
        return
    measured = scoring.image_measure(job.image, version, on_loaded=lambda: lease_renew(job))
    # Durable before the row that names it, and not written while the database is held.
    heat_sha256 = blob_store().put(measured.heat_png)
    now = timezone.now()
    score = scoring.score_row(
        image=job.image, version=version, measured=measured, heat_sha256=heat_sha256, scored_at=now
    )
    health = scoring.health_row(image=job.image, measured=measured)
    with transaction.atomic():
        _finish(job, State.DONE, version=version)
        if not HealthSample.objects.filter(image=job.image_id).exists():
            health.save(force_insert=True)
        blob_put(measured.heat_png)  # the row; the bytes are there
        # Scored meanwhile by another job: the constraint says so, and the retry finds the score.
        score.save(force_insert=True)
        _image_end(job, Image.State.SCORED)


def _record(job: ScoringJob, error: Exception) -> None:
    """Put a job that met an error back, or give it up."""
    if isinstance(error, StorageFullError) or getattr(error, "errno", None) == errno.ENOSPC:
        # Not the image's fault: it waits for room without using up an attempt.
        logger.warning("job %s: %s", job.pk, error)
        _put_back(job, _words(error), after_s=FULL_AGAIN_AFTER_S, attempts=job.attempts - 1)
    elif isinstance(error, DecodeError):
        _fail(job, str(error))  # the same bytes say the same again
    elif job.attempts >= settings.JOB_MAX_ATTEMPTS:
        logger.error("job %s: last attempt failed", job.pk, exc_info=error)
        _fail(job, _words(error))
    else:
        logger.warning("job %s: attempt %s failed", job.pk, job.attempts, exc_info=error)
        after_s = RETRY_AFTER_S * job.attempts
        _put_back(job, _words(error), after_s=after_s, attempts=job.attempts)


def _end(
    job: ScoringJob, state: str, image_state: str, *, reason: str = "",
    version: ModelVersion | None = None,
) -> None:  # fmt: skip
    with transaction.atomic():
        _finish(job, state, reason=reason, version=version)
        _image_end(job, image_state, reason)


def _fail(job: ScoringJob, reason: str) -> None:
    logger.warning("job %s: failed after %s attempts: %s", job.pk, job.attempts, reason)
    _end(job, State.FAILED, Image.State.FAILED, reason=reason[:300])


def _held(job: ScoringJob) -> QuerySet[ScoringJob]:
    return ScoringJob.objects.filter(
        pk=job.pk, state=State.RUNNING, lease_token=job.lease_token
    )  # fmt: skip


def _finish(
    job: ScoringJob, state: str, *, reason: str = "", version: ModelVersion | None = None
) -> None:
    """End the job if it is still ours; first statement of the transaction that ends it."""
    changed = _held(job).update(
        state=state,
        reason=reason,
        lease_until=None,
        finished_at=timezone.now(),
        model_version=version or job.model_version,
    )
    if changed != 1:
        raise LeaseLostError


def _put_back(job: ScoringJob, reason: str, *, after_s: float, attempts: int) -> None:
    until = timezone.now() + timedelta(seconds=after_s) if after_s else None
    changed = _held(
        job
    ).update(
        state=State.QUEUED,
        lease_token="",
        lease_until=until,  # not before
        attempts=max(0, attempts),
        reason=reason[:300],
    )
    if changed != 1:
        raise LeaseLostError


def _image_end(job: ScoringJob, state: str, reason: str = "") -> None:
    """Say how the image ended and route its part; other purposes leave both alone."""
    if job.purpose != Purpose.LIVE:
        return
    Image.objects.filter(pk=job.image_id).exclude(state=Image.State.SCORED).update(
        state=state, reason=reason
    )
    part_route(job.image.part, round_number=job.image.round)


def _words(error: Exception) -> str:
    if isinstance(error, DomainError | DetectionError):
        return str(error)  # plain words already
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
