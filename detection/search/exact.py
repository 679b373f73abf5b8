"""Exact nearest neighbours in a bank, whatever finds them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Protocol

import numpy as np

from detection.protocol import BoolArray, DetectionError, Float32Array, Float64Array, Int64Array
from detection.search.blocked import BlockedFinder
from detection.search.clustered import ClusteredFinder
from detection.search.distances import Candidates, best_of, check_allowed, squared_lengths
from detection.search.libraries import FaissFinder, faiss_is_installed


class Finder(Protocol):
    """Something that finds candidates in the bank it was made from."""

    def candidates(
        self, queries: Float32Array, squares: Float64Array, allowed: BoolArray | None
    ) -> Candidates:
        """Bank rows among which each query's nearest is."""
        ...


_FINDERS: dict[str, type[BlockedFinder] | type[ClusteredFinder] | type[FaissFinder]] = {
    "blocked": BlockedFinder,
    "clustered": ClusteredFinder,
    "faiss": FaissFinder,
}
KINDS = tuple(_FINDERS)


def available_kinds() -> tuple[str, ...]:
    """The kinds whose libraries are installed here; imports none of them."""
    there = {"blocked": True, "clustered": find_spec("numba") is not None}
    there["faiss"] = faiss_is_installed()
    return tuple(kind for kind in KINDS if there[kind])


class ExactSearch:
    """Finds each query's nearest bank vector.

    Every kind finds in its own way the bank rows that its rounding cannot tell from the nearest;
    one float32 routine (`paired_distances`) measures those, and the smallest distance, then the
    lowest row, wins. So all kinds give the same rows and the same bits on one machine.

    Attributes:
        bank: ``(rows, channels)`` float32.
        kind: What finds the candidates.
        evaluations: Distances begun or products computed by all calls so far.
    """

    def __init__(self, bank: Float32Array, *, kind: str = "blocked") -> None:
        """
        Args:
            bank: ``(rows, channels)`` float32, not empty.
            kind: One of ``KINDS``; `choose_kind` says which is fastest here.

        Raises:
            ValueError: The bank is empty or not 2-D.
            DetectionError: A value is not a finite number; no such kind, or its library is not
                installed.
        """
        if bank.ndim != 2 or bank.size == 0:
            raise ValueError("the bank must be (rows, channels) with at least one row")
        if kind not in _FINDERS:
            raise DetectionError(
                f"The search must be one of {', '.join(KINDS)}, not {kind!r}. Approximate search "
                "has a class of its own, since its scores differ."
            )
        if kind not in available_kinds():
            raise DetectionError(
                f"The search {kind!r} needs a library that is not installed; choose one of "
                f"{', '.join(available_kinds())}."
            )
        self.bank = np.ascontiguousarray(bank, dtype=np.float32)
        self.kind = kind
        self.evaluations = 0
        squares = squared_lengths(self.bank, what="the bank")
        self._finder: Finder = _FINDERS[kind](self.bank, squares)

    def nearest(
        self, queries: Float32Array, *, allowed: BoolArray | None = None
    ) -> tuple[Float32Array, Int64Array]:
        """Distance to and index of the nearest bank vector of each query.

        Args:
            queries: ``(rows, channels)`` float32.
            allowed: ``(bank rows,)``, which bank vectors may answer; None for all.

        Returns:
            ``(rows,)`` float32 Euclidean distances and ``(rows,)`` int64 indices.

        Raises:
            ValueError: The queries have another width, or no bank vector is allowed.
            DetectionError: A value is not a finite number.
        """
        if queries.ndim != 2 or queries.shape[1] != self.bank.shape[1]:
            raise ValueError(f"queries must be (rows, {self.bank.shape[1]})")
        check_allowed(allowed, len(self.bank))
        if len(queries) == 0:
            return np.empty(0, np.float32), np.empty(0, np.int64)
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        squares = squared_lengths(queries, what="an image")
        found = self._finder.candidates(queries, squares, allowed)
        self.evaluations += found.evaluations
        return best_of(found, queries, self.bank)
