"""What the policy in force makes of a part: its worst image, an audit flip, one row per round.

Fail-safe: an image that failed, is unhealthy, is missing or cannot be compared with a threshold
never lets its part pass.
"""

import logging
import math
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from inspection import hooks
from inspection.models import (
    HealthSample,
    Image,
    Outcome,
    Part,
    Policy,
    PolicyThreshold,
    Routing,
    Score,
    ScoringJob,
    View,
)
from inspection.services.outbox import LINE, outbox_add

logger = logging.getLogger("secondlook.routing")

# Surprise above the first edge is band 0, below or on the last band 3: audits are planned in them.
BAND_EDGES: Final = (0.30, 0.10, 0.03)
SEVERITY: Final = {Outcome.PASS: 0, Outcome.NO_VERDICT: 1, Outcome.REVIEW: 2, Outcome.REJECT: 3}
# Reasons by which the model itself flagged the part, as opposed to not having been able to say.
FLAGGED: Final = "flagged"
REJECTED: Final = "rejected"
OVERDUE_BATCH: Final = 200

_random = secrets.SystemRandom()  # nobody can learn which passed parts will be audited


@dataclass(frozen=True, slots=True)
class Finding:
    """What one image, or the lack of one, makes of its part."""

    outcome: Outcome
    reasons: tuple[dict[str, Any], ...] = ()
    score: Score | None = None


def surprise_band(surprise: float) -> int:
    """Return 0 (least odd) to 3 for a surprise."""
    return sum(surprise <= edge for edge in BAND_EDGES)


def outcome_for_line(routing: Routing) -> str:
    """Return the outcome that the line is told.

    A part in review only because an image failed, was unhealthy or did not come has no verdict
    of the model: the line must not take it for one.
    """
    codes = {reason["code"] for reason in routing.reasons}
    if routing.outcome == Outcome.REVIEW and FLAGGED not in codes:
        return Outcome.NO_VERDICT
    return routing.outcome


@transaction.atomic
def part_route(part: Part, *, round_number: int | None = None) -> Routing | None:
    """Route a part once everything there is to know of its round is known.

    Returns:
        The routing made now; ``None`` while images are still scored or views are missing (until
        the time-out), when the round is routed already, and when no model serves any view: the
        part is then collected.
    """
    # Of two images of a part that end at once, the second sees the first one's end.
    part = (
        Part.objects.select_for_update(of=("self",))
        .select_related("product", "line")
        .get(pk=part.pk)
    )
    number = part.round if round_number is None else round_number
    if Routing.objects.filter(part=part, round=number).exists():
        return None
    jobs = list(
        ScoringJob.objects.filter(
            image__part=part, image__round=number, purpose=ScoringJob.Purpose.LIVE
        )
        .select_related("image__health")
        .order_by("image_id")
    )
    views = list(part.product.views.all())
    missing = _missing_views(jobs, views)
    if not jobs or any(job.image.state == Image.State.ACCEPTED for job in jobs):
        return None
    if missing and not _timed_out(jobs):
        return None
    if all(job.image.state == Image.State.COLLECTED for job in jobs):
        _collect(part, number)
        return None
    return _route(part, number, jobs, views, missing)


def parts_route_overdue() -> int:
    """Route the parts whose missing views did not come in time; return how many."""
    live = ScoringJob.objects.filter(
        image__part=OuterRef("pk"),
        image__round=OuterRef("round"),
        purpose=ScoringJob.Purpose.LIVE,
    )
    waiting = Q(image__state=Image.State.ACCEPTED)
    fresh = Q(image__received_at__gte=timezone.now() - _timeout())
    overdue = (
        Part.objects.filter(outcome="", first_seen_at__lt=timezone.now() - _timeout())
        .filter(Exists(live), ~Exists(live.filter(waiting | fresh)))
        .order_by("first_seen_at")[:OVERDUE_BATCH]
    )
    routed = 0
    for part in overdue:
        try:
            routed += part_route(part) is not None
        except Exception:  # one part that cannot be routed must not keep the others waiting
            logger.exception("part %s: cannot be routed", part.pk)
    return routed


def _timeout() -> timedelta:
    return timedelta(seconds=settings.PART_TIMEOUT_S)


def _timed_out(jobs: list[ScoringJob]) -> bool:
    # From the last image on: the camera that comes last may be some seconds down the line.
    last: datetime = max(job.image.received_at for job in jobs)
    return last < timezone.now() - _timeout()


def _missing_views(jobs: list[ScoringJob], views: list[View]) -> list[View]:
    there = {job.image.view_id for job in jobs}
    return [view for view in views if view.pk not in there]


def _collect(part: Part, number: int) -> None:
    """No model serves any of its views: the line is told once that there is no verdict."""
    changed = Part.objects.filter(pk=part.pk, outcome="").update(outcome=Outcome.NO_VERDICT)
    if not changed:
        return
    part.outcome = Outcome.NO_VERDICT
    _tell_line(part, number, Outcome.NO_VERDICT, timezone.now())
    hooks.part_collected.call(part)


