"""Farthest-first choice of a small set of vectors that covers a large one, exactly and fast."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from detection.protocol import Float32Array, Int64Array, Progress

# Rounding may move a float32 distance by about 1e-6 of itself; a cluster is skipped only when it
# is out of reach by more than that, so no pick can differ from the plain method.
_SLACK = 1.0 - 1e-4
_PICKS_PER_REPORT = 250


def farthest_first(
    vectors: Float32Array,
    count: int,
    *,
    rng: np.random.Generator,
    on_progress: Progress | None = None,
) -> Int64Array:
    """Indices of ``count`` vectors, each the farthest from all those chosen before it.

    The first one is drawn by ``rng``; ties go to the lowest index. The picks are those of the
    plain method (distances to every vector after every pick). The speed comes from keeping the
    vectors in clusters around the picks: a new pick at least twice a cluster's radius away from
    its centre cannot come nearer to any of its members (triangle inequality), so the cluster is
    not looked at.

    Args:
        vectors: ``(rows, channels)`` float32.
        count: How many to choose; all of them when there are no more.
        rng: Draws the first pick, nothing else.
        on_progress: Called every few hundred picks.

    Returns:
        ``(count,)`` int64 in the order chosen; shorter when the vectors left are all copies of
        chosen ones.

    Raises:
        ValueError: Not 2-D, empty, or ``count`` below 1.

    Source: greedy k-center, Gonzalez (1985); pruning after Elkan (2003); ours as a whole.
    """
    if vectors.ndim != 2 or len(vectors) == 0 or count < 1:
        raise ValueError("vectors must be (rows, channels) with rows, and count at least 1")
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    rows = len(vectors)
    count = min(count, rows)
    first = int(rng.integers(rows))
    start, extend = _kernels()
    state = start(vectors, count, first)
    done = 1
    while done < count:
        reached = extend(vectors, *state, done, min(count, done + _PICKS_PER_REPORT))
        if on_progress is not None:
            on_progress(int(reached), count, "choosing the bank")
        if reached == done:
            break  # every vector left lies on a chosen one
        done = int(reached)
    picks: Int64Array = state[0][:done].copy()
    return picks


@lru_cache(maxsize=1)
def _kernels() -> tuple[Callable[..., Any], Callable[..., Any]]:
    import numba

    @numba.njit(cache=True, fastmath={"reassoc", "contract", "nsz"}, inline="never")  # type: ignore[untyped-decorator]
    def squared(vectors: Any, i: int, j: int) -> Any:
        total = np.float32(0.0)
        for k in range(vectors.shape[1]):
            step = vectors[i, k] - vectors[j, k]
            total += step * step
        return total

    @numba.njit(cache=True)  # type: ignore[untyped-decorator]
    def start(vectors: Any, count: int, first: int) -> Any:
        rows = vectors.shape[0]
        picks = np.empty(count, np.int64)
        picks[0] = first
        nearest = np.empty(rows, np.float32)  # squared distance to the own centre
        following = np.empty(rows, np.int64)  # linked list of a cluster's members
        heads = np.full(count, -1, np.int64)
        radii = np.zeros(count, np.float32)  # squared
        farthest = np.full(count, -1, np.int64)
        for i in range(rows):
            d = squared(vectors, i, first)
            nearest[i] = d
            following[i] = heads[0]
            heads[0] = i
            if d > radii[0] or (d == radii[0] and (farthest[0] < 0 or i < farthest[0])):
                radii[0] = d
                farthest[0] = i
        return picks, nearest, following, heads, radii, farthest

    @numba.njit(cache=True)  # type: ignore[untyped-decorator]
    def extend(
        vectors: Any,
        picks: Any,
        nearest: Any,
        following: Any,
        heads: Any,
        radii: Any,
        farthest: Any,
        done: int,
        until: int,
    ) -> int:
        for new in range(done, until):
            best = -1
            for c in range(new):
                if farthest[c] < 0:
                    continue
                if (
                    best < 0
                    or radii[c] > radii[best]
                    or (radii[c] == radii[best] and farthest[c] < farthest[best])
                ):
                    best = c
            if best < 0 or radii[best] <= 0.0:
                return new
            pick = farthest[best]
            picks[new] = pick
            for c in range(new):
                if farthest[c] < 0:
                    continue
                apart = squared(vectors, pick, picks[c]) * _SLACK
                if apart >= 4.0 * radii[c]:
                    continue
                before = -1
                i = heads[c]
                radius = np.float32(0.0)
                far = -1
                while i >= 0:
                    after = following[i]
                    moves = False
                    if apart < 4.0 * nearest[i]:
                        d = squared(vectors, i, pick)
                        if d < nearest[i]:
                            moves = True
                            nearest[i] = d
                            if before < 0:
                                heads[c] = after
                            else:
                                following[before] = after
                            following[i] = heads[new]
                            heads[new] = i
                            if d > radii[new] or (
                                d == radii[new] and (farthest[new] < 0 or i < farthest[new])
                            ):
                                radii[new] = d
                                farthest[new] = i
                    if not moves:
                        before = i
                        if nearest[i] > radius or (nearest[i] == radius and (far < 0 or i < far)):
                            radius = nearest[i]
                            far = i
                    i = after
                radii[c] = radius
                farthest[c] = far
        return until

    return start, extend


def random_projection(
    vectors: Float32Array, width: int, *, rng: np.random.Generator
) -> Float32Array:
    """``(rows, width)``: the vectors on random directions, distances kept about the same.

    Source: Johnson and Lindenstrauss (1984); the use in PatchCore, arXiv:2106.08265, 3.2.
    """
    channels = vectors.shape[1]
    if channels <= width:
        return vectors
    directions = rng.standard_normal((channels, width)).astype(np.float32) / np.sqrt(width)
    return np.asarray(vectors @ directions.astype(np.float32), dtype=np.float32)
