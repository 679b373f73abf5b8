"""The cheapest pair of thresholds, and how far to trust it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from detection.protocol import DetectionError
from detection.statistics.intervals import lower_bound
from detection.statistics.prices import Prices, check_prior
from detection.statistics.tails import DefectTail
from detection.statistics.thresholds.grid import TIE, CostGrid
from detection.statistics.thresholds.limits import Limits

PLATEAU_SHARE: Final = 0.03  # of the saving: a pair this near to the best is as good as it
# From here on the plateau holds the true optimum in most simulated cases.
DEFECTS_FOR_A_PLATEAU: Final = 20

Basis = Literal["assumed", "few defects", "known defects"]


@dataclass(frozen=True, slots=True)
class Plateau:
    """The range of ``review_from`` that is about as good as the best.

    Attributes:
        low: Lowest such threshold; ``-inf`` where reviewing everything is as good.
        high: Highest; ``inf`` where reviewing nothing is.
        false_alarm_rate_low: Share of good parts flagged at ``low``, the larger one.
        false_alarm_rate_high: The same at ``high``.
    """

    low: float
    high: float
    false_alarm_rate_low: float
    false_alarm_rate_high: float


@dataclass(frozen=True, slots=True)
class ThresholdChoice:
    """The cheapest pair of thresholds, and how far to trust it.

    Attributes:
        review_from: Scores at or above it are flagged; ``-inf`` all, ``inf`` none.
        reject_from: Scores at or above it are rejected without a review; None: none is.
        cost_per_part: Expected, in the currency of the prices.
        cost_pass_all: If every part were passed unseen.
        cost_review_all: If every part were reviewed.
        false_alarm_rate: Expected share of good parts flagged.
        detection: Expected share of defective parts flagged; None: unknown without defects.
        detection_at_least: One-sided 95 % lower bound from the known defects alone; None
            without them, or where their weights differ. Flattered by choosing on them.
        found: Known defects flagged.
        known: Known defects.
        review_share: Expected share of all parts that somebody looks at.
        plateau: Every ``review_from`` within 3 % of the saving that can be had.
        price_of_minute: What one more minute of review time would save in the window; None
            without a limit on it.
        basis: ``assumed`` without known defects, ``few defects`` below 20 of them.
        cautions: In plain words, what not to conclude.
    """

    review_from: float
    reject_from: float | None
    cost_per_part: float
    cost_pass_all: float
    cost_review_all: float
    false_alarm_rate: float
    detection: float | None
    detection_at_least: float | None
    found: int
    known: int
    review_share: float
    plateau: Plateau
    price_of_minute: float | None
    basis: Basis
    cautions: tuple[str, ...]

    @property
    def saving_per_part(self) -> float:
        """Against the cheaper of passing all and reviewing all; below 0 only where limits bind."""
        return min(self.cost_pass_all, self.cost_review_all) - self.cost_per_part

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON types; a threshold is None where ``flags`` is ``all`` or ``none``."""
        flags = {-np.inf: "all", np.inf: "none"}.get(self.review_from, "from")
        plateau = self.plateau
        return {
            "flags": flags,
            "review_from": _finite(self.review_from),
            "reject_from": self.reject_from,
            "cost_per_part": self.cost_per_part,
            "cost_pass_all": self.cost_pass_all,
            "cost_review_all": self.cost_review_all,
            "saving_per_part": self.saving_per_part,
            "false_alarm_rate": self.false_alarm_rate,
            "detection": self.detection,
            "detection_at_least": self.detection_at_least,
            "found": self.found,
            "known": self.known,
            "review_share": self.review_share,
            "plateau": {
                "low": _finite(plateau.low),
                "high": _finite(plateau.high),
                "false_alarm_rate_low": plateau.false_alarm_rate_low,
                "false_alarm_rate_high": plateau.false_alarm_rate_high,
            },
            "price_of_minute": self.price_of_minute,
            "basis": self.basis,
            "cautions": list(self.cautions),
        }


