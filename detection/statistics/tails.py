"""How many normals and how many defects score above a threshold, beyond the scores seen.

For costs only: what is promised about false alarms comes from ``surprise`` and never from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from detection.protocol import DetectionError, Float64Array

BULK: Final = 0.9  # the exponential tail begins at this quantile of the normals
# The belief about unknown defects, worth five known ones: enough to keep the cost of a handful
# of flagged defects from looking like none, soon outweighed by real ones.
PSEUDO_DEFECTS: Final = 5
_RATE: Final = 20.0  # of the gamma distribution of the power, shape 2
TAIL_CANDIDATES: Final = (2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)  # mean excesses above its start


def believed_detection(false_alarm_rate: npt.ArrayLike) -> Float64Array:
    """Return the share of unknown defects that a false-alarm rate is believed to buy.

    Args:
        false_alarm_rate: Any shape, in [0, 1].

    Returns:
        Same shape, in [0, 1]: ``(20 / (20 - ln p))^2``, the mean of a power law ``p^a`` with
        ``a ~ Gamma(2, rate 20)``.

    Source: ours; power alternatives of Lehmann 1953, prior weight of Ferguson 1973.
    """
    with np.errstate(divide="ignore"):
        logarithm = np.log(np.asarray(false_alarm_rate, np.float64))
    return np.asarray((_RATE / (_RATE - logarithm)) ** 2, np.float64)


@dataclass(frozen=True, slots=True)
class NormalTail:
    """The share of good parts above a score, G: counted in the bulk, exponential above it.

    Attributes:
        scores: ``(n,)`` float64, rising, of normals that are not in the bank.
        start: Where the tail begins: the score at index ``floor(.9 n)``.
        mean_excess: Of the scores above ``start``; 0 where there are none, and then the tail
            does not fall at all.
    """

    scores: Float64Array
    start: float
    mean_excess: float

    @classmethod
    def of(cls, normals: npt.ArrayLike) -> Self:
        """The tail of these normals, in any order.

        Raises:
            DetectionError: None, or some not finite.
        """
        scores = np.sort(np.asarray(normals, np.float64).ravel())
        if scores.size == 0:
            raise DetectionError("Thresholds need scores of normals; there are none.")
        if not np.isfinite(scores).all():
            raise DetectionError("Some scores of normals are not finite numbers.")
        start = float(scores[int(BULK * scores.size)])
        beyond = scores[scores > start] - start
        return cls(scores, start, float(beyond.mean()) if beyond.size else 0.0)

    def above(self, thresholds: npt.ArrayLike) -> Float64Array:
        """The share of good parts that score above each threshold.

        Args:
            thresholds: Any shape, feature units; may be infinite.

        Returns:
            Same shape, in [0, 1], falling: ``(1 + #{s > t}) / (n + 1)`` up to ``start``, then
            ``.1 exp(-(t - start) / mean_excess)``, never above its value at ``start``.
        """
        at = np.asarray(thresholds, np.float64)
        counted = self._counted(at)
        if self.mean_excess > 0:
            reach = np.maximum(at - self.start, 0.0) / self.mean_excess
            tail = np.minimum((1 - BULK) * np.exp(-reach), self._counted(np.array(self.start)))
            counted = np.where(at > self.start, tail, counted)
        return np.asarray(np.where(at == np.inf, 0.0, counted), np.float64)

    def candidates(self) -> Float64Array:
        """Thresholds worth trying: ``-inf``, the scores, some beyond them, and ``inf``."""
        beyond = self.start + np.array(TAIL_CANDIDATES if self.mean_excess > 0 else ()) * (
            self.mean_excess
        )
        return np.unique(np.concatenate([[-np.inf], self.scores, beyond, [np.inf]]))

    def _counted(self, at: Float64Array) -> Float64Array:
        more = self.scores.size - np.searchsorted(self.scores, at, side="right")
        return np.asarray((1 + more) / (self.scores.size + 1), np.float64)


@dataclass(frozen=True, slots=True)
class DefectTail:
    """The share of defective parts above a score, D: known defects and five believed ones.

    Attributes:
        scores: ``(n1,)`` float64, rising; may be empty.
        weights: ``(n1,)`` how many defects each stands for, adding up to n1.
        miss_costs: ``(n1,)`` what missing one like it costs; None where all cost the same.
        normal: The normals that the believed defects are measured against.
    """

    scores: Float64Array
    weights: Float64Array
    miss_costs: Float64Array | None
    normal: NormalTail

    @classmethod
    def of(
        cls,
        defects: npt.ArrayLike,
        normal: NormalTail,
        *,
        weights: Sequence[float] | None = None,
        miss_costs: Sequence[float] | None = None,
    ) -> Self:
        """The tail of these defects, in any order.

        Args:
            defects: ``(n1,)`` scores of known defects; may be empty.
            normal: The tail of the normals.
            weights: ``(n1,)`` 1 for a flagged defect, 1 / audit probability for a miss found in
                an audit: a library of flagged defects alone flatters itself. None: all 1.
            miss_costs: ``(n1,)`` what missing one of its type costs, >= 0.

        Raises:
            DetectionError: Not finite, negative, or differing in number.
        """
        scores = np.asarray(defects, np.float64).ravel()
        if not np.isfinite(scores).all():
            raise DetectionError("Some scores of defects are not finite numbers.")
        order = np.argsort(scores, kind="stable")
        given = _beside(scores, weights, "weights")
        worth = np.ones(scores.size) if given is None else given
        if scores.size and worth.sum() <= 0:
            raise DetectionError("The weights of the defects add up to nothing.")
        worth = worth * (scores.size / worth.sum()) if scores.size else worth
        costs = _beside(scores, miss_costs, "miss costs")
        return cls(scores[order], worth[order], None if costs is None else costs[order], normal)

    def above(self, thresholds: npt.ArrayLike) -> Float64Array:
        """The share of defective parts that score above each threshold.

        Args:
            thresholds: Any shape, feature units; may be infinite.

        Returns:
            Same shape, in [0, 1], falling: ``(n1 emp(t) + 5 E(G(t))) / (n1 + 5)``.
        """
        return self._above(np.asarray(thresholds, np.float64), self.weights, 1.0)

    def cost_above(self, thresholds: npt.ArrayLike, usual: float) -> Float64Array:
        """What missing the defects above each threshold would cost, per defective part.

        Args:
            thresholds: Any shape, feature units; may be infinite.
            usual: Cost of missing a defect of no known type: the believed ones, and all of
                them where no cost is known by type.
        """
        at = np.asarray(thresholds, np.float64)
        if self.miss_costs is None:
            return np.asarray(usual * self.above(at), np.float64)
        return self._above(at, self.weights * self.miss_costs, usual)

    def _above(self, at: Float64Array, worth: Float64Array, believed: float) -> Float64Array:
        from_here = np.append(np.cumsum(worth[::-1])[::-1], 0.0)
        known = from_here[np.searchsorted(self.scores, at, side="right")]
        belief = PSEUDO_DEFECTS * believed * believed_detection(self.normal.above(at))
        return np.asarray((known + belief) / (self.scores.size + PSEUDO_DEFECTS), np.float64)


def _beside(scores: Float64Array, given: Sequence[float] | None, name: str) -> Float64Array | None:
    if given is None:
        return None
    values = np.asarray(given, np.float64).ravel()
    if values.size != scores.size:
        raise DetectionError(f"{scores.size} defects need as many {name}.")
    if not np.isfinite(values).all() or (values < 0).any():
        raise DetectionError(f"The {name} of the defects must be numbers from 0 up.")
    return values
