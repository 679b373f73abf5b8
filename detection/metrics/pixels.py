"""Pixel figures of maps against masks, tallied image by image so that memory stays bounded.

Maps are not kept: each value falls into one of two million bins that follow the bits of a
float32, so no range has to be known beforehand. What the bins can cost is stated.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

from detection.protocol import BoolArray, Float32Array, Float64Array, Int64Array

# Bits dropped of a float32: 12 of the mantissa's 23 stay, a bin is 1/4096 of its value wide.
_DROPPED_BITS: Final = 11
_BINS: Final = 1 << (32 - _DROPPED_BITS)
AUPRO_LIMIT: Final = 0.3  # false-positive rate up to which overlap is averaged (Bergmann 2020)
AUPRO_LIMIT_STRICT: Final = 0.05


@dataclass(frozen=True, slots=True)
class PixelMetrics:
    """How well maps show where the defects are.

    Attributes:
        auroc: Over all pixels.
        auroc_error: How far the bins can have moved ``auroc`` at most.
        average_precision: Over all pixels.
        aupro: Mean overlap with each defective place, averaged up to 30 % false positives.
        aupro_strict: The same up to 5 %.
        images: Images tallied.
        regions: Defective places in their masks.
    """

    auroc: float
    auroc_error: float
    average_precision: float
    aupro: float
    aupro_strict: float
    images: int
    regions: int


class PixelTally:
    """Counts pixels of maps by value, normal and defective apart; then gives the figures.

    Takes about 50 MB, however many maps are added.
    """

    def __init__(self) -> None:
        self._normal = np.zeros(_BINS, dtype=np.int64)
        self._defect = np.zeros(_BINS, dtype=np.int64)
        self._overlap = np.zeros(_BINS, dtype=np.float64)
        self._images = 0
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
        if np.isnan(score_map).any():
            raise ValueError("the map holds NaN")
        bins = _bin_of(score_map)
        self._images += 1
        if mask is None or not mask.any():
            self._normal += np.bincount(bins.ravel(), minlength=_BINS)
            return
        self._normal += np.bincount(bins[~mask], minlength=_BINS)
        inside = bins[mask]
        self._defect += np.bincount(inside, minlength=_BINS)
        labels, count = ndimage.label(mask, structure=np.ones((3, 3), dtype=bool))
        number = labels[mask]
        share = 1 / np.bincount(number, minlength=count + 1)[number]
        self._overlap += np.bincount(inside, weights=share, minlength=_BINS)
        self._regions += count

    def figures(self) -> PixelMetrics | None:
        """Return the figures over all images so far; None where one kind of pixel is missing."""
        normals, defects = int(self._normal.sum()), int(self._defect.sum())
        if not normals or not defects:
            return None
        used = np.nonzero(self._normal | self._defect)[0][::-1]  # from the hottest down
        normal, defect = self._normal[used], self._defect[used]
        fpr = _from_zero(np.cumsum(normal) / normals)
        tpr = _from_zero(np.cumsum(defect) / defects)
        found = np.cumsum(defect)
        precision = found / (found + np.cumsum(normal))
        overlap = _from_zero(np.cumsum(self._overlap[used]) / self._regions)
        return PixelMetrics(
            auroc=float(np.trapezoid(tpr, fpr)),
            auroc_error=float((normal / normals) @ (defect / defects) / 2),
            average_precision=float(precision @ (defect / defects)),
            aupro=_area_up_to(fpr, overlap, AUPRO_LIMIT),
            aupro_strict=_area_up_to(fpr, overlap, AUPRO_LIMIT_STRICT),
            images=self._images,
            regions=self._regions,
        )


def _bin_of(score_map: Float32Array) -> Int64Array:
    """Number values so that order is kept: the bits of a float32 rise with its value."""
    bits = np.ascontiguousarray(score_map, dtype=np.float32).view(np.uint32)
    negative = bits >> 31 == 1
    ordered = np.where(negative, ~bits, bits | np.uint32(0x80000000))
    return (ordered >> _DROPPED_BITS).astype(np.int64)


def _from_zero(values: Float64Array) -> Float64Array:
    return np.concatenate([[0.0], values])


def _area_up_to(x: Float64Array, y: Float64Array, limit: float) -> float:
    """Area under y over x in [0, limit], as a share of the largest possible."""
    inside = x <= limit
    xs = np.append(x[inside], limit)
    ys = np.append(y[inside], np.interp(limit, x, y))
    return float(np.trapezoid(ys, xs) / limit)
