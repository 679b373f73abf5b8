"""What mistakes and looks cost, and what that means for one part of known probability.

Not for choosing thresholds on scores: see ``detection.statistics.thresholds``.
"""

import math
from dataclasses import dataclass, fields
from typing import Final

from detection.protocol import DetectionError

# How good a second look usually is, where nobody has measured it yet.
USUAL_SENSITIVITY: Final = 0.95
USUAL_SPECIFICITY: Final = 0.98


@dataclass(frozen=True, slots=True)
class Prices:
    """What a missed defect, a stopped good part and a look cost, and how good the look is.

    Attributes:
        miss: Cost of one defective part that goes out, any currency, >= 0.
        stop: Cost of one good part that is stopped, same currency, >= 0.
        review: Cost of looking at one part, same currency, >= 0.
        sensitivity: Share of defective parts that the reviewer calls defective, in [0, 1].
        specificity: Share of good parts that the reviewer calls good, in [0, 1].
        rejects_reviewed: True where rejected parts are looked at afterwards too. Then ``stop``
            is what stopping a good part costs although it is not scrapped.
    """

    miss: float
    stop: float
    review: float
    sensitivity: float = USUAL_SENSITIVITY
    specificity: float = USUAL_SPECIFICITY
    rejects_reviewed: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not math.isfinite(value) or value < 0:
                raise DetectionError(f"The price {field.name} is {value}: give a number from 0 up.")
        for name in ("sensitivity", "specificity"):
            if getattr(self, name) > 1:
                raise DetectionError(f"The {name} of the reviewer is a share: at most 1.")


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a part that is defective with probability q.

    Attributes:
        review_from: Review from this q on; pass below.
        reject_from: Reject from this q on, without a review before.
        has_review_band: False where a review never pays: no q lies between the two.
    """

    review_from: float
    reject_from: float
    has_review_band: bool


def cheapest_decision(prices: Prices) -> Decision:
    """Return from which probability of a defect a review pays, and from which a rejection.

    With ``q1 = (c_rev + (1-sp) c_stop) / (se c_miss + (1-sp) c_stop)`` and
    ``q2 = (sp c_stop - c_rev) / (sp c_stop + (1-se) c_miss)``. Where rejected parts are
    reviewed too, the look costs the same on both sides and ``c_rev`` leaves ``q2``.

    Returns:
        Both probabilities, within [0, 1].

    Source: Chow 1970, with an imperfect reviewer.
    """
    false_stop = (1 - prices.specificity) * prices.stop
    true_pass = prices.specificity * prices.stop
    looked = 0.0 if prices.rejects_reviewed else prices.review
    review_from = _share(
        prices.review + false_stop, prices.sensitivity * prices.miss + false_stop, none=1.0
    )
    reject_from = _share(
        true_pass - looked, true_pass + (1 - prices.sensitivity) * prices.miss, none=1.0
    )
    return Decision(review_from, reject_from, review_from < reject_from)


def likelihood_ratio(probability: float, prior: float) -> float:
    """Return how much likelier among defects than among normals a score must be.

    Args:
        probability: Of a defect given the score, [0, 1).
        prior: Share of defective parts, in (0, 1).

    Returns:
        ``odds(probability) / odds(prior)``.

    Raises:
        DetectionError: A share outside its range.
    """
    check_prior(prior)
    if not 0 <= probability < 1:
        raise DetectionError(f"The probability of a defect is {probability}, not in [0, 1).")
    return probability / (1 - probability) * (1 - prior) / prior


def expected_cost(
    prices: Prices,
    prior: float,
    *,
    false_alarm_rates: tuple[float, float],
    detection_rates: tuple[float, float],
) -> float:
    """Return the cost per part of a pair whose rates are known.

    Args:
        prices: Of mistakes and looks.
        prior: Share of defective parts, in (0, 1).
        false_alarm_rates: Share of good parts above ``review_from`` and above ``reject_from``.
        detection_rates: The same of defective parts.

    Returns:
        ``prior [(1-D1) c_miss + (D1-D2)(c_rev + (1-se) c_miss)]
        + (1-prior) [(G1-G2)(c_rev + (1-sp) c_stop) + G2 c_stop]``, and ``c_rev`` for each
        rejected part where rejected parts are reviewed too.

    Raises:
        DetectionError: ``prior`` is no share.

    Source: Chow 1970.
    """
    check_prior(prior)
    (g1, g2), (d1, d2) = false_alarm_rates, detection_rates
    slip = (1 - prices.sensitivity) * prices.miss
    bad = (1 - d1) * prices.miss + (d1 - d2) * (prices.review + slip)
    good = (g1 - g2) * (prices.review + (1 - prices.specificity) * prices.stop) + g2 * prices.stop
    looks = prices.review * (prior * d2 + (1 - prior) * g2) if prices.rejects_reviewed else 0.0
    return prior * bad + (1 - prior) * good + looks


def defect_share(*, confirmed: float, passed: float, miss_rate: float, seen: float) -> float:
    """Return the share of defective parts among all parts seen: ``(F + N y) / T``.

    Args:
        confirmed: Confirmed defects among the flagged parts, F.
        passed: Parts passed, N.
        miss_rate: Of the passed parts, y: see ``miss_rate``.
        seen: All parts, T.

    Raises:
        DetectionError: A negative count, or more defects than parts.
    """
    found = confirmed + passed * miss_rate
    if min(confirmed, passed, miss_rate) < 0 or seen <= 0 or found > seen:
        raise DetectionError(f"{found:.6g} defective parts of {seen} are not a share.")
    return found / seen


def check_prior(prior: float) -> None:
    """Refuse a share of defective parts that is not between 0 and 1.

    Raises:
        DetectionError: It is not.
    """
    if not 0 < prior < 1:
        raise DetectionError(f"The share of defective parts is {prior}, not between 0 and 1.")


def _share(part: float, whole: float, *, none: float) -> float:
    """The quotient, kept within [0, 1]; ``none`` where nothing is at stake."""
    return none if whole <= 0 else min(1.0, max(0.0, part / whole))
