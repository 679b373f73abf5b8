"""Farthest-first choice of a small set of vectors that covers a large one, exactly and fast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection.protocol import (
    DetectionError,
    Float16Array,
    Float32Array,
    Float64Array,
    Int64Array,
    Progress,
)

# Rows multiplied at a time: their products with one block of picks stay in the second cache.
_CHUNK_ROWS = 1024
_BLOCK_PICKS = 256
# Rows that may hold the next picks: enough for a block of picks, few enough to walk at each one.
_CONTENDERS = 5000
_UNIT_ROUNDING = 2.0**-24
_SMALLEST_NORMAL = 2.0**-126  # products below it lose digits or vanish


@dataclass(frozen=True, slots=True)
class Coreset:
    """What `farthest_first` chose.

    Attributes:
        picks: ``(count,)`` int64 rows in the order chosen.
        radii: ``(count,)`` float32, how far each was from all chosen before it; inf for the first.
        evaluations: Distances computed in all, by product or one by one. The plain method needs
            rows times picks. The same on every machine.
        measured: Those of them computed again in float64.
    """

    picks: Int64Array
    radii: Float32Array
    evaluations: int
    measured: int


def farthest_first(
    vectors: Float32Array | Float16Array,
    count: int,
    *,
    rng: np.random.Generator,
    on_progress: Progress | None = None,
) -> Coreset:
    """Choose ``count`` vectors, each the farthest from all those chosen before it.

    The first one is drawn by ``rng``; ties go to the lowest index. The picks are those of the
    plain method (distances to every vector after every pick), from distances in float64 whose
    bits do not depend on the machine.

    A vector's distance to what is chosen only ever falls, so an old value bounds the new one from
    above. Only vectors whose old value could still be the largest are brought up to date, block
    of picks by block of picks as one matrix product, and dropped as soon as they fall behind;
    most vectors never meet most picks. Products only rank: whatever lies within their rounding
    is measured anew.

    Args:
        vectors: ``(rows, channels)`` float32 or float16; read in place, chunk by chunk.
        count: How many to choose; all of them when there are no more.
        rng: Draws the first pick, nothing else.
        on_progress: Called after each block of picks; may raise to stop.

    Returns:
        The choice; fewer than ``count`` when the vectors left are all copies of chosen ones.

    Raises:
        ValueError: Not 2-D, empty, or ``count`` below 1.
        DetectionError: A value is not a finite number.

    Source: greedy k-center, Gonzalez (1985); lazy evaluation after Minoux (1978); ours as a whole.
    """
    if vectors.ndim != 2 or vectors.size == 0 or count < 1:
        raise ValueError("vectors must be (rows, channels) with rows, and count at least 1")
    chooser = _Chooser(vectors, min(count, len(vectors)))
    chooser.start(int(rng.integers(len(vectors))))
    while chooser.extend():
        if on_progress is not None:
            on_progress(chooser.done, chooser.count, "choosing the bank")
    if on_progress is not None:
        on_progress(chooser.done, chooser.count, "choosing the bank")
    done = chooser.done
    return Coreset(
        chooser.picks[:done].copy(),
        np.sqrt(chooser.reach[:done]).astype(np.float32),
        chooser.evaluations,
        chooser.measured,
    )


class _Chooser:
    """The state of one choice.

    ``nearest[row]`` is the squared distance to the first ``seen[row]`` picks, or to some more: it
    is never less than the true one.
    """

    def __init__(self, vectors: Float32Array | Float16Array, count: int) -> None:
        from detection import coreset_kernels

        self.kernels = coreset_kernels
        self.vectors: NDArray[np.float32] | NDArray[np.uint16]
        self._copy: Any
        if vectors.dtype == np.float16:
            self.vectors = np.ascontiguousarray(vectors).view(np.uint16)
            self._copy = coreset_kernels.gather_halves
        else:
            self.vectors = np.ascontiguousarray(vectors, dtype=np.float32)
            self._copy = coreset_kernels.gather_singles
        rows, self.width = vectors.shape
        self.count = count
        # Twice the largest error of ``width + 1`` products summed in any order (Higham, "Accuracy
        # and Stability of Numerical Algorithms", 3.1) and of the two lengths.
        self.rounding = 2 * (self.width + 16) * _UNIT_ROUNDING
        self.done = self.evaluations = self.measured = 0
        self.picks = np.empty(count, np.int64)
        self.reach = np.empty(count, np.float64)
        self.nearest = np.full(rows, np.inf)
        self.seen = np.zeros(rows, np.int64)
        self.pick_singles = np.empty((count, self.width), np.float32)
        # A row (x, 1) times a pick (-2p, |p|^2) is their squared distance but for |x|^2.
        self.pick_factors = np.empty((count, self.width + 1), np.float32)
        self._singles = np.ones((_CHUNK_ROWS, self.width + 1), np.float32)
        self._bounds = np.empty((_CHUNK_ROWS, _BLOCK_PICKS), np.float32)
        self.lengths = np.empty(rows, np.float32)
        for part in _chunks(np.arange(rows)):
            self.lengths[part] = self._shortened_squares(self._gather(part)[:, : self.width])
            # Moving bits would make numbers of infinite halves; single values may square to inf.
            finite = np.isfinite(vectors[part[0] : part[-1] + 1]).all()
            if not finite or not np.isfinite(self.lengths[part]).all():
                raise DetectionError(
                    "A feature is not a finite number (NaN or infinity): look for a damaged image "
                    "or a network whose values overflow."
                )

    def start(self, first: int) -> None:
        """Make ``first`` the first pick and measure every row from it."""
        self._append(np.array([first]), np.array([np.inf]))
        self._settle(0.0)

    def extend(self) -> bool:
        """Choose some more picks; False when none is left to choose."""
        if self.done == self.count:
            return False
        contenders = np.empty(0, np.int64)
        while len(contenders) == 0:
            level = self._next_level()
            if level <= 0.0:
                return False  # every vector left lies on a chosen one
            self._settle(level)
            contenders = np.flatnonzero(self.nearest >= level)
        singles = np.empty((len(contenders), self.width), np.float32)
        self._copy(self.vectors, contenders, singles)
        near = self.nearest[contenders]
        room = min(self.count - self.done, _BLOCK_PICKS)
        chosen, reach = np.empty(room, np.int64), np.empty(room)
        picked, quick, measured = self.kernels.pick_within(
            singles, near, level, self.rounding, chosen, reach
        )
        self.nearest[contenders] = near
        self.evaluations += quick
        self.measured += measured
        self._append(contenders[chosen[:picked]], reach[:picked])
        return True

    def _next_level(self) -> float:
        """A squared distance that about ``_CONTENDERS`` rows may still reach."""
        place = max(0, len(self.nearest) - _CONTENDERS)
        level = float(np.partition(self.nearest, place)[place])
        if level > 0.0:
            return level
        above = self.nearest[self.nearest > 0.0]
        return float(above.min()) if len(above) else 0.0

    def _append(self, rows: Int64Array, reach: Float64Array) -> None:
        new = slice(self.done, self.done + len(rows))
        self.picks[new] = rows
        self.reach[new] = reach
        self._copy(self.vectors, rows, self.pick_singles[new])
        self.pick_factors[new, :-1] = -2 * self.pick_singles[new]
        self.pick_factors[new, -1] = self._shortened_squares(self.pick_singles[new])
        self.done += len(rows)

    def _settle(self, level: float) -> None:
        """Bring every row that may be at ``level`` or above up to date with all picks."""
        waiting = np.arange(len(self.nearest))
        found = np.empty_like(waiting)
        left = len(waiting)
        while True:
            left, number, start = self.kernels.due(
                waiting, left, self.nearest, self.seen, level, self.done, found
            )
            if number == 0:
                return
            # Rows of all ages meet at the same multiples, so that products stay large.
            stop = min((start // _BLOCK_PICKS + 1) * _BLOCK_PICKS, self.done)
            self._meet(found[:number], start, stop)

    def _meet(self, rows: Int64Array, start: int, stop: int) -> None:
        """Lower the rows' distances to those from picks ``start`` to ``stop``."""
        factors = self.pick_factors[start:stop].T
        picks = self.pick_singles[start:stop]
        for part in _chunks(rows):
            singles = self._gather(part)
            bounds = np.matmul(singles, factors, out=self._bounds[: len(part), : stop - start])
            self.measured += self.kernels.absorb(
                bounds, part, singles, self.lengths, picks, self.nearest, self.width
            )
        self.seen[rows] = stop
        self.evaluations += len(rows) * (stop - start)

    def _gather(self, rows: Int64Array) -> Float32Array:
        out = self._singles[: len(rows)]
        self._copy(self.vectors, rows, out)
        return out

    def _shortened_squares(self, values: Float32Array) -> Float32Array:
        """Squared lengths less all that products of these vectors may be wrong by."""
        wide = np.einsum("ij,ij->i", values, values, dtype=np.float64) * (1.0 - self.rounding)
        wide -= 4 * (self.width + 16) * _SMALLEST_NORMAL
        with np.errstate(over="ignore"):  # refused by the caller
            return np.asarray(wide, dtype=np.float32)


def _chunks(rows: Int64Array) -> list[Int64Array]:
    return [rows[at : at + _CHUNK_ROWS] for at in range(0, len(rows), _CHUNK_ROWS)]


def random_directions(channels: int, width: int, *, rng: np.random.Generator) -> Float32Array:
    """``(channels, width)`` to multiply vectors with: distances stay about the same.

    The identity where there are no more channels than ``width``; nothing is drawn then.

    Source: Johnson and Lindenstrauss (1984); the use in PatchCore, arXiv:2106.08265, 3.2.
    """
    if channels <= width:
        return np.eye(channels, dtype=np.float32)
    directions: Float64Array = rng.standard_normal((channels, width)) / np.sqrt(width)
    return directions.astype(np.float32)
