"""The compiled loops of `detection.coreset`. Importing this module imports numba.

Every loop releases the interpreter's lock, so that two banks can be chosen in two threads.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

# A half's bits moved into a float's place come out 2^112 too small (the exponents' offsets, 127
# and 15, differ by 112); the product is exact, also for subnormal halves.
_HALF_SCALE = np.float32(2.0**112)


@numba.njit(cache=True, nogil=True)
def squared_distance(left: Any, right: Any, width: int) -> Any:
    """Squared distance of the first ``width`` values of two float32 rows, in float64.

    Four sums in a fixed order: compilers may run them side by side but may not regroup them, so
    the result has the same bits on every machine.
    """
    a = b = c = d = 0.0
    whole = width // 4 * 4
    for k in range(0, whole, 4):
        step_a = np.float64(left[k]) - np.float64(right[k])
        step_b = np.float64(left[k + 1]) - np.float64(right[k + 1])
        step_c = np.float64(left[k + 2]) - np.float64(right[k + 2])
        step_d = np.float64(left[k + 3]) - np.float64(right[k + 3])
        a += step_a * step_a
        b += step_b * step_b
        c += step_c * step_c
        d += step_d * step_d
    for k in range(whole, width):
        step_a = np.float64(left[k]) - np.float64(right[k])
        a += step_a * step_a
    return (a + b) + (c + d)


@numba.njit(cache=True, nogil=True)
def gather_singles(vectors: Any, rows: Any, out: Any) -> None:
    """Write the float32 ``vectors`` of ``rows`` to the head of ``out``."""
    for r in range(rows.shape[0]):
        row = rows[r]
        for k in range(vectors.shape[1]):
            out[r, k] = vectors[row, k]


@numba.njit(cache=True, nogil=True)
def gather_halves(bits: Any, rows: Any, out: Any) -> None:
    """The same from float16 vectors, seen as their ``uint16`` bits; finite values only.

    Whole-number steps that the compiler turns into vector instructions: several times as fast as
    numpy's conversion.
    """
    words = out.view(np.uint32)
    for r in range(rows.shape[0]):
        row = rows[r]
        for k in range(bits.shape[1]):
            half = np.uint32(bits[row, k])
            words[r, k] = ((half & np.uint32(0x8000)) << np.uint32(16)) | (
                (half & np.uint32(0x7FFF)) << np.uint32(13)
            )
        for k in range(bits.shape[1]):
            out[r, k] *= _HALF_SCALE


@numba.njit(cache=True, nogil=True)
def _least(values: Any) -> Any:
    # Four at a time, since each comparison of a single chain waits for the one before it.
    a = b = c = d = np.float32(np.inf)
    whole = values.shape[0] // 4 * 4
    for p in range(0, whole, 4):
        a = values[p] if values[p] < a else a
        b = values[p + 1] if values[p + 1] < b else b
        c = values[p + 2] if values[p + 2] < c else c
        d = values[p + 3] if values[p + 3] < d else d
    for p in range(whole, values.shape[0]):
        a = values[p] if values[p] < a else a
    return min(a, b, c, d)


@numba.njit(cache=True, nogil=True)
def due(
    waiting: Any, count: int, nearest: Any, seen: Any, level: float, done: int, out: Any
) -> Any:
    """Sort out who still has to meet picks, and who of them has met the fewest.

    Args:
        waiting: ``(rows,)`` int64; its first ``count`` are looked at, and those that still wait
            (``level`` or farther, not all ``done`` picks seen) moved to its head, in order.
        count: Rows looked at.
        nearest: ``(all rows,)`` float64 squared distances.
        seen: ``(all rows,)`` int64, picks met.
        level: Squared distance.
        done: Picks there are.
        out: Room for the rows that have met the fewest.

    Returns:
        How many wait, how many of them have met the fewest, and how many picks that is.
    """
    left = found = 0
    fewest = done
    for w in range(count):
        row = waiting[w]
        if nearest[row] < level or seen[row] >= done:
            continue
        waiting[left] = row
        left += 1
        if seen[row] < fewest:
            fewest = seen[row]
            found = 0
        if seen[row] == fewest:
            out[found] = row
            found += 1
    return left, found, fewest


@numba.njit(cache=True, nogil=True)
def absorb(
    bounds: Any,
    rows: Any,
    singles: Any,
    lengths: Any,
    picks: Any,
    nearest: Any,
    width: int,
) -> int:
    """Lower ``nearest`` of ``rows`` where one of the picks is nearer.

    The bounds rank; whatever they cannot tell apart from an improvement is measured anew.

    Args:
        bounds: ``(rows, picks)`` float32; with ``lengths`` added, no squared distance is less.
        rows: ``(rows,)`` int64, their numbers.
        singles: ``(rows, width or more)`` float32, the vectors.
        lengths: ``(all rows,)`` float32.
        picks: ``(picks, width)`` float32.
        nearest: ``(all rows,)`` float64 squared distances.
        width: Channels of a vector.

    Returns:
        How many distances were measured anew.
    """
    measured = 0
    for r in range(rows.shape[0]):
        own = nearest[rows[r]]
        length = np.float64(lengths[rows[r]])
        least = _least(bounds[r])
        if length + least >= own:
            continue
        # The likeliest first: it rules out most of the others.
        for p in range(picks.shape[0]):
            if bounds[r, p] == least:
                measured += 1
                own = min(own, squared_distance(singles[r], picks[p], width))
        # Rounding keeps order, so nothing that lies under the exact limit lies over this one.
        limit = np.float32(own - length)
        for p in range(picks.shape[0]):
            if least < bounds[r, p] <= limit:
                measured += 1
                own = min(own, squared_distance(singles[r], picks[p], width))
                limit = np.float32(own - length)
        nearest[rows[r]] = own
    return measured


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _quick_squared_distance(left: Any, right: Any) -> Any:
    """Squared distance in float32, summed in whatever order is fastest here."""
    total = np.float32(0.0)
    for k in range(left.shape[0]):
        step = left[k] - right[k]
        total += step * step
    return total


@numba.njit(cache=True, nogil=True)
def pick_within(
    singles: Any, near: Any, level: float, rounding: Any, chosen: Any, reach: Any
) -> tuple[int, int, int]:
    """Choose farthest rows among the given ones until the farthest falls below ``level``.

    Args:
        singles: ``(rows, width)`` float32, all rows whose distance may be ``level`` or more.
        near: ``(rows,)`` float64 squared distances to everything chosen; kept up to date while
            they are ``level`` or more.
        level: Squared distance, above 0.
        rounding: Largest error of the float32 squared distance, as a share of it.
        chosen: Room for the picks, int64, numbers of rows of ``singles``.
        reach: Room for the squared distance of each pick when it was chosen, float64.

    Returns:
        How many were chosen, distances taken in float32, distances measured anew.
    """
    alive = np.arange(singles.shape[0])
    count = alive.shape[0]
    keep = np.float32(1.0 - rounding)
    picked = quick = measured = 0
    while picked < chosen.shape[0]:
        farthest = -1
        radius = -1.0
        left = 0
        for a in range(count):
            row = alive[a]
            if near[row] >= level:
                alive[left] = row
                left += 1
                if near[row] > radius:
                    radius = near[row]
                    farthest = row
        count = left
        if count == 0:
            break
        chosen[picked] = farthest
        reach[picked] = radius
        picked += 1
        centre = singles[farthest]
        for a in range(count):
            row = alive[a]
            if _quick_squared_distance(singles[row], centre) * keep < near[row]:
                measured += 1
                apart = squared_distance(singles[row], centre, centre.shape[0])
                near[row] = min(near[row], apart)
        quick += count
    return picked, quick, measured
