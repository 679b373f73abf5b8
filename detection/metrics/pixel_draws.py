"""Intervals of pixel figures by bootstrap over images, from a short tally of each image.

Pixels of one image rise and fall together, so whole images are drawn, never pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from detection.metrics.bins import BinCounts
from detection.metrics.bootstrap import DRAWS, percentile_interval, stratified_draws
from detection.protocol import Float32Array, Float64Array
from detection.statistics.intervals import Interval

# Fine bins joined to one: 512 are left to an octave of scores, some thousands to an image.
_JOINED: Final = 8
# Of the drawn curves; half follow the quantiles of normal pixels, half those of defective ones,
# so that a step is at most 1/2048 of either.
CURVE_BINS: Final = 4_096
_LEAST_CURVE_BINS: Final = 512
_MOST_CELLS: Final = 1 << 24  # images x bins held together: 64 MB each of three
_DRAWS_AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True)
class ImageCounts:
    """One image's pixels by coarse bin, only the bins in use.

    Attributes:
        normal_bins: Rising numbers of the bins with normal pixels.
        normal: Normal pixels in each.
        defect_bins: The same of defective pixels; empty without a mask.
        defect: Defective pixels in each.
        overlap: Share of a place that each adds, summed over places.
        regions: Defective places.
    """

    normal_bins: NDArray[np.uint32]
    normal: NDArray[np.uint32]
    defect_bins: NDArray[np.uint32]
    defect: NDArray[np.uint32]
    overlap: Float32Array
    regions: int

    @classmethod
    def of(cls, normal: BinCounts, defect: BinCounts, overlap: BinCounts, regions: int) -> Self:
        """Join fine bins.

        Args:
            normal: Normal pixels.
            defect: Defective pixels; empty where there are none.
            overlap: Overlap, in the bins of ``defect``.
            regions: Defective places.
        """
        normal_bins, normals = _joined(normal)
        defect_bins, defects = _joined(defect)
        return cls(
            normal_bins,
            normals.astype(np.uint32),
            defect_bins,
            defects.astype(np.uint32),
            _joined(overlap)[1].astype(np.float32),
            regions,
        )


def pixel_intervals(
    images: Sequence[ImageCounts],
    *,
    limits: Mapping[str, float],
    rng: np.random.Generator,
    draws: int = DRAWS,
) -> dict[str, Interval | None]:
    """Return 95 % intervals of ``pixel_auroc``, ``pixel_ap`` and one AUPRO for each limit.

    Args:
        images: Tallies; those with defective places and those without are drawn apart.
        limits: Name of an AUPRO to the false-positive rate up to which it averages.
        rng: Draws the images.
        draws: How often.

    Returns:
        By name; None where a kind of pixel is missing or no draw differs from another.

    Source: percentile bootstrap (Efron 1979).
    """
    names = ["pixel_auroc", "pixel_ap", *limits]
    marked = [image for image in images if image.regions]
    if not marked or not any(image.normal.any() for image in images):
        return dict.fromkeys(names)
    normal, defect, overlap = _curve_counts(images, marked)
    regions = np.array([image.regions for image in marked], dtype=np.float32)
    strata = np.array([image.regions > 0 for image in images])
    drawn: dict[str, list[Float64Array]] = {name: [] for name in names}
    for block in stratified_draws(strata, rng=rng, draws=draws):
        for start in range(0, len(block), _DRAWS_AT_ONCE):
            times = block[start : start + _DRAWS_AT_ONCE].astype(np.float32)
            of_marked = times[:, strata]
            normals = _from_zero(np.cumsum(times @ normal, axis=1, dtype=np.float64))
            found = _from_zero(np.cumsum(of_marked @ defect, axis=1, dtype=np.float64))
            places = _from_zero(np.cumsum(of_marked @ overlap, axis=1, dtype=np.float64))
            with np.errstate(invalid="ignore"):  # a draw without normal pixels gives NaN
                fpr, tpr = normals / normals[:, -1:], found / found[:, -1:]
            flagged = np.maximum(normals + found, 1)[:, 1:]
            drawn["pixel_auroc"].append(area_up_to(fpr, tpr, 1.0))
            drawn["pixel_ap"].append((found[:, 1:] / flagged * np.diff(tpr, axis=1)).sum(axis=1))
            pro = places / (of_marked @ regions)[:, None]
            for name, limit in limits.items():
                drawn[name].append(area_up_to(fpr, pro, limit))
    return {name: percentile_interval(np.concatenate(values)) for name, values in drawn.items()}


def area_up_to(x: Float64Array, y: Float64Array, limit: float) -> Float64Array:
    """Return the area under y over x in [0, limit], as a share of the largest possible.

    Args:
        x: ``(..., points)`` from 0, never falling, reaching ``limit``.
        y: ``(..., points)`` the values there, joined by straight lines.
        limit: Above 0.
    """
    across = np.diff(x, axis=-1)
    # The part of each step that lies left of the limit; a step straight up has no width.
    kept = np.clip((limit - x[..., :-1]) / np.where(across > 0, across, 1), 0, 1)
    ends = y[..., :-1] + kept * np.diff(y, axis=-1)
    return np.asarray((kept * across * (y[..., :-1] + ends)).sum(axis=-1) / 2 / limit)


def _curve_counts(
    images: Sequence[ImageCounts], marked: Sequence[ImageCounts]
) -> tuple[Float32Array, Float32Array, Float32Array]:
    """The tallies as dense arrays over common bins, from the hottest down.

    Returns:
        ``(images, bins)`` normal pixels, ``(marked, bins)`` defective pixels and overlap.
    """
    parts = [part for image in images for part in (image.normal_bins, image.defect_bins)]
    used = np.unique(np.concatenate(parts))
    totals = np.zeros((2, used.size))
    for image in images:
        totals[0, np.searchsorted(used, image.normal_bins)] += image.normal
        totals[1, np.searchsorted(used, image.defect_bins)] += image.defect
    count = max(_LEAST_CURVE_BINS, min(CURVE_BINS, _MOST_CELLS // len(images)))
    hotter = np.cumsum(totals[:, ::-1], axis=1)[:, ::-1] - totals
    steps = np.floor(hotter / totals.sum(axis=1, keepdims=True) * (count // 2)).sum(axis=0)
    group = np.unique(steps, return_inverse=True)[1]
    width = int(group.max()) + 1
    normal = np.zeros((len(images), width), np.float32)
    defect = np.zeros((len(marked), width), np.float32)
    overlap = np.zeros((len(marked), width), np.float32)
    for row, image in enumerate(images):
        at = group[np.searchsorted(used, image.normal_bins)]
        normal[row] = np.bincount(at, weights=image.normal, minlength=width)
    for row, image in enumerate(marked):
        at = group[np.searchsorted(used, image.defect_bins)]
        defect[row] = np.bincount(at, weights=image.defect, minlength=width)
        overlap[row] = np.bincount(at, weights=image.overlap, minlength=width)
    return normal, defect, overlap


def _joined(fine: BinCounts) -> tuple[NDArray[np.uint32], Float64Array]:
    """Numbers of the coarse bins in use, and their counts."""
    if not fine.bins.size:
        return np.zeros(0, np.uint32), fine.counts
    coarse = fine.bins // _JOINED
    first = np.flatnonzero(np.concatenate([[True], np.diff(coarse) > 0]))
    return coarse[first].astype(np.uint32), np.add.reduceat(fine.counts, first)


def _from_zero(values: Float64Array) -> Float64Array:
    return np.concatenate([np.zeros((len(values), 1)), values], axis=1)
