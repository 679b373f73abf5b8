"""Distances only where clusters and leading channels do not rule them out. Needs numba.

Wins where features lie near few directions; on whitened ones, where all directions count the
same, hardly a vector is ruled out and products of blocks are faster.
"""

from __future__ import annotations

import math

import numpy as np

from detection.protocol import BoolArray, Float32Array, Float64Array, Int64Array
from detection.search.blocked import BlockedFinder
from detection.search.distances import SMALLEST_NORMAL, UNIT_ROUNDING, Candidates, paired_distances

_ROUNDS = 4  # of moving centres; more hardly tighten the clusters
_ROOM = 8  # candidates kept per query; only a bank full of copies needs more


class ClusteredFinder:
    """Candidates for each query's nearest bank vector by triangle inequality and partial sums.

    Bank and queries are turned so that the channels in which the bank varies most come first.
    """

    def __init__(self, bank: Float32Array, squares: Float64Array) -> None:
        """
        Args:
            bank: ``(rows, channels)`` float32.
            squares: ``(rows,)`` their squared lengths.
        """
        from detection.search import clustered_kernels

        self._kernels = clustered_kernels
        self._width = bank.shape[1]
        self._largest = float(squares.max())
        self._mean = bank.mean(axis=0, dtype=np.float64)
        wide = bank - self._mean
        _, directions = np.linalg.eigh(wide.T @ wide)
        self._turn = np.ascontiguousarray(directions[:, ::-1])
        turned = self._turned(bank)
        clusters = max(1, round(math.sqrt(len(bank))))
        centres, labels = _clusters(turned, clusters)
        to_centre = paired_distances(turned, centres[labels])
        self._order = np.lexsort((to_centre, labels))
        self._bank = np.ascontiguousarray(turned[self._order])
        self._to_centre = to_centre[self._order]
        self._edges = np.searchsorted(labels[self._order], np.arange(len(centres) + 1))
        self._radii = np.maximum.reduceat(self._to_centre, self._edges[:-1])
        self._centres = centres
        self._blocked = BlockedFinder(bank, squares)

    def candidates(
        self, queries: Float32Array, squares: Float64Array, allowed: BoolArray | None
    ) -> Candidates:
        """Bank rows that the distances here cannot tell from the nearest.

        Args:
            queries: ``(rows, channels)`` float32.
            squares: ``(rows,)`` their squared lengths.
            allowed: ``(bank rows,)``, which may answer; None for all.
        """
        turned = self._turned(queries)
        may_answer = np.ones(len(self._bank), np.bool_) if allowed is None else allowed[self._order]
        found = np.empty((len(queries), _ROOM), np.int64)
        counts = np.empty(len(queries), np.int64)
        begun = self._kernels.find(
            turned,
            self._bank,
            self._edges,
            self._to_centre,
            self._radii,
            self._centres,
            may_answer,
            self._margins(squares),
            found,
            counts,
        )
        full = np.flatnonzero(counts > _ROOM)
        counts[full] = 0
        numbers, places = np.nonzero(np.arange(_ROOM) < counts[:, None])
        rows = self._order[found[numbers, places]]
        evaluations = begun + len(queries) * len(self._centres)
        if len(full) == 0:
            return Candidates(numbers, rows, evaluations)
        rest = self._blocked.candidates(queries[full], squares[full], allowed)
        numbers = np.concatenate([numbers, full[rest.queries]])
        rows = np.concatenate([rows, rest.rows])
        order = np.argsort(numbers, kind="stable")
        return Candidates(numbers[order], rows[order], evaluations + rest.evaluations)

    def _turned(self, vectors: Float32Array) -> Float32Array:
        # In float64, so that the only error is the rounding of the result.
        return np.asarray((vectors - self._mean) @ self._turn, dtype=np.float32)

    def _margins(self, squares: Float64Array) -> Float32Array:
        """Twice the most by which a distance or a bound here may be wrong.

        Turned vectors are wrong by one rounding of their length; a sum of ``width`` squares by
        ``width`` roundings of itself, and three such distances make a bound. No vector less the
        mean is longer than its own length and the bank's largest.
        """
        reach = np.sqrt(squares) + 3.0 * math.sqrt(self._largest)
        smallest = math.sqrt(SMALLEST_NORMAL)
        return np.asarray(
            8.0 * (self._width + 8) * (UNIT_ROUNDING * reach + smallest), dtype=np.float32
        )


def _clusters(vectors: Float32Array, count: int) -> tuple[Float32Array, Int64Array]:
    """Centres ``(at most count, channels)`` and the number of each vector's own, none empty."""
    centres = vectors[:: -(-len(vectors) // count)].copy()
    labels = np.zeros(len(vectors), np.int64)
    for _ in range(_ROUNDS):
        offsets = np.einsum("ij,ij->i", centres, centres)
        labels = (offsets - 2.0 * (vectors @ centres.T)).argmin(axis=1)
        _, labels, sizes = np.unique(labels, return_inverse=True, return_counts=True)
        edges = np.cumsum(sizes) - sizes
        ordered = vectors[np.argsort(labels, kind="stable")]
        sums = np.add.reduceat(ordered, edges, axis=0, dtype=np.float64)
        centres = (sums / sizes[:, None]).astype(np.float32)
    return centres, labels
