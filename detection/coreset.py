"""Farthest-first choice of a small set of vectors that covers a large one, exactly and fast."""

from __future__ import annotations

import numpy as np

from detection.protocol import Float32Array, Int64Array, Progress

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
    plain method (distances to every vector after every pick). Each vector remembers its
    nearest pick; a new pick at least twice as far from that one as the vector is cannot be
    nearer (triangle inequality), so that distance is never computed.

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
    from detection import coreset_kernels as kernels

    if vectors.ndim != 2 or len(vectors) == 0 or count < 1:
        raise ValueError("vectors must be (rows, channels) with rows, and count at least 1")
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    rows = len(vectors)
    count = min(count, rows)
    first = int(rng.integers(rows))
    nearest = np.full(rows, np.inf, np.float32)
    owners = np.zeros(rows, np.int64)
    picks = np.empty(count, np.int64)
    picks[0] = first
    done = 1
    while done < count:
        until = min(count, done + _PICKS_PER_REPORT)
        reached = kernels.extend(vectors, picks, nearest, owners, done, until)
        if on_progress is not None:
            on_progress(reached, count, "choosing the bank")
        if reached == done:
            break  # every vector left lies on a chosen one
        done = reached
    return picks[:done].copy()


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
