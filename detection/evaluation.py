"""What a fitted model is worth on labelled images: figures, curves and counts at a threshold.

A threshold is never chosen here on the labels: it comes from the caller or from calibration.
"""

import statistics as plain_statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from detection.metrics import (
    BestF1,
    Confusion,
    CurvePoint,
    PixelMetrics,
    PixelTally,
    auroc,
    average_precision,
    best_f1,
    confusion_at,
    precision_recall_points,
    roc_points,
)
from detection.protocol import BoolArray, Float32Array, ImageSource, Progress, UInt8Array
from detection.statistics import Interval, clopper_pearson, first_threshold


class CalibrationScores(Protocol):
    """What is needed of a model's calibration to set a first threshold."""

    @property
    def scores(self) -> Any: ...
    @property
    def kind(self) -> str: ...
    @property
    def groups(self) -> int: ...


class ImageScore(Protocol):
    """What is needed of a model's result for one image."""

    @property
    def score(self) -> float: ...
    @property
    def map(self) -> Float32Array: ...


class ScoringModel(Protocol):
    """Anything that scores one image and knows its calibration; `detection.model.Model` does."""

    @property
    def calibration(self) -> CalibrationScores: ...
    def score(self, image: UInt8Array) -> ImageScore: ...


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One image with what is known of it; ``mask`` is ``(height, width)`` bool or None."""

    id: str
    image: UInt8Array
    is_defect: bool
    defect_type: str
    mask: BoolArray | None


class LabelledSource:
    """Images with labels, walked together and as often as wanted.

    Args:
        images: Re-iterable; not all in memory.
        labels: True where defective, in the order of ``images``.
        ids: One each.
        defect_types: One each, ``""`` for normals. None: all defects are just ``"defect"``.
        masks: One each, None where there is none; may read lazily. None: no masks at all.

    Raises:
        ValueError: The lengths differ.
    """

    def __init__(
        self,
        images: ImageSource,
        labels: Sequence[bool],
        *,
        ids: Sequence[str],
        defect_types: Sequence[str] | None = None,
        masks: Sequence[BoolArray | None] | None = None,
    ) -> None:
        if defect_types is None:
            defect_types = ["defect" if label else "" for label in labels]
        given = {len(images), len(labels), len(ids), len(defect_types)}
        if masks is not None:
            given.add(len(masks))
        if len(given) != 1:
            raise ValueError("images, labels, ids, defect types and masks differ in length")
        self.images = images
        self.labels = labels
        self.ids = ids
        self.defect_types = defect_types
        self.masks = masks

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[LabelledImage]:
        for number, image in enumerate(self.images):
            yield LabelledImage(
                id=self.ids[number],
                image=image,
                is_defect=bool(self.labels[number]),
                defect_type=self.defect_types[number],
                mask=None if self.masks is None else self.masks[number],
            )


@dataclass(frozen=True, slots=True)
class Rate:
    """A share with the counts behind it and its two-sided 95 % interval; None where n is 0."""

    events: int
    n: int

    @property
    def value(self) -> float | None:
        return self.events / self.n if self.n else None

    @property
    def interval(self) -> Interval:
        return clopper_pearson(self.events, self.n)

    def to_json(self) -> dict[str, Any]:
        low, high = self.interval
        return {"events": self.events, "n": self.n, "value": self.value, "low": low, "high": high}


@dataclass(frozen=True, slots=True)
class ScoredImage:
    """One line of an evaluation."""

    id: str
    score: float
    is_defect: bool
    defect_type: str


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
        pixels: Pixel AUROC, average precision and AUPRO.
        threshold: Images at or above it count as flagged.
        confusion: Counts at the threshold.
        detection_rate: Flagged defects of all defects.
        false_alarm_rate: Flagged normals of all normals.
        detection_by_type: The same for each defect type.
        roc: x false-alarm rate, y detection rate.
        precision_recall: x recall, y precision.
        scores: Every image's score, in the order of the set.
        ms_per_image: Median time of one ``score`` call, this machine.
    """

    normals: int
    defects: int
    without_mask: int
    image_auroc: float | None
    image_ap: float | None
    f1_best: BestF1 | None
    pixels: PixelMetrics | None
    threshold: float
    confusion: Confusion
    detection_rate: Rate
    false_alarm_rate: Rate
    detection_by_type: dict[str, Rate]
    roc: tuple[CurvePoint, ...]
    precision_recall: tuple[CurvePoint, ...]
    scores: tuple[ScoredImage, ...]
    ms_per_image: float

    @property
    def pixel_auroc(self) -> float | None:
        return self.pixels.auroc if self.pixels else None

    @property
    def aupro(self) -> float | None:
        return self.pixels.aupro if self.pixels else None

    def to_json(self) -> dict[str, Any]:
        """Return the evaluation as JSON types; an infinite threshold becomes None."""
        pixels = self.pixels
        return {
            "n_normal": self.normals,
            "n_defect": self.defects,
            "n_without_mask": self.without_mask,
            "image_auroc": self.image_auroc,
            "image_ap": self.image_ap,
            "f1_best": self.f1_best and self.f1_best._asdict(),
            "pixel_auroc": pixels and pixels.auroc,
            "pixel_auroc_error": pixels and pixels.auroc_error,
            "pixel_ap": pixels and pixels.average_precision,
            "aupro": pixels and pixels.aupro,
            "aupro_05": pixels and pixels.aupro_strict,
            "n_mask_regions": pixels.regions if pixels else 0,
            "threshold": _finite(self.threshold),
            "confusion": {
                "found": self.confusion.found,
                "missed": self.confusion.missed,
                "false_alarms": self.confusion.false_alarms,
                "passed": self.confusion.passed,
            },
            "detection_rate": self.detection_rate.to_json(),
            "false_alarm_rate": self.false_alarm_rate.to_json(),
            "detection_by_type": {
                name: rate.to_json() for name, rate in self.detection_by_type.items()
            },
            "roc": [[p.x, p.y, _finite(p.threshold)] for p in self.roc],
            "precision_recall": [[p.x, p.y, _finite(p.threshold)] for p in self.precision_recall],
            "scores": [
                {
                    "id": line.id,
                    "score": line.score,
                    "is_defect": line.is_defect,
                    "defect_type": line.defect_type,
                }
                for line in self.scores
            ],
            "ms_per_image": self.ms_per_image,
        }


