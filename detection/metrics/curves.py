"""Curves and figures of one score per image, exact, ties counted as ties.

Everywhere an image is called defective when its score is at or above the threshold.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from detection.protocol import BoolArray, Float64Array, Int64Array

MAX_POINTS: Final = 500  # of a drawn curve; more cannot be seen and slow the page


class BestF1(NamedTuple):
    """The largest F1 over all thresholds, found on the very set it is stated for: optimistic."""

    value: float
    threshold: float


class Confusion(NamedTuple):
    """What one threshold does: flagged or passed, among defects and among normals."""

    found: int
    missed: int
    false_alarms: int
    passed: int


class CurvePoint(NamedTuple):
    """One point of a curve, the threshold behind it (inf: nothing is flagged) and its counts."""

    x: float
    y: float
    threshold: float
    confusion: Confusion


class _Steps(NamedTuple):
    """Cumulated counts from the highest distinct score down."""

    thresholds: Float64Array
    found: Int64Array
    false_alarms: Int64Array

    def from_nothing(self) -> "_Steps":
        """The same, begun with the threshold that flags nothing."""
        return _Steps(
            np.concatenate([[np.inf], self.thresholds]),
            np.concatenate([[0], self.found]),
            np.concatenate([[0], self.false_alarms]),
        )


def auroc(scores: npt.ArrayLike, is_defect: npt.ArrayLike) -> float | None:
    """Return the chance that a random defect outscores a random normal, ties as half.

    Args:
        scores: ``(n,)`` feature units, no NaN.
        is_defect: ``(n,)`` bool.

    Returns:
        In [0, 1]; None where one of the two kinds is missing.

    Source: Mann and Whitney 1947; the same as the area under the ROC curve.
    """
    steps = _steps(scores, is_defect)
    defects, normals = int(steps.found[-1]), int(steps.false_alarms[-1])
    if not defects or not normals:
        return None
    tpr = steps.found / defects
    fpr = steps.false_alarms / normals
    return float(np.trapezoid(np.concatenate([[0.0], tpr]), np.concatenate([[0.0], fpr])))


def average_precision(scores: npt.ArrayLike, is_defect: npt.ArrayLike) -> float | None:
    """Return precision averaged over the steps of recall, without interpolation.

    Arguments as ``auroc``. None where one of the two kinds is missing.

    Source: as in information retrieval; the same as scikit-learn's.
    """
    steps = _steps(scores, is_defect)
    defects, normals = int(steps.found[-1]), int(steps.false_alarms[-1])
    if not defects or not normals:
        return None
    precision = steps.found / (steps.found + steps.false_alarms)
    gained = np.diff(steps.found, prepend=0) / defects
    return float((precision * gained).sum())


def best_f1(scores: npt.ArrayLike, is_defect: npt.ArrayLike) -> BestF1 | None:
    """Return the largest F1 and its threshold, the highest threshold among equals.

    Arguments as ``auroc``. None where one of the two kinds is missing: F1 is then
    degenerate (flag everything).
    """
    steps = _steps(scores, is_defect)
    defects, normals = int(steps.found[-1]), int(steps.false_alarms[-1])
    if not defects or not normals:
        return None
    f1 = 2 * steps.found / (steps.found + steps.false_alarms + defects)
    best = int(f1.argmax())
    return BestF1(float(f1[best]), float(steps.thresholds[best]))


def confusion_at(scores: npt.ArrayLike, is_defect: npt.ArrayLike, threshold: float) -> Confusion:
    """Return the four counts at one threshold. Arguments as ``auroc``."""
    values, defects = checked(scores, is_defect)
    flagged = values >= threshold
    return Confusion(
        found=int((flagged & defects).sum()),
        missed=int((~flagged & defects).sum()),
        false_alarms=int((flagged & ~defects).sum()),
        passed=int((~flagged & ~defects).sum()),
    )


def roc_points(
    scores: npt.ArrayLike, is_defect: npt.ArrayLike, *, limit: int = MAX_POINTS
) -> tuple[CurvePoint, ...]:
    """Return the ROC curve: x false-alarm rate, y detection rate, from (0, 0) to (1, 1).

    Arguments as ``auroc``. Corners only, then evenly thinned to ``limit`` points with both
    ends kept. Empty where one of the two kinds is missing.
    """
    steps = _steps(scores, is_defect)
    defects, normals = int(steps.found[-1]), int(steps.false_alarms[-1])
    if not defects or not normals:
        return ()
    steps = steps.from_nothing()
    tpr, fpr = steps.found / defects, steps.false_alarms / normals
    # A point on a straight line between its neighbours draws nothing.
    straight = (np.diff(tpr, n=2) == 0) & (np.diff(fpr, n=2) == 0)
    kept = np.flatnonzero(np.concatenate([[True], ~straight, [True]]))
    return _thinned(fpr, tpr, steps, kept, limit)


def precision_recall_points(
    scores: npt.ArrayLike, is_defect: npt.ArrayLike, *, limit: int = MAX_POINTS
) -> tuple[CurvePoint, ...]:
    """Return the precision-recall curve: x recall, y precision, recall rising.

    Arguments as ``auroc``. Begins at recall 0 with the precision of the highest score.
    Empty where one of the two kinds is missing.
    """
    steps = _steps(scores, is_defect)
    defects, normals = int(steps.found[-1]), int(steps.false_alarms[-1])
    if not defects or not normals:
        return ()
    precision = steps.found / (steps.found + steps.false_alarms)
    precision = np.concatenate([precision[:1], precision])
    steps = steps.from_nothing()
    recall = steps.found / defects
    return _thinned(recall, precision, steps, np.arange(recall.size), limit)


def checked(scores: npt.ArrayLike, is_defect: npt.ArrayLike) -> tuple[Float64Array, BoolArray]:
    """Return both as arrays of one length.

    Raises:
        ValueError: They are not, or a score is NaN.
    """
    values = np.asarray(scores, dtype=np.float64)
    defects = np.asarray(is_defect, dtype=bool)
    if values.ndim != 1 or values.shape != defects.shape:
        raise ValueError("scores and labels must be two lists of the same length")
    if np.isnan(values).any():
        raise ValueError("scores hold NaN")
    return values, defects


def _steps(scores: npt.ArrayLike, is_defect: npt.ArrayLike) -> _Steps:
    values, defects = checked(scores, is_defect)
    if values.size == 0:
        nothing = np.zeros(1, dtype=np.int64)
        return _Steps(np.array([np.inf]), nothing, nothing)
    order = np.argsort(-values, kind="stable")
    falling = values[order]
    last_of_ties = np.append(np.nonzero(np.diff(falling))[0], falling.size - 1)
    found = np.cumsum(defects[order], dtype=np.int64)[last_of_ties]
    return _Steps(falling[last_of_ties], found, last_of_ties + 1 - found)


def _thinned(
    x: Float64Array, y: Float64Array, steps: _Steps, kept: Int64Array, limit: int
) -> tuple[CurvePoint, ...]:
    spaced = np.unique(np.linspace(0, kept.size - 1, min(limit, kept.size)).round())
    defects, normals = int(steps.found[-1]), int(steps.false_alarms[-1])
    points = []
    for k in kept[spaced.astype(np.int64)]:
        found, false_alarms = int(steps.found[k]), int(steps.false_alarms[k])
        counts = Confusion(found, defects - found, false_alarms, normals - false_alarms)
        points.append(CurvePoint(float(x[k]), float(y[k]), float(steps.thresholds[k]), counts))
    return tuple(points)
