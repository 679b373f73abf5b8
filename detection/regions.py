"""Connected places of a map above the pixel threshold, for boxes, masks and the record.

Not for drawing: contours and colours are made where the map is shown.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
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
    if np.isnan(score_map).any():
        raise ValueError("the map holds NaN")
    labels, count = ndimage.label(score_map > threshold, structure=np.ones((3, 3), dtype=bool))
    if count == 0:
        return ()
    regions = []
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        inside = labels[place] == number
        area = int(inside.sum())
        if area < min_area_px:
            continue
        rows, columns = place
        values = np.where(inside, score_map[place], -np.inf)
        peak_row, peak_column = np.unravel_index(int(values.argmax()), values.shape)
        regions.append(
            Region(
                area_px=area,
                box_xyxy=(columns.start, rows.start, columns.stop, rows.stop),
                peak=float(values[peak_row, peak_column]),
                mean=float(score_map[place][inside].mean(dtype=np.float64)),
                peak_xy=(columns.start + int(peak_column), rows.start + int(peak_row)),
            )
        )
    regions.sort(key=lambda region: (-region.peak, region.peak_xy[1], region.peak_xy[0]))
    return tuple(regions[:limit])
