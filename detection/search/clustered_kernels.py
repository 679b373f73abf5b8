"""The compiled loop of `detection.search.clustered`. Importing this module imports numba."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

# Channels summed between two looks at whether the vector is already too far.
_STRIDE = 64


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _squared_distance(left: Any, right: Any) -> Any:
    # Loops from anywhere but 0 look out for negative places and lose their vector instructions.
    total = np.float32(0.0)
    for k in range(left.shape[0]):
        step = left[k] - right[k]
        total += step * step
    return total


@numba.njit(cache=True, nogil=True)
def _distance(query: Any, rows: Any, row: int, limit: Any) -> Any:
    """The distance of a row, or inf as soon as it is clearly beyond ``limit``."""
    square = np.float32(0.0)
    beyond = limit * limit
    width = query.shape[0]
    for start in range(0, width, _STRIDE):
        stop = min(start + _STRIDE, width)
        square += _squared_distance(query[start:stop], rows[row, start:stop])
        if square > beyond:
            return np.float32(np.inf)
    return np.sqrt(square)


@numba.njit(cache=True, nogil=True)
def _still_near(found: Any, kept: Any, count: int, limit: Any) -> int:
    """Keep of the first ``count`` candidates those within ``limit``; returns how many."""
    left = 0
    for c in range(count):
        if kept[c] <= limit:
            kept[left] = kept[c]
            found[left] = found[c]
            left += 1
    return left


@numba.njit(cache=True, nogil=True)
def _centre_distances(query: Any, centres: Any, out: Any) -> int:
    """Fill ``out`` with the distances to all centres; returns the number of the nearest."""
    home = 0
    for cluster in range(centres.shape[0]):
        out[cluster] = np.sqrt(_squared_distance(query, centres[cluster]))
        if out[cluster] < out[home]:
            home = cluster
    return home


@numba.njit(cache=True, nogil=True)
def find(
    queries: Any,
    bank: Any,
    edges: Any,
    to_centre: Any,
    radii: Any,
    centres: Any,
    allowed: Any,
    margins: Any,
    found: Any,
    counts: Any,
) -> int:
    """Collect for each query the bank rows within ``margins`` of the nearest one.

    Args:
        queries: ``(queries, width)`` float32, turned.
        bank: ``(rows, width)`` float32, turned, cluster by cluster, nearest to the centre first.
        edges: ``(clusters + 1,)`` int64 first row of each cluster.
        to_centre: ``(rows,)`` float32 distance of each row to its centre.
        radii: ``(clusters,)`` float32, the largest of them.
        centres: ``(clusters, width)`` float32.
        allowed: ``(rows,)`` bool.
        margins: ``(queries,)`` float32, twice the most by which a distance here may be wrong.
        found: ``(queries, room)`` int64, filled with rows.
        counts: ``(queries,)`` int64, filled with how many; more than there is room for when some
            had to be left out.

    Returns:
        Distances begun.
    """
    clusters = edges.shape[0] - 1
    room = found.shape[1]
    begun = 0
    kept = np.empty(room, np.float32)
    apart = np.empty(clusters, np.float32)
    for q in range(queries.shape[0]):
        query = queries[q]
        best = limit = np.float32(np.inf)
        count = 0
        home = _centre_distances(query, centres, apart)
        for turn in range(-1, clusters):
            cluster = home if turn < 0 else turn
            if turn == home or apart[cluster] - radii[cluster] > limit:
                continue
            for row in range(edges[cluster], edges[cluster + 1]):
                if to_centre[row] - apart[cluster] > limit:
                    break  # so are all after it
                if not allowed[row] or apart[cluster] - to_centre[row] > limit:
                    continue
                begun += 1
                distance = _distance(query, bank, row, limit)
                if distance > limit:
                    continue
                if distance < best:
                    best = distance
                    limit = best + margins[q]
                    if count <= room:  # once some are left out, that must stay known
                        count = _still_near(found[q], kept, count, limit)
                if count < room:
                    kept[count] = distance
                    found[q, count] = row
                count += 1
        counts[q] = count
    return begun
