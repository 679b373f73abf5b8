"""The compiled inner loops of `detection.coreset`. Importing this module imports numba.

The vectors stay in place and are walked in order; lists of each cluster's members, linked or side
by side in a buffer, were measured at 5 to 10 times the time (cache misses, copies).
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

# Rounding may move a float32 distance by about 1e-6 of itself; a vector is skipped only when the
# pick is out of reach by more than that, so no pick can differ from the plain method.
_SLACK = np.float32(1.0 - 1e-4)
_QUARTER = np.float32(0.25)
_ZERO = np.float32(0.0)


@numba.njit(cache=True, fastmath={"reassoc", "contract", "nsz"})
def squared_distance(rows: Any, row: int, vector: Any) -> Any:
    """Squared distance of one row to a vector.

    The loop's length is left to run time on purpose: with a constant one the compiler unrolls it
    before it can use vector instructions, at ten times the cost. Giving up early costs the same.
    """
    total = _ZERO
    for k in range(vector.shape[0]):
        step = rows[row, k] - vector[k]
        total += step * step
    return total


@numba.njit(cache=True)
def extend(vectors: Any, picks: Any, nearest: Any, owners: Any, done: int, until: int) -> int:
    """Choose picks number ``done`` to ``until``; returns how many are chosen now.

    Fewer than asked only when every vector left lies on a pick.

    Args:
        vectors: ``(rows, width)`` float32.
        picks: ``(count,)`` int64; the first ``done`` are set.
        nearest: ``(rows,)`` float32, squared distance to the nearest pick but the last one; inf
            before the first.
        owners: ``(rows,)`` int64, number of that pick.
        done: Picks set, at least one.
        until: Picks wanted.
    """
    out_of_reach = np.empty(until, np.float32)
    for new in range(done, until + 1):
        last = new - 1
        centre = vectors[picks[last]]
        for c in range(last):
            apart = squared_distance(vectors, picks[c], centre)
            # The pick cannot win a vector nearer to its own centre than half the way to there.
            out_of_reach[c] = apart * _QUARTER * _SLACK
        farthest = 0
        radius = np.float32(-1.0)
        for i in range(vectors.shape[0]):
            own = nearest[i]
            if last == 0 or own > out_of_reach[owners[i]]:
                d = squared_distance(vectors, i, centre)
                if d < own:
                    own = d
                    nearest[i] = d
                    owners[i] = last
            if own > radius:
                radius = own
                farthest = i
        if new == until or radius <= _ZERO:
            return new
        picks[new] = farthest
    return until
