"""How well scores and maps separate normal from defective. Needs labels; judges no policy."""

from detection.metrics.bootstrap import DRAWS, image_intervals
from detection.metrics.curves import (
    BestF1,
    Confusion,
    CurvePoint,
    auroc,
    average_precision,
    best_f1,
    confusion_at,
    precision_recall_points,
    roc_points,
)
from detection.metrics.paired import Difference, PairedCounts, paired_counts, paired_differences
from detection.metrics.pixels import PixelMetrics, PixelTally
from detection.metrics.regions import RegionCounts, RegionTally

__all__ = [
    "DRAWS",
    "BestF1",
    "Confusion",
    "CurvePoint",
    "Difference",
    "PairedCounts",
    "PixelMetrics",
    "PixelTally",
    "RegionCounts",
    "RegionTally",
    "auroc",
    "average_precision",
    "best_f1",
    "confusion_at",
    "image_intervals",
    "paired_counts",
    "paired_differences",
    "precision_recall_points",
    "roc_points",
]
