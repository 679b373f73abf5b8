"""Counts of values in fine bins that follow the bits of a float32: no range is known beforehand."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from detection.protocol import Float32Array, Float64Array, Int64Array

# Bits dropped of a float32: 12 of the mantissa's 23 stay, a bin is 1/4096 of its value wide.
_DROPPED_BITS: Final = 11


@dataclass(frozen=True, slots=True)
class BinCounts:
    """Counts of one image, only the bins in use.

    Attributes:
        bins: Rising numbers of the bins in use.
        counts: What fell into each, float64.
    """

    bins: Int64Array
    counts: Float64Array

    @classmethod
    def nothing(cls) -> Self:
        """No counts."""
        return cls(np.zeros(0, np.int64), np.zeros(0))

    @classmethod
    def of(cls, bins: Int64Array, *, weights: Float64Array | None = None) -> Self:
        """Count numbers of bins; at least one. Weights are above 0."""
        low = int(bins.min())
        bins -= low  # in place: a fresh array of this size would cost more than the counting
        counts = np.bincount(bins, weights=weights)
        bins += low
        used = np.flatnonzero(counts)
        return cls(used + low, counts[used].astype(np.float64))

    def minus(self, part: Self) -> Self:
        """These counts without those of a part of the same values."""
        counts = self.counts.copy()
        counts[np.searchsorted(self.bins, part.bins)] -= part.counts
        kept = counts > 0
        return type(self)(self.bins[kept], counts[kept])


class WideCounts:
    """Sums of counts over the range of bins seen so far; whole numbers stay exact up to 2^53."""

    def __init__(self) -> None:
        self._low = 0
        self.rows: Float64Array = np.zeros(0)

    def add(self, counts: BinCounts) -> None:
        """Add one image's."""
        if not counts.bins.size:
            return
        low, high = int(counts.bins[0]), int(counts.bins[-1]) + 1
        if not self.rows.size:
            self._low, self.rows = low, np.zeros(high - low)
        before, after = max(0, self._low - low), max(0, high - self._low - self.rows.size)
        if before or after:
            self.rows = np.pad(self.rows, (before, after))
            self._low -= before
        self.rows[counts.bins - self._low] += counts.counts

    def used(self) -> Int64Array:
        """Rising numbers of the bins in use."""
        return np.asarray(np.flatnonzero(self.rows) + self._low)

    def at(self, bins: Int64Array) -> Float64Array:
        """The sums of some bins, 0 for those never reached."""
        places = bins - self._low
        inside = (places >= 0) & (places < self.rows.size)
        found = np.zeros(bins.size)
        found[inside] = self.rows[places[inside]]
        return found


def lower_edge(number: int) -> float:
    """The smallest value that falls into a bin."""
    bits = np.uint32(number << _DROPPED_BITS)
    positive = bits >= np.uint32(0x80000000)
    turned = bits ^ np.uint32(0x80000000) if positive else ~bits
    # Below 0 the bits fall with the value, so the smallest has the dropped ones set.
    return float(np.array(turned, np.uint32).view(np.float32))


class Binning:
    """Numbers the values of maps, in memory that is kept: fresh pages cost most of the time."""

    def __init__(self) -> None:
        self._kept: Int64Array = np.zeros(0, np.int64)

    def bins_of(self, values: Float32Array) -> Int64Array:
        """Number values so that order is kept: the bits of a float32 rise with its value.

        Args:
            values: Any shape, float32, no NaN.

        Returns:
            The same shape, overwritten by the next call; 0 to ``1 << 21``.
        """
        if self._kept.size < values.size:
            self._kept = np.empty(values.size, np.int64)
        bins = self._kept[: values.size].reshape(values.shape)
        bits = np.ascontiguousarray(values, dtype=np.float32).view(np.int32)
        if bits.min() < 0:
            # All bits turn for a negative value, the sign alone for the others.
            turned = (bits >> 31).view(np.uint32) | np.uint32(0x80000000)
            np.right_shift(bits.view(np.uint32) ^ turned, _DROPPED_BITS, out=bins)
        else:
            np.right_shift(bits, _DROPPED_BITS, out=bins)
            bins += 0x80000000 >> _DROPPED_BITS
        return bins
