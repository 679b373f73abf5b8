"""Figure: how long an exact coreset takes, and how much of the plain method's work it does."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from detection.bench.limits import Limits
from detection.bench.plan import Plan
from detection.bench.vectors import VectorSet
from detection.coreset import Coreset, farthest_first
from detection.protocol import Float32Array, Int64Array

_CHUNK_ROWS = 8192


def coreset_figure(
    vectors: VectorSet, plan: Plan, limits: Limits, *, seed: int = 0
) -> tuple[dict[str, Any], Coreset]:
    """What choosing ``plan.coreset_picks`` of the normals costs, and the choice itself."""
    normals = vectors.normals
    # Compiles or loads every loop it needs: more picks than it makes at once.
    farthest_first(normals[:6000], 600, rng=np.random.default_rng(seed))
    begin = time.perf_counter()
    chosen = farthest_first(normals, plan.coreset_picks, rng=np.random.default_rng(seed))
    seconds = time.perf_counter() - begin
    rows, width = normals.shape
    plain = rows * len(chosen.picks)
    compared = min(plan.reference_picks, len(chosen.picks))
    reference = plain_picks(normals, compared, first=int(chosen.picks[0]))
    figure = {
        "rows": rows,
        "channels": width,
        "picks": len(chosen.picks),
        "seconds": seconds,
        "distance_evaluations": chosen.evaluations,
        "distances_measured_again": chosen.measured,
        "share_of_plain_evaluations": chosen.evaluations / plain,
        "first_picks_compared": compared,
        "first_picks_equal": bool(np.array_equal(reference, chosen.picks[:compared])),
        "plain_gemm_floor_seconds": limits.gemm_s(rows, len(chosen.picks), width),
        "times_its_own_gemm_floor": seconds / limits.gemm_s(chosen.evaluations, 1, width),
    }
    return figure, chosen


def plain_picks(vectors: Float32Array, count: int, *, first: int) -> Int64Array:
    """The picks of the plain method, every distance in float64: ``(count,)`` rows.

    Args:
        vectors: ``(rows, channels)`` float32.
        count: How many to pick, the first among them.
        first: The row picked first.
    """
    picks = np.full(count, first, np.int64)
    nearest = np.full(len(vectors), np.inf)
    for place in range(1, count):
        pick = vectors[picks[place - 1]].astype(np.float64)
        for start in range(0, len(vectors), _CHUNK_ROWS):
            part = slice(start, start + _CHUNK_ROWS)
            apart = vectors[part] - pick
            np.minimum(nearest[part], np.einsum("ij,ij->i", apart, apart), out=nearest[part])
        picks[place] = nearest.argmax()
    return picks
