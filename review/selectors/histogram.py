"""The scores that a serving version gave, as a histogram with the two thresholds of the policy.

For those who watch, and only as a sum: below ``FEWEST`` scores nothing is told, because a bar of
one part would be that part's score.
"""

from dataclasses import dataclass

from django.db.models import Count, F, IntegerField, Max, Min
from django.db.models.functions import Cast, Floor

from inspection.models import ModelVersion, PolicyThreshold, Promotion, Score
from review.selectors.shift import Scope

BINS = 40
FEWEST = 30


@dataclass(frozen=True, slots=True)
class Served:
    """A view and the version that serves it."""

    view: int
    name: str
    version: ModelVersion


@dataclass(frozen=True, slots=True)
class Histogram:
    """Scores in equal bins: ``counts[i]`` of them lie from ``edges[i]`` to ``edges[i + 1]``."""

    name: str
    version: str
    n: int
    edges: list[float]
    counts: list[int]
    review_from: float | None
    reject_from: float | None
    above_review: int


def served_views(scope: Scope) -> list[Served]:
    """Return the views in scope that a version serves, by name."""
    promotions = Promotion.objects.filter(view__product__line__in=scope.lines)
    if scope.product is not None:
        promotions = promotions.filter(view__product=scope.product)
    newest: dict[int, Promotion] = {}
    for promotion in promotions.select_related("view__product", "version").order_by("id"):
        newest[promotion.view_id] = promotion
    served = [Served(pk, str(row.view), row.version) for pk, row in newest.items()]
    return sorted(served, key=lambda one: one.name)


def histogram_of(scope: Scope, served: Served) -> Histogram | None:
    """Return the scores of routed parts of the window; ``None`` while there are too few."""
    scores = Score.objects.filter(scope.during("routings__at"), model_version=served.version)
    range_ = scores.aggregate(n=Count("id"), low=Min("value"), high=Max("value"))
    if range_["n"] < FEWEST:
        return None
    low, high = float(range_["low"]), float(range_["high"])
    width = (high - low) / BINS or 1.0
    rows = (
        scores.values(bin=Cast(Floor((F("value") - low) / width), IntegerField()))
        .annotate(count=Count("id"))
        .order_by()
    )
    counts = [0] * BINS
    for row in rows:
        counts[min(max(row["bin"], 0), BINS - 1)] += row["count"]  # the highest score ends the last
    threshold = (
        PolicyThreshold.objects.filter(model_version=served.version)
        .order_by("-policy__version")
        .first()
    )
    above = scores.filter(value__gte=threshold.review_from).count() if threshold else 0
    return Histogram(
        name=served.name,
        version=str(served.version),
        n=range_["n"],
        edges=[low + width * step for step in range(BINS + 1)],
        counts=counts,
        review_from=threshold.review_from if threshold else None,
        reject_from=threshold.reject_from if threshold else None,
        above_review=above,
    )
