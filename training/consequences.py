"""What a pair of thresholds makes of the golden set's stored scores. No reads, no writes."""

from collections.abc import Sequence
from typing import Any

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
    defects = [line for line in lines if line["is_defect"]]
    normals = [line["score"] for line in lines if not line["is_defect"]]
    found = _reached([line["score"] for line in defects], review_from)
    stopped = _reached(normals, review_from)
    types: dict[str, list[float]] = {}
    for line in defects:
        types.setdefault(line["defect_type"], []).append(line["score"])
    return evaluation | {
        "threshold": review_from,
        "confusion": {
            "found": found, "missed": len(defects) - found,
            "false_alarms": stopped, "passed": len(normals) - stopped,
        },
        "detection_rate": _rate(found, len(defects)),
        "false_alarm_rate": _rate(stopped, len(normals)),
        "detection_by_type": {
            name: _rate(_reached(scores, review_from), len(scores))
            for name, scores in sorted(types.items())
        },
    }  # fmt: skip


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


def _rate(events: int, n: int) -> dict[str, Any]:
    """Return a rate in the shape of a stored evaluation."""
    low, high = clopper_pearson(events, n)
    return {"events": events, "n": n, "value": events / n if n else None, "low": low, "high": high}
