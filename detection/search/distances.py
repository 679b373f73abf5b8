"""The one distance routine that every search reports, and the choice among near-equal rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detection.protocol import BoolArray, DetectionError, Float32Array, Float64Array, Int64Array

UNIT_ROUNDING = 2.0**-24
# Products below this lose digits or vanish, however small the factors' own roundings.
SMALLEST_NORMAL = 2.0**-126
# Squared lengths beyond this could overflow float32 in a sum of three.
_LARGEST_SQUARE = 1e37


@dataclass(frozen=True, slots=True)
class Candidates:
    """Bank rows that may be nearest, given the rounding of whatever found them.

    Attributes:
        queries: ``(pairs,)`` int64 query numbers, in order; every query has at least one pair.
        rows: ``(pairs,)`` int64 bank rows.
        evaluations: Distances or products computed to find them.
    """

    queries: Int64Array
    rows: Int64Array
    evaluations: int


def paired_distances(left: Float32Array, right: Float32Array) -> Float32Array:
    """``(rows,)`` float32 Euclidean distances between the rows of two equal-shaped arrays.

    Differences are squared and summed in float64, so the order of summation leaves no trace in
    the float32 result.
    """
    difference = left.astype(np.float64) - right
    squares = np.einsum("ij,ij->i", difference, difference)
    return np.asarray(np.sqrt(squares), dtype=np.float32)


def best_of(
    candidates: Candidates, queries: Float32Array, bank: Float32Array
) -> tuple[Float32Array, Int64Array]:
    """Distance and bank row of each query's nearest candidate; the lowest row on ties."""
    distances = paired_distances(queries[candidates.queries], bank[candidates.rows])
    if len(candidates.queries) == len(queries):
        return distances, candidates.rows
    order = np.lexsort((candidates.rows, distances, candidates.queries))
    first = order[np.flatnonzero(np.diff(candidates.queries[order], prepend=-1))]
    return distances[first], candidates.rows[first]


def squared_lengths(vectors: Float32Array, *, what: str) -> Float64Array:
    """``(rows,)`` float64 squared lengths.

    Raises:
        DetectionError: A value is not finite, or too large to be squared.
    """
    squares: Float64Array = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    if not (squares < _LARGEST_SQUARE).all():
        raise DetectionError(
            f"A feature of {what} is not a finite number, or beyond all measure: look for a "
            "damaged image or a network whose values overflow."
        )
    return squares


def rounding_of_squares(
    width: int, query_squares: Float64Array, largest_square: float
) -> Float64Array:
    """How far apart two squared distances made of float32 products must be to be told apart.

    Twice the largest error of a sum of ``width`` products in any order (Higham, "Accuracy and
    Stability of Numerical Algorithms", 3.1), and room for distances that round to the same
    float32.

    Args:
        width: Channels.
        query_squares: ``(queries,)`` squared lengths.
        largest_square: The bank's largest squared length.
    """
    relative = UNIT_ROUNDING * (query_squares + largest_square)
    return 4.0 * (width + 16) * (relative + SMALLEST_NORMAL)


def check_allowed(allowed: BoolArray | None, rows: int) -> None:
    """Raise ValueError unless at least one of the bank's rows may answer."""
    if allowed is None:
        return
    if allowed.shape != (rows,):
        raise ValueError(f"allowed must say yes or no for each of {rows} bank vectors")
    if not allowed.any():
        raise ValueError("no bank vector may answer")
