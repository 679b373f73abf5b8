"""Approximate search, for those who ask for it by name. Its scores differ from the exact ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detection.protocol import BoolArray, Float32Array, Int64Array
from detection.search.distances import check_allowed, paired_distances, squared_lengths
from detection.search.exact import ExactSearch
from detection.search.libraries import load_faiss, selection


@dataclass(frozen=True, slots=True)
class ApproximationError:
    """What approximate search got wrong on some queries.

    Attributes:
        other_winners: Share of the queries answered by another bank vector, in [0, 1].
        median: Median relative error of their distances, >= 0; never too small, only too large.
        largest: The largest; inf where the true distance is 0 and another was given.
    """

    other_winners: float
    median: float
    largest: float


class ApproximateSearch:
    """faiss's IVF index: looks only into the lists whose centres are nearest to the query.

    Attributes:
        bank: ``(rows, channels)`` float32.
        lists: Lists the bank is divided into.
        probes: Lists looked into per query.
    """

    def __init__(self, bank: Float32Array, *, lists: int, probes: int) -> None:
        """
        Args:
            bank: ``(rows, channels)`` float32, not empty.
            lists: Lists to divide it into, from 1 to its rows.
            probes: Lists to look into per query, from 1 to ``lists``.

        Raises:
            ValueError: A number is out of its range, or the bank is empty.
            DetectionError: A value is not a finite number, or faiss is not installed.
        """
        if bank.ndim != 2 or not 1 <= probes <= lists <= len(bank):
            raise ValueError("needs a (rows, channels) bank and 1 <= probes <= lists <= rows")
        self.bank = np.ascontiguousarray(bank, dtype=np.float32)
        self.lists = lists
        self.probes = probes
        squared_lengths(self.bank, what="the bank")
        self._faiss = load_faiss()
        width = bank.shape[1]
        self._index = self._faiss.IndexIVFFlat(self._faiss.IndexFlatL2(width), width, lists)
        # Small banks are meant to be small: faiss would warn on standard error.
        self._index.cp.min_points_per_centroid = 1
        self._index.train(self.bank)
        self._index.add(self.bank)

    def nearest(
        self, queries: Float32Array, *, allowed: BoolArray | None = None
    ) -> tuple[Float32Array, Int64Array]:
        """Distance to and index of a near bank vector of each query, seldom not the nearest.

        Takes, returns and raises what `ExactSearch.nearest` does. A query whose lists hold no
        vector that may answer is searched exactly.
        """
        check_allowed(allowed, len(self.bank))
        if len(queries) == 0:
            return np.empty(0, np.float32), np.empty(0, np.int64)
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        squared_lengths(queries, what="an image")
        chosen = None if allowed is None else selection(self._faiss, allowed)
        parameters = self._faiss.SearchParametersIVF(nprobe=self.probes, sel=chosen)
        _, found = self._index.search(queries, 1, params=parameters)
        rows = found[:, 0].astype(np.int64)
        missed = np.flatnonzero(rows < 0)
        if len(missed):
            rows[missed] = ExactSearch(self.bank).nearest(queries[missed], allowed=allowed)[1]
        return paired_distances(queries, self.bank[rows]), rows

    def error_on(self, queries: Float32Array) -> ApproximationError:
        """How wrong the answers to these queries are, measured against exact search.

        Args:
            queries: ``(rows, channels)`` float32, not empty; real ones, or the figures say little.
        """
        exact, winners = ExactSearch(self.bank).nearest(queries)
        given, rows = self.nearest(queries)
        excess = given.astype(np.float64) - exact
        relative = np.where(excess > 0, np.inf, 0.0)
        np.divide(excess, exact, out=relative, where=exact > 0)
        return ApproximationError(
            other_winners=float((rows != winners).mean()),
            median=float(np.median(relative)),
            largest=float(relative.max()),
        )
