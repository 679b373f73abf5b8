"""What maps cut at the pixel threshold find of the marked places, and how much of it is right.

A pixel is predicted where its value lies above the threshold; pixels that touch at a corner are
one region. Smaller predicted regions than the product shows are dropped from the precision.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

from detection.metrics.bootstrap import DRAWS, percentile_interval, stratified_draws
from detection.metrics.pixels import TOUCHING, box_of
from detection.protocol import BoolArray, Float32Array, Int64Array
from detection.regions import MIN_AREA_PX
from detection.statistics.intervals import Interval

HALF: Final = 0.5  # share of a marked place that must be predicted for the stricter recall


@dataclass(frozen=True, slots=True)
class RegionCounts:
    """Counts at the pixel threshold over some images.

    Attributes:
        overlap_px: Pixels both predicted and marked.
        union_px: Pixels predicted or marked.
        marked: Marked places.
        hit: Those with at least one predicted pixel.
        half_hit: Those of which at least half is predicted.
        predicted: Predicted regions of at least ``MIN_AREA_PX`` pixels, on normal images as well.
        right: Those that hold at least one marked pixel.
    """

    overlap_px: int
    union_px: int
    marked: int
    hit: int
    half_hit: int
    predicted: int
    right: int

    @property
    def iou(self) -> float | None:
        """Overlap over union, all images together; None where nothing is predicted or marked."""
        return self.overlap_px / self.union_px if self.union_px else None


class RegionTally:
    """Counts predicted and marked places image by image; keeps seven numbers of each."""

    def __init__(self, threshold: float) -> None:
        """
        Args:
            threshold: The pixel threshold, feature units.
        """
        self.threshold = threshold
        self._rows: list[tuple[int, ...]] = []

    def add(self, score_map: Float32Array, mask: BoolArray | None) -> None:
        """Count one image.

        Args:
            score_map: ``(height, width)`` float, feature units.
            mask: ``(height, width)`` bool, True where defective; None for a normal image.

        Raises:
            ValueError: The shapes differ.
        """
        if mask is not None and mask.shape != score_map.shape:
            raise ValueError(f"the map is {score_map.shape}, its mask {mask.shape}")
        hot = score_map > self.threshold
        has_mask, has_hot = mask is not None and bool(mask.any()), bool(hot.any())
        overlap = union = marked = hit = half_hit = predicted = right = 0
        if mask is not None and has_mask:
            box = box_of(mask)
            labels, marked = ndimage.label(mask[box], structure=TOUCHING)
            covered = np.bincount(labels[hot[box]], minlength=marked + 1)[1:]
            areas = np.bincount(labels[mask[box]], minlength=marked + 1)[1:]
            overlap, union = int(covered.sum()), int(areas.sum())
            hit = int((covered > 0).sum())
            half_hit = int((covered >= HALF * areas).sum())
        if has_hot:
            box = box_of(hot)
            labels, count = ndimage.label(hot[box], structure=TOUCHING)
            areas = np.bincount(labels[hot[box]], minlength=count + 1)[1:]
            shown = areas >= MIN_AREA_PX
            predicted = int(shown.sum())
            union += int(areas.sum()) - overlap
            if mask is not None and has_mask:
                marks = np.bincount(labels[mask[box]], minlength=count + 1)[1:]
                right = int((shown & (marks > 0)).sum())
        self._rows.append((overlap, union, marked, hit, half_hit, predicted, right))

    def counts(self) -> RegionCounts:
        """The counts over all images so far."""
        return RegionCounts(*(int(total) for total in self._table().sum(axis=0)))

    def intervals(
        self, *, rng: np.random.Generator, draws: int = DRAWS
    ) -> dict[str, Interval | None]:
        """Return 95 % intervals by bootstrap over images, marked ones and others apart.

        Returns:
            ``pixel_iou``, ``region_recall``, ``region_recall_half`` and ``region_precision``;
            None where a figure is missing or no draw differs from another.

        Source: percentile bootstrap (Efron 1979).
        """
        names = ("pixel_iou", "region_recall", "region_recall_half", "region_precision")
        table = self._table()
        if not len(table):
            return dict.fromkeys(names)
        totals = np.concatenate(
            [t @ table for t in stratified_draws(table[:, 2] > 0, rng=rng, draws=draws)]
        )
        overlap, union, marked, hit, half_hit, predicted, right = totals.T
        pairs = ((overlap, union), (hit, marked), (half_hit, marked), (right, predicted))
        with np.errstate(invalid="ignore"):  # a draw without any gives NaN, which is left out
            return {
                name: percentile_interval(events / n)
                for name, (events, n) in zip(names, pairs, strict=True)
            }

    def _table(self) -> Int64Array:
        return np.array(self._rows, dtype=np.int64).reshape(-1, 7)
