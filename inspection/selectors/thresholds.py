"""Thresholds of a model version: those it has, and those its own normals give."""

from typing import Any

from detection.statistics import FirstThreshold, first_threshold
from inspection.errors import DomainError
from inspection.models import ModelVersion, PolicyThreshold


def threshold_of(version: ModelVersion) -> PolicyThreshold | None:
    """Return the thresholds that a version last had under any policy."""
    return (
        PolicyThreshold.objects.filter(model_version=version)
        .order_by("-policy__version", "-id")
        .first()
    )


def first_threshold_of(version: ModelVersion) -> FirstThreshold:
    """Return the threshold that a version's own calibration normals give.

    Raises:
        DomainError: It has no calibration scores.
    """
    calibration: dict[str, Any] = version.metrics.get("calibration") or {}
    scores = calibration.get("scores") or []
    if not scores:
        raise DomainError(f"{version} has no calibration normals to set a threshold from.")
    # Normals held out at random still come from so many lots or days, and no more.
    lots = calibration.get("groups") or version.metrics.get("groups", 0)
    return first_threshold(scores, kind=version.calibration_kind, lots=lots)
