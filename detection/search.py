"""Exact nearest neighbours in a bank: blocked matrix products, then the winner measured anew."""

from __future__ import annotations

import numpy as np

from detection.protocol import BoolArray, Float32Array, Int64Array

_BLOCK_ROWS = 1024


class ExactSearch:
    """Finds each query's nearest bank vector.

    The search ranks by a matrix product, which differs in the last digits from machine to machine
    and library to library; the distance that is reported comes from one float32 routine
    (`paired_distances`) and does not depend on what found the winner.
    """

    def __init__(self, bank: Float32Array) -> None:
        """
        Args:
            bank: ``(rows, channels)`` float32, not empty.
        """
        if bank.ndim != 2 or len(bank) == 0:
            raise ValueError("the bank must be (rows, channels) with at least one row")
        self.bank = np.ascontiguousarray(bank, dtype=np.float32)
        self._half_squares = 0.5 * np.einsum("ij,ij->i", self.bank, self.bank)
        self._transposed = np.ascontiguousarray(self.bank.T)

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
            ValueError: No bank vector is allowed.
        """
        offset = self._half_squares
        if allowed is not None:
            if not allowed.any():
                raise ValueError("no bank vector may answer")
            offset = np.where(allowed, offset, np.float32(np.inf)).astype(np.float32)
        indices = np.empty(len(queries), np.int64)
        for start in range(0, len(queries), _BLOCK_ROWS):
            block = queries[start : start + _BLOCK_ROWS] @ self._transposed
            block -= offset
            indices[start : start + _BLOCK_ROWS] = block.argmax(axis=1)
        return paired_distances(queries, self.bank[indices]), indices


def paired_distances(left: Float32Array, right: Float32Array) -> Float32Array:
    """``(rows,)`` float32 Euclidean distances between the rows of two equal-shaped arrays.

    Differences are squared and summed in float64, so the order of summation leaves no trace in
    the float32 result.
    """
    difference = left.astype(np.float64) - right
    squares = np.einsum("ij,ij->i", difference, difference)
    return np.asarray(np.sqrt(squares), dtype=np.float32)
