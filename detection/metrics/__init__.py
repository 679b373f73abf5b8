"""How well scores and maps separate normal from defective. Needs labels; judges no policy."""

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
from detection.metrics.pixels import PixelMetrics, PixelTally

__all__ = [
    "BestF1",
    "Confusion",
    "CurvePoint",
    "PixelMetrics",
    "PixelTally",
    "auroc",
    "average_precision",
    "best_f1",
    "confusion_at",
    "precision_recall_points",
    "roc_points",
]
