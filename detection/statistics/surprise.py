"""Surprise from calibration normals, what a threshold promises, and the first threshold.

Not for thresholds by cost: those need defects and prices.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, betaincinv, betaln, gammaln

from detection.protocol import Float64Array, Int64Array
from detection.statistics.intervals import ALPHA

FIRST_LEVEL: Final = 0.01  # false alarms that a first threshold may cause
DIGITS: Final = 6  # of a threshold: finer than any score repeats from machine to machine
LOTS_NEEDED: Final = 10  # fewer lots or days say too little about how lots differ
HELD_OUT: Final = frozenset({"held-out lots", "held-out images"})
_ROUNDING: Final = 1e-9  # 0.29 * 100 is 28.999999999999996


def surprise(scores: npt.ArrayLike, calibration: npt.ArrayLike) -> Float64Array:
    """Return, per score, the share of normals that look at least as odd.

    Args:
        scores: Any shape, feature units, no NaN.
        calibration: ``(n,)`` scores of normals that are not in the bank; any order.

    Returns:
        Same shape, in (0, 1]: ``(1 + #{calibration >= score}) / (n + 1)``. For exchangeable
        parts ``P(surprise <= a) <= a``.

    Raises:
        ValueError: NaN in either.

    Source: split conformal p-value, Vovk, Gammerman and Shafer 2005.
    """
    values = np.asarray(scores, dtype=np.float64)
    normals = np.sort(np.asarray(calibration, dtype=np.float64).ravel())
    if np.isnan(values).any() or np.isnan(normals).any():
        raise ValueError("scores hold NaN")
    at_least = normals.size - np.searchsorted(normals, values, side="left")
    return np.asarray((1 + at_least) / (normals.size + 1), dtype=np.float64)


def surprise_of_new_lot(
    scores: npt.ArrayLike, calibration: npt.ArrayLike, lots: Sequence[Hashable]
) -> Float64Array:
    """Return surprise that holds for a part of a lot not seen before.

    Each lot counts as one: with few lots no part can be very surprising (1 % needs 99 lots).

    Args:
        scores: Any shape, feature units, no NaN.
        calibration: ``(n,)`` scores of normals that are not in the bank; any order.
        lots: ``(n,)`` the lot or day of each.

    Returns:
        Same shape, in (0, 1]: ``(1 + sum over lots of share >= score) / (lots + 1)``. For
        exchangeable lots ``P(surprise <= a) <= a`` for one part of a new lot.

    Raises:
        ValueError: NaN, or normals and lots differ in number.

    Source: hierarchical conformal prediction, Lee, Barber and Willett 2023.
    """
    values = np.asarray(scores, dtype=np.float64)
    normals = np.asarray(calibration, dtype=np.float64).ravel()
    if np.isnan(values).any() or np.isnan(normals).any():
        raise ValueError("scores hold NaN")
    if normals.size != len(lots):
        raise ValueError("normals and lots differ in number")
    member, sizes = _members(lots)
    order = np.argsort(normals)
    # Of each normal and all above it, what share of their own lots they make up, summed.
    above = np.append(np.cumsum((1 / sizes[member])[order][::-1])[::-1], 0.0)
    shares = above[np.searchsorted(normals[order], values, side="left")]
    return np.asarray((1 + shares) / (sizes.size + 1), dtype=np.float64)


def largest_rank(level: float, n: int) -> int:
    """Return K so that flagging above the K-th largest of n normals means surprise <= level.

    The level is kept on average over calibrations. 0: it cannot be reached with n normals.
    """
    _check_level(level)
    return math.floor(level * (n + 1) + _ROUNDING)


def largest_rank_with_promise(
    level: float, n: int, *, confidence: float = 1 - ALPHA, design_effect: float = 1.0
) -> int:
    """Return the largest K whose threshold keeps the level in this very calibration.

    Args:
        level: The false-alarm rate that is promised, (0, 1).
        n: Calibration normals, held out of the bank.
        confidence: Of the promise, over calibrations.
        design_effect: By how much lots make n smaller, >= 1: see ``lot_design_effect``.

    Returns:
        K: flag above the K-th largest. 0 where no rank carries the promise.

    Source: Wilks 1941, Vovk 2012: the realised rate is Beta(K, n + 1 - K); Kish 1965.
    """
    _check_level(level)
    top = min(n, math.floor(level * (n + 1) + _ROUNDING))
    if top < 1:
        return 0
    ranks = np.arange(1, top + 1, dtype=np.float64)
    held = betainc(ranks / design_effect, (n + 1 - ranks) / design_effect, level)
    return int((held >= confidence).sum())  # falling in the rank, so a count is the largest


def normals_needed(level: float, *, rank: int = 1, confidence: float = 1 - ALPHA) -> int:
    """Return how many held-out normals let the rank-th largest carry the promise.

    For example 299 for 1 % with the largest normal as threshold.
    """
    _check_level(level)
    low, high = rank - 1, rank
    while betainc(rank, high + 1 - rank, level) < confidence:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if betainc(rank, middle + 1 - rank, level) >= confidence:
            high = middle
        else:
            low = middle
    return high


def rate_at_most(
    rank: int, n: int, *, confidence: float = 1 - ALPHA, design_effect: float = 1.0
) -> float:
    """Return what the false-alarm rate of the rank-th largest normal stays below."""
    return float(betaincinv(rank / design_effect, (n + 1 - rank) / design_effect, confidence))


def false_alarm_range(
    rank: int, n: int, good_parts: int, *, alpha: float = ALPHA, design_effect: float = 1.0
) -> tuple[int, int]:
    """Return how many of so many good parts a threshold flags if nothing has changed.

    Args:
        rank: Flagged is what lies above the rank-th largest normal.
        n: Calibration normals.
        good_parts: Scored since, good for certain or nearly all of them.
        alpha: One minus the share of calibrations and parts that stay within.
        design_effect: See ``lot_design_effect``.

    Returns:
        Lowest and highest usual count, both within; beyond them the parts, or how their pictures
        are taken, are not those of the calibration.

    Source: beta-binomial(good_parts, rank, n + 1 - rank), wider than a binomial: the rate of
        one calibration is itself not known.
    """
    above, below = rank / design_effect, (n + 1 - rank) / design_effect
    counts = np.arange(good_parts + 1)
    ways = gammaln(good_parts + 1) - gammaln(counts + 1) - gammaln(good_parts - counts + 1)
    shares = np.exp(
        ways + betaln(counts + above, good_parts - counts + below) - betaln(above, below)
    )
    within = np.cumsum(shares) / shares.sum()
    low, high = np.searchsorted(within, [alpha / 2, 1 - alpha / 2])
    return int(low), int(min(high, good_parts))


def lot_design_effect(scores: Sequence[float], lots: Sequence[Hashable]) -> float:
    """Return by what factor dependence within lots makes the number of normals smaller.

    Args:
        scores: ``(n,)`` of calibration normals.
        lots: ``(n,)`` the lot or day of each.

    Returns:
        ``1 + (m - 1) ICC``, at least 1; m is the mean lot size and ICC the share of variance
        between lots of "above the 90 % quantile", by one-way ANOVA. 1 for a single lot or
        lots of one: there is nothing to estimate from.

    Source: Kish 1965.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.size != len(lots):
        raise ValueError("scores and lots differ in length")
    if values.size == 0:
        return 1.0
    member, sizes = _members(lots)
    count, n = sizes.size, float(values.size)
    if count < 2 or count == n:
        return 1.0
    odd = (values > np.quantile(values, 0.9)).astype(np.float64)
    means = np.bincount(member, weights=odd) / sizes
    between = float((sizes * (means - odd.mean()) ** 2).sum()) / (count - 1)
    within = float(((odd - means[member]) ** 2).sum()) / (n - count)
    usual_size = (n - float((sizes**2).sum()) / n) / (count - 1)
    spread = between + (usual_size - 1) * within
    correlation = max(0.0, (between - within) / spread) if spread > 0 else 0.0
    return 1 + (n / count - 1) * correlation


def _members(lots: Sequence[Hashable]) -> tuple[Int64Array, Float64Array]:
    """Of each thing the number of its lot, and of each lot how many things it has."""
    numbers = {lot: number for number, lot in enumerate(dict.fromkeys(lots))}
    member = np.array([numbers[lot] for lot in lots], np.int64)
    return member, np.bincount(member, minlength=len(numbers)).astype(np.float64)


@dataclass(frozen=True, slots=True)
class FirstThreshold:
    """A `review_from` from normals alone, and what may be said about it.

    Attributes:
        review_from: Scores at or above it go to review: the smallest number above the
            rank-th largest held-out normal, so that ``>`` and ``>=`` mean the same.
        rank: Which of the normals it lies on, 1 = the largest.
        n: Calibration normals.
        level: The false-alarm rate aimed at.
        expected_rate: False-alarm rate expected over calibrations, rank / (n + 1).
        design_effect: By what factor alikeness within lots makes ``n`` count for less, >= 1.
        promise: True where at most ``level`` false alarms can be promised with 95 % confidence.
        sentence: The same in plain words, for the page.
    """

    review_from: float
    rank: int
    n: int
    level: float
    expected_rate: float
    design_effect: float
    promise: bool
    sentence: str

    def is_contradicted_by(self, flagged: int, good_parts: int) -> bool:
        """Whether so many good parts flagged cannot be chance: see ``false_alarm_range``."""
        usual = false_alarm_range(self.rank, self.n, good_parts, design_effect=self.design_effect)
        return flagged > usual[1]


def readable_above(value: float) -> float:
    """Return the smallest number of six digits above a score: people read it, and type it again.

    Upwards, so that no more normals are flagged than the rank promises.
    """
    if value == 0 or not np.isfinite(value):
        return float(np.nextafter(value, np.inf))
    step = 10.0 ** (np.floor(np.log10(abs(value))) - (DIGITS - 1))
    for steps_up in (1, 2):  # the second where rounding to decimals fell back onto the score
        above = float(f"{(np.floor(value / step) + steps_up) * step:.{DIGITS}g}")
        if above > value:
            return above
    return float(np.nextafter(value, np.inf))


def first_threshold(
    scores: npt.ArrayLike,
    *,
    kind: str,
    lots: int = 0,
    design_effect: float = 1.0,
    level: float = FIRST_LEVEL,
) -> FirstThreshold:
    """Return the threshold that bounds false alarms as far as the number of normals allows.

    Args:
        scores: ``(n,)`` of calibration normals, any order, feature units.
        kind: How they were kept out of the bank; the promise is for ``HELD_OUT`` kinds only.
        lots: Lots or days among them; 0 where unknown, which counts as one steady process.
        design_effect: See ``lot_design_effect``.
        level: The false-alarm rate aimed at.

    Returns:
        The rank with the promise where there is one, otherwise the rank that keeps the level
        on average (the largest normal if there are too few even for that), and the words.

    Raises:
        ValueError: No scores, or NaN among them.

    Source: ours, from ``largest_rank_with_promise``.
    """
    normals = np.sort(np.asarray(scores, dtype=np.float64).ravel())[::-1]
    if normals.size == 0 or np.isnan(normals).any():
        raise ValueError("a threshold needs scores of normals, none of them NaN")
    n = int(normals.size)
    promised = largest_rank_with_promise(level, n, design_effect=design_effect)
    promise = promised > 0 and kind in HELD_OUT and not 0 < lots < LOTS_NEEDED
    rank = promised if promise else max(1, largest_rank(level, n))
    return FirstThreshold(
        review_from=readable_above(float(normals[rank - 1])),
        rank=rank,
        n=n,
        level=level,
        expected_rate=rank / (n + 1),
        design_effect=design_effect,
        promise=promise,
        sentence=_sentence(
            promise=promise,
            rank=rank,
            n=n,
            level=level,
            kind=kind,
            lots=lots,
            design_effect=design_effect,
        ),
    )


def _sentence(
    *, promise: bool, rank: int, n: int, level: float, kind: str, lots: int, design_effect: float
) -> str:
    normals = f"{n} held-out normals"
    alike = round(n / design_effect) < n
    if alike:  # said wherever it is the reason for a higher threshold or for no promise
        normals += f" of {lots} lots or days, as good as {round(n / design_effect)} independent"
    if promise:
        return (
            f"Promise, from {normals}{' ones' if alike else ''}: at most {100 * level:.3g} % of "
            "good parts flagged, with 95 % confidence."
            + (" A single new lot may show more." if alike else "")
        )
    expected = f"{100 * rank / (n + 1):.2g} %"
    if kind not in HELD_OUT:
        return (
            f"No promise, an estimate from {n} normals ({kind}): about {expected} of good parts "
            "flagged, more on new lots."
        )
    if 0 < lots < LOTS_NEEDED:
        seen = "lot or day" if lots == 1 else "lots or days"
        return (
            f"No promise: {lots} {seen} seen, {LOTS_NEEDED} are needed to know how lots "
            f"differ. Expected about {expected} of good parts flagged."
        )
    bound = rate_at_most(rank, n, design_effect=design_effect)
    return (
        f"No promise: {normals}, {normals_needed(level)} are needed for {100 * level:.3g} %. "
        f"With these, below {100 * bound:.2g} % of good parts are flagged, with 95 % confidence."
    )


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"the level is {level}, not between 0 and 1")
