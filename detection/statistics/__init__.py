"""The estimators behind every number the product shows. numpy and scipy only, no random state."""

from detection.statistics.intervals import Interval, clopper_pearson, lower_bound, upper_bound
from detection.statistics.misses import AuditedBand, MissRate, escaped_at_most, miss_rate
from detection.statistics.prices import (
    Decision,
    Prices,
    cheapest_decision,
    defect_share,
    expected_cost,
    likelihood_ratio,
)
from detection.statistics.surprise import (
    FirstThreshold,
    false_alarm_range,
    first_threshold,
    largest_rank,
    largest_rank_with_promise,
    lot_design_effect,
    normals_needed,
    rate_at_most,
    surprise,
    surprise_of_new_lot,
)
from detection.statistics.tails import DefectTail, NormalTail, believed_detection
from detection.statistics.thresholds import (
    Limits,
    LimitsConflictError,
    Plateau,
    ReviewTime,
    ThresholdChoice,
    choose_thresholds,
    cost_of_pair,
)

__all__ = [
    "AuditedBand",
    "Decision",
    "DefectTail",
    "FirstThreshold",
    "Interval",
    "Limits",
    "LimitsConflictError",
    "MissRate",
    "NormalTail",
    "Plateau",
    "Prices",
    "ReviewTime",
    "ThresholdChoice",
    "believed_detection",
    "cheapest_decision",
    "choose_thresholds",
    "clopper_pearson",
    "cost_of_pair",
    "defect_share",
    "escaped_at_most",
    "expected_cost",
    "false_alarm_range",
    "first_threshold",
    "largest_rank",
    "largest_rank_with_promise",
    "likelihood_ratio",
    "lot_design_effect",
    "lower_bound",
    "miss_rate",
    "normals_needed",
    "rate_at_most",
    "surprise",
    "surprise_of_new_lot",
    "upper_bound",
]
