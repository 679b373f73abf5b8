"""PCA whitening with shrinkage: makes every direction of a feature layer count about the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detection.protocol import DetectionError, Float16Array, Float32Array, Float64Array

_CHUNK_ROWS = 8192
_NO_VARIATION = 1e-9  # mean variance of features that differ by rounding only
# The variance of a direction is no better known than the rows tell it: with fewer, small ones come
# out too small, and whatever is new looks odd in them.
_ROWS_A_DIRECTION = 10
_FEWEST = 8
_ROUNDING = 1e-7  # share of the mean variance that rounding alone can make


@dataclass(frozen=True, slots=True)
class Whitening:
    """An affine map from raw to whitened features.

    Attributes:
        mean: ``(channels,)`` float32.
        matrix: ``(channels, components)`` float32.
    """

    mean: Float32Array
    matrix: Float32Array

    def apply(self, features: Float32Array | Float16Array) -> Float32Array:
        """``(..., channels)`` raw in, ``(..., components)`` float32 out."""
        centred = features.astype(np.float32) - self.mean
        return np.asarray(centred @ self.matrix, dtype=np.float32)


def fit_whitening(
    features: Float16Array | Float32Array, *, components: int = 112, shrink: float = 0.01
) -> Whitening:
    """Whitening of the given features, scaled so that a typical row has length near 1.

    Directions are the leading principal ones; each is divided by the root of its variance plus
    ``shrink`` times the mean variance, so that directions of pure noise are not blown up, and all
    by the root of their number, so that layers of different widths weigh the same when joined.

    Args:
        features: ``(rows, channels)``, raw.
        components: Most directions kept; fewer where there are not ten rows for each.
        shrink: Share of the mean variance added to each, >= 0.

    Raises:
        DetectionError: The features do not vary at all.

    Source: ours; shrinkage in the spirit of Ledoit and Wolf (2004).
    """
    mean, covariance = moments(features)
    variances, directions = np.linalg.eigh(covariance)
    kept_at_most = min(components, max(_FEWEST, len(features) // _ROWS_A_DIRECTION))
    order = np.argsort(variances)[::-1][:kept_at_most]
    usual = float(np.trace(covariance)) / len(covariance)
    if not np.isfinite(usual) or usual <= _NO_VARIATION:
        raise DetectionError("The images show no variation at all: there is nothing to learn.")
    kept = directions[:, order]
    # eigh leaves the sign open; fixing it keeps the same seed at the same bytes everywhere.
    kept = kept * np.sign(kept[np.abs(kept).argmax(axis=0), np.arange(kept.shape[1])])
    floor = max(shrink, _ROUNDING) * usual
    scale = np.sqrt(np.maximum(variances[order], 0.0) + floor) * np.sqrt(len(order))
    return Whitening(mean.astype(np.float32), (kept / scale).astype(np.float32))


def moments(features: Float16Array | Float32Array) -> tuple[Float64Array, Float64Array]:
    """Mean ``(channels,)`` and covariance ``(channels, channels)`` in float64, chunk by chunk."""
    count, channels = features.shape
    mean = np.zeros(channels)
    for start in range(0, count, _CHUNK_ROWS):
        mean += features[start : start + _CHUNK_ROWS].astype(np.float64).sum(axis=0)
    mean /= count
    covariance = np.zeros((channels, channels))
    for start in range(0, count, _CHUNK_ROWS):
        centred = features[start : start + _CHUNK_ROWS].astype(np.float64) - mean
        covariance += centred.T @ centred
    return mean, covariance / count
