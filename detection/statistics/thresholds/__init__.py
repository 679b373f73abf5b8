"""Two thresholds by cost: review from one score on, reject from another.

What normals alone can promise is in ``detection.statistics.surprise``. A pair chosen here on a
set of images is reported on other images, never on the same.
"""

from detection.statistics.thresholds.choice import (
    Plateau,
    ThresholdChoice,
    choose_thresholds,
    cost_of_pair,
)
from detection.statistics.thresholds.limits import Limits, LimitsConflictError, ReviewTime

__all__ = [
    "Limits",
    "LimitsConflictError",
    "Plateau",
    "ReviewTime",
    "ThresholdChoice",
    "choose_thresholds",
    "cost_of_pair",
]