def choose_thresholds(
    defects: DefectTail,
    prices: Prices,
    *,
    prior: float,
    limits: Limits | None = None,
    may_reject: bool | None = None,
) -> ThresholdChoice:
    """Return the cheapest pair among all scores seen and some beyond them.

    Args:
        defects: Known defects and, within, the normals; none of them is in the bank.
        prices: Of mistakes and looks.
        prior: Share of defective parts, in (0, 1).
        limits: To be kept before cost is looked at.
        may_reject: Whether parts may be rejected without a review. None: once a defect is known.

    Returns:
        Of equally cheap pairs the one with the lowest ``review_from``, then the highest
        ``reject_from``. Raising ``prices.miss`` never raises ``review_from``.

    Raises:
        LimitsConflictError: No pair keeps the limits; it names the fewest that conflict.
        DetectionError: ``prior`` is no share.

    Source: ours; the cost is separable, so that all pairs take one range minimum.
    """
    check_prior(prior)
    limits = limits or Limits()
    known = defects.scores.size
    rejects = known > 0 if may_reject is None else may_reject
    candidates = np.union1d(defects.normal.candidates(), defects.scores)
    grid = CostGrid.of(defects, prices, prior, candidates, may_reject=rejects)
    best = grid.cheapest(limits)
    lowest = float(best.min())
    at = int(np.flatnonzero(best <= lowest + grid.rounding)[0])
    to = grid.best_reject(limits, at)
    review_from, reject_from = grid.readable(at), grid.readable(to)
    found = int((defects.scores >= review_from).sum())
    even = bool(known) and bool(np.allclose(defects.weights, 1.0))
    review_all = float(grid.first[0] + grid.second[-1])
    pass_all = float(grid.first[-1] + grid.second[-1])
    saving = max(0.0, min(pass_all, review_all) - lowest)
    near = np.flatnonzero(best <= lowest + PLATEAU_SHARE * saving + grid.rounding)
    basis = _basis(known)
    return ThresholdChoice(
        review_from=review_from,
        reject_from=None if reject_from == np.inf else reject_from,
        cost_per_part=lowest,
        cost_pass_all=pass_all,
        cost_review_all=review_all,
        false_alarm_rate=float(grid.false_alarms[at]),
        detection=float(grid.detection[at]) if known else None,
        detection_at_least=lower_bound(found, known) if even else None,
        found=found,
        known=known,
        review_share=float(
            grid.flagged[at] - (0.0 if prices.rejects_reviewed else grid.flagged[to])
        ),
        plateau=Plateau(
            low=grid.readable(int(near[0])),
            high=grid.readable(int(near[-1])),
            false_alarm_rate_low=float(grid.false_alarms[near[0]]),
            false_alarm_rate_high=float(grid.false_alarms[near[-1]]),
        ),
        price_of_minute=_price_of_minute(grid, limits, lowest),
        basis=basis,
        cautions=_cautions(basis, known, rejects=rejects, saving=saving, lowest=lowest),
    )


def cost_of_pair(
    defects: DefectTail,
    prices: Prices,
    *,
    prior: float,
    review_from: float,
    reject_from: float | None,
) -> float:
    """Return the expected cost per part of thresholds that somebody typed in.

    Args:
        defects: Known defects and, within, the normals.
        prices: Of mistakes and looks; the miss costs of the defects' types count where known.
        prior: Share of defective parts, in (0, 1).
        review_from: Scores at or above it are flagged.
        reject_from: Scores at or above it are rejected; None: none is.

    Raises:
        DetectionError: NaN, the pair is upside down, or ``prior`` is no share.
    """
    check_prior(prior)
    top = np.inf if reject_from is None else reject_from
    if not review_from <= top:
        raise DetectionError("reject_from cannot lie below review_from.")
    # The tails count scores above a threshold, the product those at or above it.
    pair = np.nextafter(np.array([-np.inf, review_from, top]), -np.inf)
    pair[np.isposinf([-np.inf, review_from, top])] = np.inf
    grid = CostGrid.of(defects, prices, prior, pair, may_reject=True)
    return float(grid.first[1] + grid.second[2])


def _price_of_minute(grid: CostGrid, limits: Limits, lowest: float) -> float | None:
    if limits.review_time is None:
        return None
    with_more = float(grid.cheapest(limits, more_minutes=1.0).min())
    return max(0.0, limits.review_time.parts * (lowest - with_more))


def _basis(known: int) -> Basis:
    if not known:
        return "assumed"
    return "few defects" if known < DEFECTS_FOR_A_PLATEAU else "known defects"


def _cautions(
    basis: Basis, known: int, *, rejects: bool, saving: float, lowest: float
) -> tuple[str, ...]:
    told: list[str] = []
    if basis == "assumed":
        told.append(
            "Assumed: no defect is known, so the thresholds rest on a belief about how defects "
            "score, and detection is unknown."
        )
        if rejects:
            told.append("Parts would be rejected unseen on that belief alone.")
    elif basis == "few defects":
        told.append(
            f"Only {known} known defect{'' if known == 1 else 's'}: collect more, at least "
            f"{DEFECTS_FOR_A_PLATEAU}, before trusting the range."
        )
    if saving <= TIE * max(1.0, abs(lowest)):
        told.append("At these prices no threshold is cheaper than passing or reviewing all.")
    told.append("Chosen on these images: report cost and detection on others.")
    return tuple(told)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
