"""Two models on the same images: what differs between them, image by image. Judges no policy."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr

from detection.metrics.bootstrap import (
    DRAWS,
    RankedScores,
    percentile_interval,
    stratified_draws,
)
from detection.metrics.curves import checked
from detection.protocol import Float64Array
from detection.statistics.intervals import Interval, clopper_pearson


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of two models on the same images.

    Attributes:
        a: Of the first.
        b: Of the second.
        interval: 95 % interval of a - b; None where every draw gives the same.
        share_a_better: Share of draws in which the first is better; equal ones count half.
    """

    a: float
    b: float
    interval: Interval | None
    share_a_better: float

    @property
    def difference(self) -> float:
        """The first minus the second."""
        return self.a - self.b


@dataclass(frozen=True, slots=True)
class PairedCounts:
    """Images of one kind that just one of two models flags, and the exact McNemar test.

    Attributes:
        both: Flagged by both.
        only_a: Flagged by the first alone.
        only_b: Flagged by the second alone.
        neither: Flagged by none.
    """

    both: int
    only_a: int
    only_b: int
    neither: int

    @property
    def p_value(self) -> float | None:
        """Chance of so uneven a split if neither flags more; None where they never differ.

        Source: McNemar 1947, exact.
        """
        n = self.only_a + self.only_b
        if not n:
            return None
        return min(1.0, 2 * float(bdtr(min(self.only_a, self.only_b), n, 0.5)))

    @property
    def share_only_a(self) -> float | None:
        """Of the images on which they differ, the share that the first flags."""
        n = self.only_a + self.only_b
        return self.only_a / n if n else None

    @property
    def interval(self) -> Interval:
        """The exact 95 % interval of that share."""
        return clopper_pearson(self.only_a, self.only_a + self.only_b)


def paired_differences(
    scores_a: npt.ArrayLike,
    scores_b: npt.ArrayLike,
    is_defect: npt.ArrayLike,
    *,
    rng: np.random.Generator,
    draws: int = DRAWS,
) -> dict[str, Difference]:
    """Return how ``image_auroc`` and ``image_ap`` of two models differ on the same images.

    Every draw takes the same images for both, so what an image does to both cancels.

    Args:
        scores_a: ``(n,)`` of the first model, its own feature units.
        scores_b: ``(n,)`` of the second, the same images in the same order.
        is_defect: ``(n,)`` bool.
        rng: Draws the images, normals and defects apart.
        draws: How often.

    Returns:
        By name; empty where one of the two kinds is missing.

    Raises:
        ValueError: Lengths differ, or a score is NaN.

    Source: paired percentile bootstrap (Efron 1979).
    """
    first, defects = checked(scores_a, is_defect)
    second, _ = checked(scores_b, is_defect)
    if defects.all() or not defects.any():
        return {}
    ranked = RankedScores(first, defects), RankedScores(second, defects)
    once = np.ones((1, defects.size))
    drawn: dict[str, list[tuple[Float64Array, Float64Array]]] = {"image_auroc": [], "image_ap": []}
    for times in stratified_draws(defects, rng=rng, draws=draws):
        drawn["image_auroc"].append((ranked[0].auroc(times), ranked[1].auroc(times)))
        drawn["image_ap"].append(
            (ranked[0].average_precision(times), ranked[1].average_precision(times))
        )
    figures = {
        "image_auroc": [float(one.auroc(once)[0]) for one in ranked],
        "image_ap": [float(one.average_precision(once)[0]) for one in ranked],
    }
    differences = {}
    for name, blocks in drawn.items():
        a, b = (np.concatenate(side) for side in zip(*blocks, strict=True))
        differences[name] = Difference(
            a=figures[name][0],
            b=figures[name][1],
            interval=percentile_interval(a - b),
            share_a_better=float(((a > b) + (a == b) / 2).mean()),
        )
    return differences


def paired_counts(flagged_a: npt.ArrayLike, flagged_b: npt.ArrayLike) -> PairedCounts:
    """Return the four counts of two models' flags on the same images.

    Args:
        flagged_a: ``(n,)`` bool, the first model's.
        flagged_b: ``(n,)`` bool, the second's, the same images in the same order.

    Raises:
        ValueError: The lengths differ.
    """
    a, b = np.asarray(flagged_a, dtype=bool), np.asarray(flagged_b, dtype=bool)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError("two models' flags must be two lists of the same length")
    return PairedCounts(
        both=int((a & b).sum()),
        only_a=int((a & ~b).sum()),
        only_b=int((~a & b).sum()),
        neither=int((~a & ~b).sum()),
    )
