"""Connected places of a map above the pixel threshold, for boxes, masks and the record.

Not for drawing: contours and colours are made where the map is shown.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from detection.protocol import Float32Array

MIN_AREA_PX: Final = 16  # smaller ones are single noisy cells' corners after upscaling
MAX_REGIONS: Final = 50  # a map that is hot all over must not become a thousand rows


@dataclass(frozen=True, slots=True)
class Region:
    """One connected place above the pixel threshold.

    Attributes:
        area_px: Pixels in it.
        box_xyxy: Left, top, right, bottom in pixels; right and bottom are just outside.
        peak: Largest value of the map in it, feature units.
        mean: Mean value of the map in it, feature units.
        peak_xy: Pixel of the largest value (column, row).
    """

    area_px: int
    box_xyxy: tuple[int, int, int, int]
    peak: float
    mean: float
    peak_xy: tuple[int, int]


def find_regions(
    score_map: Float32Array,
    threshold: float,
    *,
    min_area_px: int = MIN_AREA_PX,
    limit: int = MAX_REGIONS,
) -> tuple[Region, ...]:
    """Return the connected places strictly above the threshold, hottest first.

    Pixels that touch at a corner belong together.

    Args:
        score_map: ``(height, width)`` float, feature units.
        threshold: The pixel threshold, feature units.
        min_area_px: Smaller places are dropped.
        limit: At most so many are returned, the hottest.

    Returns:
        Regions by falling peak; ties by row, then column of the peak.

    Raises:
        ValueError: The map is not 2-D, or holds NaN.

    Source: ours.
    """
    if score_map.ndim != 2:
        raise ValueError(f"a map is (height, width), not {score_map.shape}")
    top = score_map.max(initial=-np.inf)
    if np.isnan(top):
        raise ValueError("the map holds NaN")
    if not top > threshold:
        return ()
    hot = score_map > threshold
    # Labelling costs by the pixel, hot or not, and most images are hot in one corner only.
    rows, columns = np.flatnonzero(hot.any(axis=1)), np.flatnonzero(hot.any(axis=0))
    first_row, first_column = int(rows[0]), int(columns[0])
    crop = np.s_[first_row : rows[-1] + 1, first_column : columns[-1] + 1]
    hot, heat = np.ascontiguousarray(hot[crop]), np.ascontiguousarray(score_map[crop])
    labels, count = ndimage.label(hot, structure=np.ones((3, 3), dtype=bool))
    if count > limit:
        labels = _hottest(labels, heat, count=count, min_area_px=min_area_px, limit=limit)
    regions = []
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        inside = labels[place] == number
        values = heat[place][inside]
        if len(values) < min_area_px:
            continue
        height, width = place
        peak = values.max()
        at_peak = int(((heat[place] == peak) & inside).argmax())  # the first in reading order
        peak_row, peak_column = divmod(at_peak, width.stop - width.start)
        left, top_row = first_column + width.start, first_row + height.start
        regions.append(
            Region(
                area_px=len(values),
                box_xyxy=(left, top_row, first_column + width.stop, first_row + height.stop),
                peak=float(peak),
                mean=float(values.mean(dtype=np.float64)),
                peak_xy=(left + peak_column, top_row + peak_row),
            )
        )
    regions.sort(key=lambda region: (-region.peak, region.peak_xy[1], region.peak_xy[0]))
    return tuple(regions)


def _hottest(
    labels: NDArray[np.int32], heat: Float32Array, *, count: int, min_area_px: int, limit: int
) -> NDArray[np.int32]:
    """The labels with all but the regions to report wiped out, those numbered anew.

    Found for all labels at once: a noisy map has 50,000, and a loop over them takes seconds.
    """
    places = np.flatnonzero(labels)
    owners, values = labels.ravel()[places], heat.ravel()[places]
    peaks = np.full(count + 1, -np.inf, heat.dtype)
    np.maximum.at(peaks, owners, values)
    at_peak = np.flatnonzero(values == peaks[owners])[::-1]
    peak_places = np.zeros(count + 1, np.int64)
    peak_places[owners[at_peak]] = places[at_peak]  # the first in reading order is written last
    enough = np.flatnonzero(np.bincount(owners, minlength=count + 1) >= max(min_area_px, 1))
    hottest = enough[np.lexsort((peak_places[enough], -peaks[enough]))[:limit]]
    numbers = np.zeros(count + 1, labels.dtype)
    numbers[hottest] = np.arange(1, len(hottest) + 1)
    return np.asarray(numbers[labels])
