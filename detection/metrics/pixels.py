"""Pixel figures of maps against masks, tallied image by image so that memory stays bounded.

Maps are not kept: each value falls into one of two million bins that follow the bits of a
float32, so no range has to be known beforehand. What the bins can cost is stated.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

from detection.metrics.bins import BinCounts, Binning, WideCounts, lower_edge
from detection.metrics.bootstrap import DRAWS
from detection.metrics.pixel_draws import ImageCounts, area_up_to, pixel_intervals
from detection.protocol import BoolArray, Float32Array, Float64Array
from detection.statistics.intervals import Interval

AUPRO_LIMIT: Final = 0.3  # false-positive rate up to which overlap is averaged (Bergmann 2020)
AUPRO_LIMIT_STRICT: Final = 0.05
TOUCHING: Final = np.ones((3, 3), dtype=bool)  # pixels that touch at a corner belong together


@dataclass(frozen=True, slots=True)
class PixelMetrics:
    """How well maps show where the defects are.

    Attributes:
        auroc: Over all pixels.
        auroc_error: How far the bins can have moved ``auroc`` at most.
        average_precision: Over all pixels.
        aupro: Mean overlap with each defective place, averaged up to 30 % false positives.
        aupro_strict: The same up to 5 %.
        iou_best: Largest overlap over union of any threshold, all images together, chosen on
            this very set: optimistic.
        iou_best_threshold: What the map must lie above for it, feature units.
        images: Images tallied.
        regions: Defective places in their masks.
    """

    auroc: float
    auroc_error: float
    average_precision: float
    aupro: float
    aupro_strict: float
    iou_best: float
    iou_best_threshold: float
    images: int
    regions: int


class PixelTally:
    """Counts pixels of maps by value, normal and defective apart; then gives the figures.

    Takes a few MB and about 10 KB for each image, whatever the size of the maps.
    """

    def __init__(self) -> None:
        self._normal, self._defect, self._overlap = WideCounts(), WideCounts(), WideCounts()
        self._binning = Binning()
        self._per_image: list[ImageCounts] = []
        self._regions = 0

    def add(self, score_map: Float32Array, mask: BoolArray | None) -> None:
        """Count one image.

        Args:
            score_map: ``(height, width)`` float, feature units, no NaN.
            mask: ``(height, width)`` bool, True where defective; None for a normal image.

        Raises:
            ValueError: The shapes differ, or the map holds NaN.
        """
        if mask is not None and mask.shape != score_map.shape:
            raise ValueError(f"the map is {score_map.shape}, its mask {mask.shape}")
        if np.isnan(score_map.max()):
            raise ValueError("the map holds NaN")
        bins = self._binning.bins_of(score_map)
        normal = BinCounts.of(bins.ravel())
        defect = overlap = BinCounts.nothing()
        regions = 0
        if mask is not None and mask.any():
            # Labelled inside the mask's own box: most masks are small.
            box = box_of(mask)
            within = mask[box]
            inside = bins[box][within]
            labels, regions = ndimage.label(within, structure=TOUCHING)
            number = labels[within]
            defect = BinCounts.of(inside)
            overlap = BinCounts.of(inside, weights=1 / np.bincount(number)[number])
            normal = normal.minus(defect)
        self._regions += regions
        for total, counts in zip(
            (self._normal, self._defect, self._overlap), (normal, defect, overlap), strict=True
        ):
            total.add(counts)
        self._per_image.append(ImageCounts.of(normal, defect, overlap, regions))

    def figures(self) -> PixelMetrics | None:
        """Return the figures over all images so far; None where one kind of pixel is missing."""
        normals, defects = self._normal.rows.sum(), self._defect.rows.sum()
        if not normals or not defects:
            return None
        used = np.union1d(self._normal.used(), self._defect.used())[::-1]  # the hottest first
        normal, defect = self._normal.at(used), self._defect.at(used)
        place = self._overlap.at(used)
        fpr = _from_zero(np.cumsum(normal) / normals)
        tpr = _from_zero(np.cumsum(defect) / defects)
        found = np.cumsum(defect)
        precision = found / (found + np.cumsum(normal))
        overlap = _from_zero(np.cumsum(place) / self._regions)
        iou = found / (defects + np.cumsum(normal))
        best = int(iou.argmax())
        edge = np.float32(lower_edge(int(used[best])))
        return PixelMetrics(
            auroc=float(np.trapezoid(tpr, fpr)),
            auroc_error=float((normal / normals) @ (defect / defects) / 2),
            average_precision=float(precision @ (defect / defects)),
            aupro=float(area_up_to(fpr, overlap, AUPRO_LIMIT)),
            aupro_strict=float(area_up_to(fpr, overlap, AUPRO_LIMIT_STRICT)),
            iou_best=float(iou[best]),
            iou_best_threshold=float(np.nextafter(edge, np.float32(-np.inf))),
            images=len(self._per_image),
            regions=self._regions,
        )

    def intervals(
        self, *, rng: np.random.Generator, draws: int = DRAWS
    ) -> dict[str, Interval | None]:
        """Return 95 % intervals by bootstrap over images; see `pixel_draws.pixel_intervals`."""
        limits = {"aupro": AUPRO_LIMIT, "aupro_05": AUPRO_LIMIT_STRICT}
        return pixel_intervals(self._per_image, limits=limits, rng=rng, draws=draws)


def box_of(mask: BoolArray) -> tuple[slice, slice]:
    """The rows and columns of a mask that hold a marked pixel; there must be one."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _from_zero(values: Float64Array) -> Float64Array:
    return np.concatenate([[0.0], values])
