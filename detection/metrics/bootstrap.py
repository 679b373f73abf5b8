"""How far figures of scores would move on other images of the same kind: bootstrap over images.

Normals and defects are drawn apart, so every draw has as many of each as the set. The images are
taken as independent: where a lot makes many of them alike, the true interval is wider.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from detection.metrics.curves import auroc, checked
from detection.protocol import BoolArray, Float64Array
from detection.statistics.intervals import ALPHA, Interval, clopper_pearson

DRAWS: Final = 1_000  # the ends of a 95 % interval then rest on 25 draws each
_CELLS_AT_ONCE: Final = 4_000_000  # draws x images held together: 32 MB


def image_intervals(
    scores: npt.ArrayLike,
    is_defect: npt.ArrayLike,
    *,
    rng: np.random.Generator,
    draws: int = DRAWS,
) -> dict[str, Interval | None]:
    """Return 95 % intervals of ``image_auroc`` and ``image_ap``.

    Args:
        scores: ``(n,)`` feature units, no NaN.
        is_defect: ``(n,)`` bool.
        rng: Draws the images.
        draws: How often.

    Returns:
        By name; None where a kind is missing or no draw differs from another. A perfect AUROC
        never differs: it gets the exact interval of as many disjoint pairs of a defect and a
        normal as there are, all of them in order.

    Raises:
        ValueError: Lengths differ, or a score is NaN.

    Source: percentile bootstrap (Efron 1979); the pairs are ours.
    """
    values, defects = checked(scores, is_defect)
    figures: dict[str, list[Float64Array]] = {"image_auroc": [], "image_ap": []}
    pairs = int(min(defects.sum(), (~defects).sum()))
    if not pairs:
        return dict.fromkeys(figures)
    ranked = RankedScores(values, defects)
    for times in stratified_draws(defects, rng=rng, draws=draws):
        figures["image_auroc"].append(ranked.auroc(times))
        figures["image_ap"].append(ranked.average_precision(times))
    intervals = {name: percentile_interval(np.concatenate(f)) for name, f in figures.items()}
    if intervals["image_auroc"] is None and auroc(values, defects) == 1:
        intervals["image_auroc"] = clopper_pearson(pairs, pairs)
    return intervals


def percentile_interval(values: Float64Array, *, alpha: float = ALPHA) -> Interval | None:
    """Return what lies between the outer quantiles of drawn figures; None where all are equal.

    Draws that give no figure (NaN) are left out.
    """
    known = values[~np.isnan(values)]
    if known.size == 0 or known.min() == known.max():
        return None
    low, high = np.quantile(known, (alpha / 2, 1 - alpha / 2))
    return Interval(float(low), float(high))


def stratified_draws(
    strata: npt.ArrayLike, *, rng: np.random.Generator, draws: int = DRAWS
) -> Iterator[Float64Array]:
    """Yield how often each image is drawn, ``(some draws, n)``; all blocks together: ``draws``.

    Args:
        strata: ``(n,)`` which stratum each image is of; each keeps its size in every draw.
        rng: Draws with replacement.
        draws: How many draws in all.
    """
    kinds = np.asarray(strata)
    members = [np.flatnonzero(kinds == kind) for kind in np.unique(kinds)]
    at_once = max(1, _CELLS_AT_ONCE // max(1, kinds.size))
    for start in range(0, draws, at_once):
        rows = min(at_once, draws - start)
        times = np.empty((rows, kinds.size))
        for those in members:
            picked = rng.integers(those.size, size=(rows, those.size))
            picked += np.arange(rows)[:, None] * those.size
            counts = np.bincount(picked.ravel(), minlength=rows * those.size)
            times[:, those] = counts.reshape(rows, those.size)
        yield times


class RankedScores:
    """Scores sorted once, so that figures of many weightings of the images come cheap."""

    def __init__(self, scores: Float64Array, is_defect: BoolArray) -> None:
        """
        Args:
            scores: ``(n,)`` without NaN, n > 0.
            is_defect: ``(n,)``.
        """
        self._order = np.argsort(-scores, kind="stable")
        falling = scores[self._order]
        self._is_defect = is_defect[self._order]
        self._first_of_ties = np.concatenate([[0], np.flatnonzero(np.diff(falling)) + 1])

    def auroc(self, times: Float64Array) -> Float64Array:
        """The AUROC of each row of ``times`` (``(rows, n)``, how often each image counts)."""
        defects, normals = self._levels(times)
        below = normals.sum(axis=1, keepdims=True) - np.cumsum(normals, axis=1)
        pairs = defects.sum(axis=1) * normals.sum(axis=1)
        return np.asarray((defects * (below + normals / 2)).sum(axis=1) / pairs)

    def average_precision(self, times: Float64Array) -> Float64Array:
        """The average precision of each row of ``times``, as ``auroc``."""
        defects, normals = self._levels(times)
        found = np.cumsum(defects, axis=1)
        flagged = found + np.cumsum(normals, axis=1)
        # Nothing flagged yet: no defect at this score either, so the term is 0.
        terms = defects * found / np.maximum(flagged, 1)
        return np.asarray(terms.sum(axis=1) / found[:, -1])

    def _levels(self, times: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Defects and normals at each distinct score, from the highest down."""
        sorted_times = times[:, self._order]
        defects = np.add.reduceat(sorted_times * self._is_defect, self._first_of_ties, axis=1)
        both = np.add.reduceat(sorted_times, self._first_of_ties, axis=1)
        return defects, both - defects