def evaluate(
    model: ScoringModel,
    labelled: LabelledSource,
    *,
    threshold: float | None = None,
    on_progress: Progress | None = None,
) -> Evaluation:
    """Score every labelled image once and return what the model is worth on them.

    Maps are tallied as they come and not kept: memory does not grow with the set.

    Args:
        model: Scores one ``(height, width, 3)`` uint8 RGB image at a time.
        labelled: Normal and defective images the model was not fitted on.
        threshold: Flags images at or above it, feature units. None: the first threshold of
            the model's own calibration, which has not seen the labels.
        on_progress: Called after each image with (done, total, id).

    Returns:
        Figures, curves and counts.

    Raises:
        ValueError: The set is empty, or a mask has another size than its image.

    Source: ours; for the figures see `detection.metrics`.
    """
    if len(labelled) == 0:
        raise ValueError("an evaluation needs labelled images")
    if threshold is None:
        calibration = model.calibration
        threshold = first_threshold(
            calibration.scores, kind=calibration.kind, lots=calibration.groups
        ).review_from
    tally = PixelTally()
    lines: list[ScoredImage] = []
    times_ms: list[float] = []
    without_mask = 0
    for item in labelled:
        begin = time.perf_counter()
        result = model.score(item.image)
        times_ms.append(1000 * (time.perf_counter() - begin))
        if not item.is_defect:
            tally.add(result.map, None)
        elif item.mask is not None and item.mask.any():
            tally.add(result.map, item.mask)
        else:
            without_mask += 1
        lines.append(ScoredImage(item.id, float(result.score), item.is_defect, item.defect_type))
        if on_progress is not None:
            on_progress(len(lines), len(labelled), item.id)
    scores = np.array([line.score for line in lines])
    labels = np.array([line.is_defect for line in lines])
    confusion = confusion_at(scores, labels, threshold)
    return Evaluation(
        normals=int((~labels).sum()),
        defects=int(labels.sum()),
        without_mask=without_mask,
        image_auroc=auroc(scores, labels),
        image_ap=average_precision(scores, labels),
        f1_best=best_f1(scores, labels),
        pixels=tally.figures(),
        threshold=threshold,
        confusion=confusion,
        detection_rate=Rate(confusion.found, confusion.found + confusion.missed),
        false_alarm_rate=Rate(confusion.false_alarms, confusion.false_alarms + confusion.passed),
        detection_by_type=_by_type(lines, threshold),
        roc=roc_points(scores, labels),
        precision_recall=precision_recall_points(scores, labels),
        scores=tuple(lines),
        ms_per_image=plain_statistics.median(times_ms),
    )


def _by_type(lines: Sequence[ScoredImage], threshold: float) -> dict[str, Rate]:
    found: dict[str, list[bool]] = {}
    for line in lines:
        if line.is_defect:
            found.setdefault(line.defect_type, []).append(line.score >= threshold)
    return {name: Rate(sum(flags), len(flags)) for name, flags in sorted(found.items())}


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
