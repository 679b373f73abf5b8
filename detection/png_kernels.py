"""The compiled loops of `detection.png`. Importing this module imports numba."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

_NONE, _SUB, _UP, _AVERAGE, _PAETH = 0, 1, 2, 3, 4
_BYTE = np.int32(255)


@numba.njit(inline="always")
def _nearest(left: Any, up: Any, corner: Any) -> Any:
    """The PNG standard's Paeth predictor: what is nearest to left + up - corner.

    That sum lies nearest to the larger of left and up, to the smaller, or between them; asking
    which of the three needs two comparisons and no absolute value, so it compiles without a jump.
    """
    low, high = min(left, up), max(left, up)
    bound = 3 * corner - left - up
    inner = low if high <= bound else corner
    return high if bound <= low else inner


@numba.njit(cache=True, nogil=True)
def _paeth_rgb(source: Any, above: Any, row: Any) -> None:
    """Three chains side by side: each waits for its own last value, so they overlap."""
    left0 = left1 = left2 = corner0 = corner1 = corner2 = np.int32(0)
    for at in range(0, len(row), 3):
        up0, up1, up2 = np.int32(above[at]), np.int32(above[at + 1]), np.int32(above[at + 2])
        left0 = (np.int32(source[at]) + _nearest(left0, up0, corner0)) & _BYTE
        left1 = (np.int32(source[at + 1]) + _nearest(left1, up1, corner1)) & _BYTE
        left2 = (np.int32(source[at + 2]) + _nearest(left2, up2, corner2)) & _BYTE
        row[at], row[at + 1], row[at + 2] = left0, left1, left2
        corner0, corner1, corner2 = up0, up1, up2


@numba.njit(cache=True, nogil=True)
def _paeth_grey(source: Any, above: Any, row: Any) -> None:
    left = corner = np.int32(0)
    for at in range(len(row)):
        up = np.int32(above[at])
        left = (np.int32(source[at]) + _nearest(left, up, corner)) & _BYTE
        row[at] = left
        corner = up


@numba.njit(cache=True, nogil=True)
def _average(source: Any, above: Any, row: Any, step: int) -> None:
    for at in range(step):
        row[at] = source[at] + (above[at] >> 1)
    for at in range(step, len(row)):
        mean = (np.int32(row[at - step]) + np.int32(above[at])) >> 1
        row[at] = (np.int32(source[at]) + mean) & _BYTE


@numba.njit(cache=True, nogil=True)
def undo_filters(filtered: Any, rows: Any, step: int) -> bool:
    """Fill ``rows`` from the filtered lines; False where a line names no known filter.

    Args:
        filtered: ``(height, 1 + width * step)`` uint8: each line's filter, then its bytes.
        rows: ``(height, width * step)`` uint8, written.
        step: Bytes of a pixel, 1 or 3.
    """
    height, length = rows.shape
    above = np.zeros(length, np.uint8)  # what the standard puts over the first line
    for y in range(height):
        kind, source, row = filtered[y, 0], filtered[y, 1:], rows[y]
        if kind == _NONE:
            row[:] = source
        elif kind == _SUB:
            row[:step] = source[:step]
            for at in range(step, length):
                row[at] = source[at] + row[at - step]
        elif kind == _UP:
            for at in range(length):
                row[at] = source[at] + above[at]
        elif kind == _AVERAGE:
            _average(source, above, row, step)
        elif kind == _PAETH and step == 3:
            _paeth_rgb(source, above, row)
        elif kind == _PAETH:
            _paeth_grey(source, above, row)
        else:
            return False
        above = row
    return True


@numba.njit(cache=True, nogil=True)
def grey_to_rgb(grey: Any, pixels: Any) -> None:
    """Write each value three times; numpy's own broadcast takes ten times as long."""
    for y in range(grey.shape[0]):
        for x in range(grey.shape[1]):
            value = grey[y, x]
            pixels[y, x, 0] = value
            pixels[y, x, 1] = value
            pixels[y, x, 2] = value
