"""The result of an evaluation, in Python and as JSON: plain figures on top, details beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from detection.evaluation.operating import OperatingPoint, Rate, ScoredImage, finite
from detection.metrics import BestF1, CurvePoint, PixelMetrics, RegionCounts
from detection.statistics import Interval


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a model did on one labelled set. Figures are None where a kind is missing.

    Attributes:
        normals: Normal images.
        defects: Defective images.
        without_mask: Defective images left out of the pixel figures: no mask, or an empty one.
        image_auroc: Area under the ROC curve of image scores.
        image_ap: Average precision of image scores.
        f1_best: Largest F1 and its threshold, chosen on this very set: optimistic.
        pixels: Pixel AUROC, average precision, AUPRO, best overlap.
        pixel_threshold: The model's own, where maps were cut for ``regions``.
        regions: Overlap, and places found and right, at the pixel threshold.
        point: Counts and rates at the image threshold.
        roc: x false-alarm rate, y detection rate.
        precision_recall: x recall, y precision.
        scores: Every image's score, in the order of the set.
        intervals: 95 %: by bootstrap over images, for the two rates exact.
        draws: Of the bootstrap.
        seed: Of the bootstrap.
        ms_per_image: Median time of one ``score`` call, this machine, without decoding.
        p95_ms: The time that 95 % of the calls stay below.
    """

    normals: int
    defects: int
    without_mask: int
    image_auroc: float | None
    image_ap: float | None
    f1_best: BestF1 | None
    pixels: PixelMetrics | None
    pixel_threshold: float
    regions: RegionCounts
    point: OperatingPoint
    roc: tuple[CurvePoint, ...]
    precision_recall: tuple[CurvePoint, ...]
    scores: tuple[ScoredImage, ...]
    intervals: Mapping[str, Interval | None]
    draws: int
    seed: int
    ms_per_image: float
    p95_ms: float

    @property
    def pixel_auroc(self) -> float | None:
        """Over all pixels; None without masks."""
        return self.pixels.auroc if self.pixels else None

    @property
    def aupro(self) -> float | None:
        """Up to 30 % false positives; None without masks."""
        return self.pixels.aupro if self.pixels else None

    @property
    def region_rates(self) -> dict[str, Rate]:
        """Marked places hit, hit by half, and predicted regions that are right; empty maskless."""
        if self.pixels is None:
            return {}
        counts = self.regions
        return {
            "region_recall": Rate(counts.hit, counts.marked),
            "region_recall_half": Rate(counts.half_hit, counts.marked),
            "region_precision": Rate(counts.right, counts.predicted),
        }

    def to_json(self) -> dict[str, Any]:
        """Return the evaluation as JSON types; an infinite threshold becomes None.

        Every figure stands on top as a number or None; its interval, where there is one, under
        the same name in ``intervals``, and the counts behind a share in ``rates``.
        """
        pixels, best, point = self.pixels, self.f1_best, self.point.to_json()
        region_rates = self.region_rates
        return {
            "n_normal": self.normals,
            "n_defect": self.defects,
            "n_without_mask": self.without_mask,
            "n_mask_regions": pixels.regions if pixels else 0,
            "image_auroc": self.image_auroc,
            "image_ap": self.image_ap,
            "pixel_auroc": pixels and pixels.auroc,
            "pixel_auroc_error": pixels and pixels.auroc_error,
            "pixel_ap": pixels and pixels.average_precision,
            "aupro": pixels and pixels.aupro,
            "aupro_05": pixels and pixels.aupro_strict,
            "f1_best": best and best.value,
            "f1_best_threshold": best and best.threshold,
            "pixel_threshold": self.pixel_threshold,
            "pixel_iou": self.regions.iou if pixels else None,
            "pixel_iou_best": pixels and pixels.iou_best,
            "pixel_iou_best_threshold": pixels and pixels.iou_best_threshold,
            **{
                name: region_rates[name].value if name in region_rates else None
                for name in ("region_recall", "region_recall_half", "region_precision")
            },
            "ms_per_image": self.ms_per_image,
            "p95_ms": self.p95_ms,
            **point,
            "rates": {
                **point["rates"],
                **{
                    name: {"events": rate.events, "n": rate.n, "value": rate.value}
                    for name, rate in region_rates.items()
                },
            },
            "intervals": {
                name: None if interval is None else list(interval)
                for name, interval in self.intervals.items()
            },
            "bootstrap": {"draws": self.draws, "seed": self.seed},
            "roc": _points(self.roc, "false_alarm_rate", "detection_rate"),
            "precision_recall": _points(self.precision_recall, "recall", "precision"),
            "scores": [line.to_json() for line in self.scores],
        }


def _points(points: Sequence[CurvePoint], x: str, y: str) -> list[dict[str, Any]]:
    return [
        {
            x: point.x,
            y: point.y,
            "threshold": finite(point.threshold),
            **point.confusion._asdict(),
        }
        for point in points
    ]
