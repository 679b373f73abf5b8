"""faiss's exact flat index as one more way to find candidates, where faiss is installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

from detection.protocol import BoolArray, DetectionError, Float32Array, Float64Array
from detection.search.blocked import BlockedFinder
from detection.search.distances import Candidates, rounding_of_squares

# Neighbours asked for: the winner and enough rivals to see that rounding did not choose it.
_NEIGHBOURS = 4


def faiss_is_installed() -> bool:
    """Whether faiss can be imported; does not import it."""
    return find_spec("faiss") is not None


def load_faiss() -> Any:
    """The faiss module.

    Raises:
        DetectionError: It is not installed.
    """
    if not faiss_is_installed():
        raise DetectionError("This search needs faiss: install faiss-cpu, or choose another kind.")
    import faiss

    return faiss


def selection(faiss: Any, allowed: BoolArray) -> Any:
    """What tells a faiss search which rows may answer."""
    return faiss.IDSelectorBatch(np.flatnonzero(allowed).astype(np.int64))


class FaissFinder:
    """Candidates for each query's nearest bank vector from faiss's flat index."""

    def __init__(self, bank: Float32Array, squares: Float64Array) -> None:
        """
        Args:
            bank: ``(rows, channels)`` float32.
            squares: ``(rows,)`` their squared lengths.

        Raises:
            DetectionError: faiss is not installed.
        """
        self._faiss = load_faiss()
        self._index = self._faiss.IndexFlatL2(bank.shape[1])
        self._index.add(bank)
        self._largest = float(squares.max())
        self._blocked = BlockedFinder(bank, squares)

    def candidates(
        self, queries: Float32Array, squares: Float64Array, allowed: BoolArray | None
    ) -> Candidates:
        """Bank rows that faiss's distances cannot tell from the nearest.

        Args:
            queries: ``(rows, channels)`` float32.
            squares: ``(rows,)`` their squared lengths.
            allowed: ``(bank rows,)``, which may answer; None for all.
        """
        parameters, may_answer = None, self._index.ntotal
        if allowed is not None:
            chosen = selection(self._faiss, allowed)
            parameters = self._faiss.SearchParameters(sel=chosen)
            may_answer = int(allowed.sum())
        asked = min(_NEIGHBOURS, may_answer)
        found, rows = self._index.search(queries, asked, params=parameters)
        margins = rounding_of_squares(queries.shape[1], squares, self._largest)
        near = found <= (found[:, 0] + margins)[:, None]
        full = np.flatnonzero(near[:, -1]) if asked < may_answer else np.empty(0, np.int64)
        near[full] = False
        numbers, places = np.nonzero(near)
        rows = rows[numbers, places].astype(np.int64)
        evaluations = len(queries) * self._index.ntotal
        if len(full) == 0:
            return Candidates(numbers, rows, evaluations)
        rest = self._blocked.candidates(queries[full], squares[full], allowed)
        numbers = np.concatenate([numbers, full[rest.queries]])
        rows = np.concatenate([rows, rest.rows])
        order = np.argsort(numbers, kind="stable")
        return Candidates(numbers[order], rows[order], evaluations + rest.evaluations)
