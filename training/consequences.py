"""What a pair of thresholds makes of the golden set's stored scores. No reads, no writes."""

from collections.abc import Sequence
from typing import Any

from detection.evaluation import OperatingPoint, ScoredImage
from detection.statistics import clopper_pearson
from inspection.models import ModelVersion

UNKNOWN = (
    "There are no known images in the golden set of this version, so what these thresholds do "
    "is not known."
)


def evaluation_at(evaluation: dict[str, Any], review_from: float | None) -> dict[str, Any]:
    """Return an evaluation with its rates and counts at another ``review_from``.

    The stored ones are of the first threshold; curves, areas and pixel figures know none.
    """
    lines = evaluation.get("scores")
    if review_from is None or not lines:
        return evaluation
    scored = [ScoredImage.from_json(line) for line in lines]
    point = OperatingPoint.of(scored, review_from).to_json()
    kept = evaluation | point
    # The rates of pixels and places stay: they hang on the pixel threshold.
    kept["rates"] = evaluation["rates"] | point["rates"]
    for name, rate in point["rates"].items():
        kept["intervals"] = kept["intervals"] | {
            name: [rate["low"], rate["high"]] if rate["n"] else None
        }
    return kept


def consequence_of(
    version: ModelVersion, *, review_from: float, reject_from: float | None
) -> list[str]:
    """Return in sentences what a pair of thresholds does with the known images of a version."""
    evaluation: dict[str, Any] = version.metrics.get("evaluation") or {}
    lines = evaluation.get("scores") or []
    defects = [line["score"] for line in lines if line["is_defect"]]
    normals = [line["score"] for line in lines if not line["is_defect"]]
    if not lines:
        return [UNKNOWN]
    sentences = [
        _sentence(defects, review_from, "known defects", "flagged"),
        _sentence(normals, review_from, "known normals", "stopped"),
    ]
    if reject_from is None:
        sentences.append("Nothing is rejected by machine: every flag goes to a person.")
    else:
        sentences.append(_sentence(defects, reject_from, "known defects", "rejected by machine"))
        sentences.append(_sentence(normals, reject_from, "known normals", "rejected by machine"))
    return sentences


def _sentence(scores: Sequence[float], threshold: float, what: str, done: str) -> str:
    n = len(scores)
    if not n:
        return f"There are no {what}: how many are {done} is not known."
    events = _reached(scores, threshold)
    low, high = clopper_pearson(events, n)
    return f"{events} of {n} {what} {done} (95 % interval {100 * low:.1f} to {100 * high:.1f} %)."


def _reached(scores: Sequence[float], threshold: float) -> int:
    return sum(score >= threshold for score in scores)
