"""Every candidate threshold with its rates and costs, and the cheapest partner of each.

The cost of a pair is a sum of two parts, so that all pairs take one range minimum.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np

from detection.protocol import BoolArray, Float64Array, Int64Array
from detection.statistics.prices import Prices
from detection.statistics.surprise import readable_above
from detection.statistics.tails import DefectTail
from detection.statistics.thresholds.limits import (
    DETECTION,
    FALSE_ALARMS,
    REVIEW_TIME,
    Limits,
    LimitsConflictError,
)

TIE: Final = 1e-12  # relative: costs nearer than this differ by rounding alone


@dataclass(frozen=True, slots=True)
class CostGrid:
    """Every candidate threshold with its rates, and the cost of a pair as a sum of two parts.

    ``cost(i, j) = first[i] + second[j]`` for a review from threshold i and a rejection from
    threshold j >= i, all ``(m,)`` float64.
    """

    thresholds: Float64Array
    false_alarms: Float64Array
    detection: Float64Array
    flagged: Float64Array
    first: Float64Array
    second: Float64Array
    rounding: float
    may_reject: bool
    rejects_reviewed: bool

    @classmethod
    def of(
        cls,
        defects: DefectTail,
        prices: Prices,
        prior: float,
        thresholds: Float64Array,
        *,
        may_reject: bool,
    ) -> CostGrid:
        """The rates and costs of ``(m,)`` rising thresholds, the first of them ``-inf``."""
        good, bad = defects.normal.above(thresholds), defects.above(thresholds)
        missed = defects.cost_above(thresholds, prices.miss)
        flagged = prior * bad + (1 - prior) * good
        look = prices.review + (1 - prices.specificity) * prices.stop
        slip = 1 - prices.sensitivity
        first = prior * (missed[0] - missed + bad * prices.review + slip * missed)
        first = first + (1 - prior) * good * look
        second = (1 - prior) * good * (prices.stop - look)
        second = second - prior * (bad * prices.review + slip * missed)
        if prices.rejects_reviewed:
            second = second + prices.review * flagged
        return cls(
            thresholds,
            good,
            bad,
            np.minimum.accumulate(flagged),  # falls but for rounding, and is searched
            first,
            second,
            TIE * float(np.abs(first).max() + np.abs(second).max()),
            may_reject,
            prices.rejects_reviewed,
        )

    def cheapest(self, limits: Limits, *, more_minutes: float = 0.0) -> Float64Array:
        """``(m,)`` the lowest cost with each review threshold; ``inf`` where a limit breaks."""
        kept: dict[str, BoolArray] = {}
        if limits.max_false_alarm_rate is not None:
            kept[FALSE_ALARMS] = self.false_alarms <= limits.max_false_alarm_rate
        if limits.min_detection is not None:
            kept[DETECTION] = self.detection >= limits.min_detection
        begin, end = self._rejects(limits, more_minutes)
        if limits.review_time is not None:
            kept[REVIEW_TIME] = begin <= end
        for count in range(1, len(kept) + 1):
            for names in combinations(kept, count):
                if not np.logical_and.reduce([kept[name] for name in names]).any():
                    raise LimitsConflictError(names)
        fine = np.logical_and.reduce([np.ones(self.first.size, np.bool_), *kept.values()])
        best = np.full(self.first.size, np.inf)
        best[fine] = self.first[fine] + _range_minimum(self.second, begin[fine], end[fine])
        return best

    def best_reject(self, limits: Limits, at: int) -> int:
        """The reject threshold that goes with a review threshold: the highest of the cheapest."""
        begin, end = (int(ends[at]) for ends in self._rejects(limits, 0.0))
        costs = self.second[begin : end + 1]
        return begin + int(np.flatnonzero(costs <= costs.min() + self.rounding)[-1])

    def readable(self, at: int) -> float:
        """The threshold as a number that flags scores at or above it: see ``readable_above``."""
        value = float(self.thresholds[at])
        if not np.isfinite(value):
            return value
        return min(readable_above(value), float(self.thresholds[at + 1]))

    def _rejects(self, limits: Limits, more_minutes: float) -> tuple[Int64Array, Int64Array]:
        """``(m,)`` each: first and last reject threshold of each review threshold."""
        size = self.thresholds.size
        top = size - 1
        begin = np.arange(size) if self.may_reject else np.full(size, top)
        end = np.full(size, top)
        if limits.review_time is None:
            return begin, end
        share = limits.review_time.share(more_minutes=more_minutes)
        if share < 0:
            return begin, np.full(size, -1)
        if self.rejects_reviewed:
            return begin, np.where(self.flagged <= share, end, -1)
        # The band holds what is flagged but not rejected; the more is flagged, the more must be
        # rejected. Falling shares are searched upside down.
        needed = self.flagged - share
        end = size - 1 - np.searchsorted(self.flagged[::-1], needed, side="left")
        return begin, np.asarray(end, np.int64)


def _range_minimum(values: Float64Array, first: Int64Array, last: Int64Array) -> Float64Array:
    """``min(values[first:last + 1])`` for many ranges at once, by a table of powers of two."""
    table = [values]
    while 2 ** len(table) <= values.size:
        half = 2 ** (len(table) - 1)
        table.append(np.minimum(table[-1][:-half], table[-1][half:]))
    level = np.frexp(last - first + 1)[1] - 1
    least = np.empty(first.size)
    for number in np.unique(level):
        mine = level == number
        row = table[number]
        least[mine] = np.minimum(row[first[mine]], row[last[mine] + 1 - 2**number])
    return least
