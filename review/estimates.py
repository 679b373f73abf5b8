"""From counts to the numbers of the shift page, each with its n and interval. Pure: no database.

The estimators are those of ``detection.statistics``; from how many events on a rate is shown at
all stands here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt

from scipy.special import gammaincinv

from detection.statistics import AuditedBand, Interval, MissRate, clopper_pearson, miss_rate
from detection.statistics.intervals import ALPHA
from inspection.models import Outcome, Policy
from review.models import Decision
from review.selectors.shift import COMPLETED, SET_ASIDE, Audits, Counts

AUDITS_NEEDED = 30  # below, the count alone
FLAGS_NEEDED = 10
# From this share of audits set aside on, the bound that counts them as misses is shown too.
SET_ASIDE_SHARE = 0.05

DEFECT, GOOD = Decision.Verdict.DEFECT.value, Decision.Verdict.GOOD.value


@dataclass(frozen=True, slots=True)
class Share:
    """A share with its exact interval; ``n`` need not be whole."""

    events: int
    n: float
    interval: Interval

    @property
    def value(self) -> float | None:
        """The share, ``None`` of nothing."""
        return self.events / self.n if self.n else None


@dataclass(frozen=True, slots=True)
class Misses:
    """The miss rate of passed parts, and its bound with every audit set aside as a miss."""

    rate: MissRate
    worst: MissRate | None

    @property
    def is_shown(self) -> bool:
        """Whether there are enough audits for a rate."""
        return self.rate.audits >= AUDITS_NEEDED and self.rate.estimate is not None


@dataclass(frozen=True, slots=True)
class Prices:
    """Costs in the site's currency, weighted over the products of the window."""

    miss: float
    stop: float
    minute: float


@dataclass(frozen=True, slots=True)
class Cost:
    """Money per 1,000 parts seen; ``misses`` and ``interval`` only where audits allow them."""

    misses: float | None
    stopped: float
    review: float
    interval: Interval | None
    n: int

    @property
    def total(self) -> float:
        """All that is known of it."""
        return (self.misses or 0.0) + self.stopped + self.review


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of one window."""

    seen: int
    passed: int
    to_review: int
    rejected: int
    no_verdict: int
    flagged: int
    confirmed: int
    false_alarms: int
    misses: Misses
    good_stopped: Share
    precision: Share
    found: Share
    cost: Cost | None


def numbers_of(counts: Counts, policies: dict[int, Policy]) -> Numbers:
    """Return every number of a window from its counts and the policies in force."""
    seen, passed = counts.parts(), counts.parts(Outcome.PASS)
    to_review, rejected = counts.parts(Outcome.REVIEW), counts.parts(Outcome.REJECT)
    confirmed, false_alarms = counts.flags_answered(DEFECT), counts.flags_answered(GOOD)
    misses = misses_of(counts)
    # Too few audits: no miss is assumed; they move this share by less than their own rate.
    missed = (misses.rate.estimate or 0.0) if misses.is_shown else 0.0
    good = false_alarms + passed * (1 - missed)
    return Numbers(
        seen=seen,
        passed=passed,
        to_review=to_review,
        rejected=rejected,
        no_verdict=counts.parts(Outcome.NO_VERDICT),
        flagged=to_review + rejected,
        confirmed=confirmed,
        false_alarms=false_alarms,
        misses=misses,
        good_stopped=_share(false_alarms, good),
        precision=_share(confirmed, confirmed + false_alarms),
        found=_share(confirmed, seen),
        cost=cost_of(counts, misses, policies),
    )


def misses_of(counts: Counts) -> Misses:
    """Return the miss rate of passed parts from blind audits, by band of surprise."""
    return Misses(
        rate=miss_rate(_bands(counts, [row for row in counts.audits if row.status == COMPLETED])),
        worst=_worst_case(counts),
    )


def cost_of(counts: Counts, misses: Misses, policies: dict[int, Policy]) -> Cost | None:
    """Return the cost per 1,000 parts by the prices of the policies; ``None`` without either.

    Source: MOVER, Zou and Donner 2008, over the miss rate's interval and an exact Poisson one.
    """
    seen = counts.parts()
    if not seen or not policies:
        return None
    stops, passed = counts.flags_answered(GOOD), counts.parts(Outcome.PASS)
    minutes = sum(counts.review_seconds.values()) / 60
    prices = _prices(counts, policies)
    scale = 1000 / seen
    stopped, review = scale * prices.stop * stops, scale * prices.minute * minutes
    if not misses.is_shown:
        return Cost(None, stopped, review, None, seen)
    rate = misses.rate.estimate or 0.0
    missed = scale * prices.miss * passed * rate
    low, high = poisson_interval(stops)
    per_miss, per_stop = scale * prices.miss * passed, scale * prices.stop
    total = missed + stopped + review
    interval = Interval(
        total - sqrt((per_miss * (rate - misses.rate.interval.low)) ** 2
                     + (per_stop * (stops - low)) ** 2),
        total + sqrt((per_miss * (misses.rate.interval.high - rate)) ** 2
                     + (per_stop * (high - stops)) ** 2),
    )  # fmt: skip
    return Cost(missed, stopped, review, interval, seen)


def poisson_interval(events: float, *, alpha: float = ALPHA) -> Interval:
    """Return the exact interval of a Poisson count."""
    low = 0.0 if events == 0 else float(gammaincinv(events, alpha / 2))
    return Interval(low, float(gammaincinv(events + 1, 1 - alpha / 2)))


def _share(events: int, n: float) -> Share:
    return Share(events, n, clopper_pearson(events, n))


def _bands(counts: Counts, audits: Iterable[Audits]) -> list[AuditedBand]:
    passed: dict[int, int] = {}
    for row in counts.flow:
        if row.outcome == Outcome.PASS:
            passed[row.band] = passed.get(row.band, 0) + row.count
    probabilities: dict[int, list[float]] = {band: [] for band in passed}
    missed: dict[int, list[bool]] = {band: [] for band in passed}
    for audit in audits:
        probabilities[audit.band] += [audit.probability] * audit.count
        is_miss = audit.is_miss or audit.status == SET_ASIDE
        missed[audit.band] += [is_miss] * audit.count
    return [AuditedBand(passed[band], probabilities[band], missed[band]) for band in sorted(passed)]


def _worst_case(counts: Counts) -> MissRate | None:
    aside, done = counts.audits_with(SET_ASIDE), counts.audits_with(COMPLETED)
    if not aside or aside <= SET_ASIDE_SHARE * (aside + done):
        return None
    return miss_rate(
        _bands(counts, [row for row in counts.audits if row.status in (COMPLETED, SET_ASIDE)])
    )


def _prices(counts: Counts, policies: dict[int, Policy]) -> Prices:
    """Weigh the products' prices: of a miss by parts passed, of a stop by parts stopped."""
    products = list(policies)
    return Prices(
        miss=_mean(
            [policies[pk].miss_cost for pk in products],
            [float(counts.parts(Outcome.PASS, product=pk)) for pk in products],
        ),
        stop=_mean(
            [policies[pk].false_alarm_cost for pk in products],
            [float(counts.flags_answered(GOOD, pk)) for pk in products],
        ),
        minute=_mean(
            [policies[pk].review_minute_cost for pk in products],
            [counts.review_seconds.get(pk, 0.0) for pk in products],
        ),
    )


def _mean(values: list[float], weights: list[float]) -> float:
    total = sum(weights)
    if not total:
        return sum(values) / len(values)
    return sum(value * weight for value, weight in zip(values, weights, strict=True)) / total
