"""The miss rate of passed parts from blind audits: weighted Clopper-Pearson.

Not for choosing which parts to audit, and not for what the auditor overlooks.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv

from detection.protocol import Float64Array
from detection.statistics.intervals import ALPHA, Interval


@dataclass(frozen=True, slots=True)
class AuditedBand:
    """The passed parts of one band of surprise over a window, and its completed audits.

    Attributes:
        passed: How many parts were passed in the band, audited or not.
        probabilities: Of each completed audit, with what probability it was drawn, (0, 1].
        misses: Of each completed audit, whether it is a confirmed miss.
    """

    passed: int
    probabilities: Sequence[float]
    misses: Sequence[bool]

    def __post_init__(self) -> None:
        if len(self.probabilities) != len(self.misses):
            raise ValueError("probabilities and misses of a band differ in length")
        if self.passed < len(self.misses):
            raise ValueError("more audits than passed parts in a band")
        if any(not 0 < probability <= 1 for probability in self.probabilities):
            raise ValueError("an audit's probability lies outside (0, 1]")


@dataclass(frozen=True, slots=True)
class MissRate:
    """The share of passed parts that are truly defective, with its interval.

    Attributes:
        estimate: The share; None where nothing was audited.
        interval: Two-sided, for charts; [0, 1] where nothing was audited.
        upper: One-sided upper bound at the same confidence, for claims of the kind "below X".
        passed: Parts passed in the window.
        audits: Completed audits in it.
        misses: Confirmed misses among them.
    """

    estimate: float | None
    interval: Interval
    upper: float
    passed: int
    audits: int
    misses: int


def miss_rate(bands: Sequence[AuditedBand], *, alpha: float = ALPHA) -> MissRate:
    """Return the miss rate of passed parts over one window.

    Args:
        bands: From the most ordinary to the most surprising. A band without a completed
            audit is merged into its neighbour before any result is looked at.
        alpha: One minus the confidence.

    Returns:
        Estimate, interval and bound. With equal weights the interval is Clopper-Pearson.

    Source: estimator Horvitz and Thompson 1952, Hajek 1971; interval ours, the gamma interval
        of Fay and Feuer 1997 with beta in place of gamma.
    """
    passed = sum(band.passed for band in bands)
    merged = _merge_unaudited([band for band in bands if band.passed])
    if not merged:
        return MissRate(None, Interval(0.0, 1.0), 1.0, passed, 0, 0)
    weights = np.concatenate([_weights(band, passed) for band in merged])
    missed = np.concatenate([np.asarray(band.misses, dtype=bool) for band in merged])
    rate = float(weights[missed].sum())
    square = float((weights[missed] ** 2).sum())
    heaviest = float(weights.max())
    return MissRate(
        estimate=rate,
        interval=Interval(
            _lower(rate, square, alpha / 2), _upper(rate, square, heaviest, alpha / 2)
        ),
        upper=_upper(rate, square, heaviest, alpha),
        passed=passed,
        audits=len(weights),
        misses=int(missed.sum()),
    )


def escaped_at_most(
    rate: MissRate, *, single_probability: float | None = None, alpha: float = ALPHA
) -> int:
    """Return an upper bound for how many defective parts went out, beside those found.

    Args:
        rate: Of the window, with ``upper`` at the wanted confidence.
        single_probability: Where every passed part had this same audit probability: gives
            the sharper bound while no miss was found.
        alpha: One minus the confidence, for the sharper bound.

    Returns:
        Parts. Found misses are pulled back and are not among them. 0 only where every
        passed part was audited.

    Source: ours.
    """
    unseen = rate.passed - rate.audits
    if unseen == 0:
        return 0
    if rate.misses == 0 and single_probability is not None and single_probability < 1:
        return min(unseen, math.floor(math.log(alpha) / math.log1p(-single_probability)))
    return min(unseen, max(0, math.floor(rate.passed * rate.upper) - rate.misses))


def _merge_unaudited(bands: Sequence[AuditedBand]) -> list[AuditedBand]:
    """Give the parts of bands without audits to the next lower band, the lowest to the next."""
    merged: list[AuditedBand] = []
    waiting = 0  # parts of unaudited bands below the first audited one
    for band in bands:
        if not band.misses and not merged:
            waiting += band.passed
        elif not band.misses:
            last = merged[-1]
            merged[-1] = AuditedBand(last.passed + band.passed, last.probabilities, last.misses)
        else:
            merged.append(AuditedBand(band.passed + waiting, band.probabilities, band.misses))
            waiting = 0
    return merged


def _weights(band: AuditedBand, passed: int) -> Float64Array:
    inverse = 1 / np.asarray(band.probabilities, dtype=np.float64)
    return np.asarray((band.passed / passed) * inverse / inverse.sum(), dtype=np.float64)


def _upper(rate: float, square: float, heaviest: float, tail: float) -> float:
    shape = (rate + heaviest) ** 2 / (square + heaviest**2)
    trials = (rate + heaviest) / (square + heaviest**2)
    # The slack is rounding: n - 1 misses of n add up to a hair above 1.
    if rate + heaviest > 1 + 1e-9 or trials - shape + 1 <= 0:
        return 1.0
    return float(betaincinv(shape, trials - shape + 1, 1 - tail))


def _lower(rate: float, square: float, tail: float) -> float:
    if rate == 0:
        return 0.0
    shape = rate**2 / square
    trials = rate / square
    return float(betaincinv(shape, trials - shape + 1, tail))
