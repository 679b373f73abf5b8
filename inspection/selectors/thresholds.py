"""Thresholds of a model version: those it has, and those its own normals give."""

from detection.calibration import Calibration
from detection.statistics import FirstThreshold
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
    calibration = version.metrics.get("calibration")
    if not calibration:
        raise DomainError(f"{version} has no calibration normals to set a threshold from.")
    return Calibration.from_json(calibration).first_threshold()
