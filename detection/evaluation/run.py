"""Scoring a labelled set once and putting its figures together, image by image."""

import time
from typing import Protocol

import numpy as np

from detection.evaluation.labelled import LabelledImage, LabelledSource
from detection.evaluation.operating import OperatingPoint, Rate, ScoredImage
from detection.evaluation.report import Evaluation
from detection.metrics import (
    DRAWS,
    PixelTally,
    RegionTally,
    auroc,
    average_precision,
    best_f1,
    image_intervals,
    precision_recall_points,
    roc_points,
)
from detection.protocol import DetectionError, Float32Array, Progress, UInt8Array
from detection.statistics import FirstThreshold, Interval


class SetsThreshold(Protocol):
    """What is needed of a model's calibration: the first threshold it carries."""

    def first_threshold(self) -> FirstThreshold: ...


class ImageScore(Protocol):
    """What is needed of a model's result for one image."""

    @property
    def score(self) -> float: ...
    @property
    def map(self) -> Float32Array: ...


class ScoringModel(Protocol):
    """Anything that scores one image and knows its calibration; `detection.model.Model` does."""

    @property
    def calibration(self) -> SetsThreshold: ...
    @property
    def pixel_threshold(self) -> float: ...
    def score(self, image: UInt8Array) -> ImageScore: ...


class Evaluator:
    """Evaluates one model on images given one by one; several may walk one set together.

    Maps are tallied as they come and not kept.
    """

    def __init__(self, model: ScoringModel, *, threshold: float | None = None) -> None:
        """
        Args:
            model: Scores one ``(height, width, 3)`` uint8 RGB image at a time.
            threshold: Flags images at or above it, feature units. None: the first threshold of
                the model's own calibration, which has not seen the labels.
        """
        if threshold is None:
            threshold = model.calibration.first_threshold().review_from
        self.model = model
        self.threshold = threshold
        self.without_mask = 0
        self.lines: list[ScoredImage] = []
        self._pixels = PixelTally()
        self._regions = RegionTally(model.pixel_threshold)
        self._times_ms: list[float] = []

    def add(self, item: LabelledImage) -> None:
        """Score one image and count it.

        Raises:
            DetectionError: Its mask has another size, or its map holds NaN; the image is named.
        """
        begin = time.perf_counter()
        result = self.model.score(item.image)
        self._times_ms.append(1000 * (time.perf_counter() - begin))
        mask = item.mask if item.is_defect and item.mask is not None and item.mask.any() else None
        if item.is_defect and mask is None:
            self.without_mask += 1
        else:
            try:
                self._pixels.add(result.map, mask)
                self._regions.add(result.map, mask)
            except ValueError as error:
                raise DetectionError(f"{item.id}: {error}.") from error
        self.lines.append(
            ScoredImage(
                item.id,
                float(result.score),
                item.is_defect,
                item.defect_type,
                None if mask is None else float(mask.mean()),
            )
        )

    def result(self, *, draws: int = DRAWS, seed: int = 0) -> Evaluation:
        """Return the figures of all images so far.

        Args:
            draws: Of the bootstrap over images that gives the intervals.
            seed: Of the same.

        Raises:
            ValueError: There were no images, or a score is NaN.
        """
        if not self.lines:
            raise ValueError("an evaluation needs labelled images")
        scores = np.array([line.score for line in self.lines])
        labels = np.array([line.is_defect for line in self.lines])
        point = OperatingPoint.of(self.lines, self.threshold)
        pixels = self._pixels.figures()
        intervals: dict[str, Interval | None] = {
            **image_intervals(scores, labels, rng=np.random.default_rng(seed), draws=draws),
            **self._pixels.intervals(rng=np.random.default_rng(seed), draws=draws),
            **self._regions.intervals(rng=np.random.default_rng(seed), draws=draws),
            "detection_rate": _exact(point.detection_rate),
            "false_alarm_rate": _exact(point.false_alarm_rate),
        }
        # Engines finish compiling in the first call; alone it is still a time.
        times_ms = self._times_ms[1:] or self._times_ms
        return Evaluation(
            normals=int((~labels).sum()),
            defects=int(labels.sum()),
            without_mask=self.without_mask,
            image_auroc=auroc(scores, labels),
            image_ap=average_precision(scores, labels),
            f1_best=best_f1(scores, labels),
            pixels=pixels,
            pixel_threshold=self.model.pixel_threshold,
            regions=self._regions.counts(),
            point=point,
            roc=roc_points(scores, labels),
            precision_recall=precision_recall_points(scores, labels),
            scores=tuple(self.lines),
            intervals=intervals,
            draws=draws,
            seed=seed,
            ms_per_image=float(np.median(times_ms)),
            p95_ms=float(np.quantile(times_ms, 0.95)),
        )


def evaluate(
    model: ScoringModel,
    labelled: LabelledSource,
    *,
    threshold: float | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    on_progress: Progress | None = None,
) -> Evaluation:
    """Score every labelled image once and return what the model is worth on them.

    Maps are tallied as they come and not kept: each image adds about 10 KB.

    Args:
        model: Scores one ``(height, width, 3)`` uint8 RGB image at a time.
        labelled: Normal and defective images the model was not fitted on.
        threshold: Flags images at or above it, feature units. None: the first threshold of
            the model's own calibration, which has not seen the labels.
        draws: Of the bootstrap over images that gives the intervals.
        seed: Of the same.
        on_progress: Called after each image with (done, total, id).

    Returns:
        Figures, intervals, curves and counts.

    Raises:
        ValueError: The set is empty, or a mask has another size than its image.

    Source: ours; for the figures see `detection.metrics`.
    """
    if len(labelled) == 0:
        raise ValueError("an evaluation needs labelled images")
    evaluator = Evaluator(model, threshold=threshold)
    for done, item in enumerate(labelled, start=1):
        evaluator.add(item)
        if on_progress is not None:
            on_progress(done, len(labelled), item.id)
    return evaluator.result(draws=draws, seed=seed)


def _exact(rate: Rate) -> Interval | None:
    return rate.interval if rate.n else None