def _route(
    part: Part, number: int, jobs: list[ScoringJob], views: list[View], missing: list[View]
) -> Routing:
    policy = Policy.objects.filter(product=part.product_id).order_by("-version").first()
    wanted = {(job.image_id, job.model_version_id) for job in jobs}
    scores = {
        score.image_id: score
        for score in Score.objects.filter(image_id__in=[job.image_id for job in jobs]).defer(
            "embedding", "region_embedding", "regions", "explanation"
        )
        if (score.image_id, score.model_version_id) in wanted
    }
    thresholds = {
        (found.view_id, found.model_version_id): found
        for found in PolicyThreshold.objects.filter(
            policy=policy, model_version_id__in={job.model_version_id for job in jobs}
        )
    }
    names = {view.pk: view.name if len(views) > 1 else "" for view in views}
    findings = [
        _finding(job, scores.get(job.image_id), thresholds, names.get(job.image.view_id, ""))
        for job in jobs
    ]
    findings += [_late(view.name) for view in missing]
    outcome = max((finding.outcome for finding in findings), key=SEVERITY.__getitem__)
    worst = _worst_score(findings)
    is_audit, probability = _draw(outcome, policy)
    now = timezone.now()
    routing = Routing.objects.create(
        part=part,
        round=number,
        policy=policy,
        worst_score=worst,
        outcome=outcome,
        surprise_band=surprise_band(worst.surprise) if worst is not None else None,
        is_audit=is_audit,
        audit_probability=probability,
        reasons=[reason for finding in findings for reason in finding.reasons],
        at=now,
    )
    routing.scores.set(scores.values())
    if number == part.round:
        Part.objects.filter(pk=part.pk).update(outcome=outcome)
        part.outcome = outcome
    _tell_line(part, number, outcome_for_line(routing), now)
    hooks.part_routed.call(routing)
    return routing


def _finding(
    job: ScoringJob,
    score: Score | None,
    thresholds: dict[tuple[int, int], PolicyThreshold],
    name: str,
) -> Finding:
    image = job.image
    if image.state == Image.State.COLLECTED:
        return _no(Outcome.NO_VERDICT, "no model", "no model serves yet", name)
    if image.state == Image.State.FAILED or score is None:
        return _no(Outcome.REVIEW, "failed", f"not scored: {image.reason or 'no score'}", name)
    health: HealthSample | None = getattr(image, "health", None)
    if health is not None and not health.is_healthy:
        reasons = tuple(_reason("unhealthy", text, name) for text in health.reasons)
        return Finding(Outcome.REVIEW, reasons, score)
    threshold = thresholds.get((image.view_id, score.model_version_id))
    if threshold is None:
        return _no(
            Outcome.REVIEW, "no threshold", "no threshold for this model version", name, score
        )
    return _compared(score, threshold, name)


def _compared(score: Score, threshold: PolicyThreshold, name: str) -> Finding:
    if not math.isfinite(score.value):
        return _no(Outcome.REVIEW, "failed", "the score is not a number", name, score)
    if threshold.reject_from is not None and score.value >= threshold.reject_from:
        text = f"score {score.value:.3g} reached reject_from {threshold.reject_from:.3g}"
        return _no(Outcome.REJECT, REJECTED, text, name, score)
    if score.value >= threshold.review_from:
        text = f"score {score.value:.3g} reached review_from {threshold.review_from:.3g}"
        return _no(Outcome.REVIEW, FLAGGED, text, name, score)
    return Finding(Outcome.PASS, (), score)


def _late(name: str) -> Finding:
    text = f"no image within {settings.PART_TIMEOUT_S:g} s"
    return _no(Outcome.REVIEW, "late", text, name)


def _no(outcome: Outcome, code: str, text: str, name: str, score: Score | None = None) -> Finding:
    return Finding(outcome, (_reason(code, text, name),), score)


def _reason(code: str, text: str, name: str) -> dict[str, Any]:
    return {"code": code, "message": f"{name}: {text}" if name else text}


def _worst_score(findings: list[Finding]) -> Score | None:
    """Return the score of the worst image; views have different scales, surprise has one."""
    scored = [finding for finding in findings if finding.score is not None]
    if not scored:
        return None
    worst = max(scored, key=lambda found: (SEVERITY[found.outcome], -_surprise(found)))
    return worst.score


def _surprise(finding: Finding) -> float:
    return finding.score.surprise if finding.score is not None else 1.0


def _draw(outcome: Outcome, policy: Policy | None) -> tuple[bool, float | None]:
    """Return the audit flip, and the probability with which a person gets to see the part.

    Of rejected parts, review draws those that a person sees; the rate stands here for later.
    """
    if outcome == Outcome.PASS:
        rate = policy.audit_rate if policy is not None else 1.0
        return _random.random() < rate, rate
    if outcome == Outcome.REJECT:
        return False, policy.rejected_review_rate if policy is not None else 1.0
    return False, None


def _tell_line(part: Part, number: int, outcome: str, at: datetime) -> None:
    payload = {
        "event": "outcome",
        "part_id": part.pk,
        "serial": part.serial,
        "product": part.product.name,
        "round": number,
        "outcome": str(outcome),
        "at": at.isoformat(),
    }
    outbox_add(LINE, payload, line=part.line)
