"""The estimators behind every number the product shows. numpy and scipy only, no random state."""

from detection.statistics.intervals import Interval, clopper_pearson, lower_bound, upper_bound
from detection.statistics.misses import AuditedBand, MissRate, escaped_at_most, miss_rate
from detection.statistics.surprise import (
    FirstThreshold,
    first_threshold,
    largest_rank,
    largest_rank_with_promise,
    lot_design_effect,
    normals_needed,
    rate_at_most,
    surprise,
    surprise_of_new_lot,
)

__all__ = [
    "AuditedBand",
    "FirstThreshold",
    "Interval",
    "MissRate",
    "clopper_pearson",
    "escaped_at_most",
    "first_threshold",
    "largest_rank",
    "largest_rank_with_promise",
    "lot_design_effect",
    "lower_bound",
    "miss_rate",
    "normals_needed",
    "rate_at_most",
    "surprise",
    "surprise_of_new_lot",
    "upper_bound",
]
