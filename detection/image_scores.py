"""From the cells of an image to its one score, and what such figures usually are on normals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detection.protocol import Float32Array, Float64Array

# Few normal images tell little about their own spread: as if this many had shown what all views
# show together.
_BORROWED = 10.0
_MAD_TO_SD = 1.4826  # of a normal distribution
# Standard deviations within which views speak together rather than the loudest alone. A sum drowns
# a defect that one view sees in the noise of the others; a maximum listens to the noisiest view
# where normals are few. 1, 2 and 5 tied (docs/accuracy.md); the largest is the steadiest.
_SOFTNESS = 5.0


def top_mean(cells: Float32Array, *, keep: float) -> float:
    """The mean of the largest ``keep`` share of the cells (at least one).

    A single maximum flips on one noisy cell; the mean of a few is steadier.

    Args:
        cells: One value per cell, any shape, feature units.
        keep: Share averaged, in (0, 1].

    Raises:
        ValueError: No cells, or ``keep`` out of range.

    Source: ours. PatchCore (arXiv:2106.08265, 3.3) takes a reweighted maximum instead.
    """
    flat = cells.ravel()
    if flat.size == 0 or not 0.0 < keep <= 1.0:
        raise ValueError("top_mean needs cells and keep in (0, 1]")
    count = max(1, round(keep * flat.size))
    return float(np.partition(flat, flat.size - count)[-count:].mean(dtype=np.float64))


@dataclass(frozen=True, slots=True)
class ImageStandard:
    """What the top means of normal images usually are, by view.

    Attributes:
        centre: ``(views,)`` float64.
        scale: ``(views,)`` float64, > 0.
    """

    centre: Float64Array
    scale: Float64Array

    def score(self, means: Float64Array) -> tuple[float, int]:
        """The soft maximum of the standardised top means, and the view that is oddest.

        Args:
            means: ``(views,)`` of one image.

        Returns:
            ``t log(mean(exp(z / t)))`` of the views' ``z``, in standard deviations of normal
            images, about 0 for a usual one; not clipped. And the number of the view with the
            largest ``z``.

        Source: ours.
        """
        z = (means - self.centre) / self.scale
        largest = float(z.max())
        soft = float(np.log(np.exp((z - largest) / _SOFTNESS).mean()))
        return largest + _SOFTNESS * soft, int(z.argmax())


def fit_image_standard(means: Float64Array) -> ImageStandard:
    """What is usual, from normal images that were scored as if they had not been learned.

    Median and median deviation, so that one odd normal does not widen what counts as usual.

    Args:
        means: ``(images, views)``.

    Source: ours.
    """
    centre = np.median(means, axis=0)
    variance = (_MAD_TO_SD * np.median(np.abs(means - centre), axis=0)) ** 2
    shared = float(variance.mean())
    count = len(means)
    variance = (count * variance + _BORROWED * shared) / (count + _BORROWED)
    # Images that all score alike would leave no spread to measure in.
    floor = (0.01 * max(1.0, float(np.abs(centre).max()))) ** 2
    return ImageStandard(centre, np.sqrt(np.maximum(variance, floor)))


def reweighted_score(
    distances: Float32Array, features: Float32Array, nearest: int, bank: Float32Array
) -> float:
    """PatchCore's own image score: the largest distance, weighed by how lonely its neighbour is.

    Args:
        distances: Of all cells to the bank, feature units.
        features: ``(components,)`` the whitened cell with the largest distance.
        nearest: Bank row nearest to it.
        bank: ``(rows, components)``.

    Source: PatchCore, arXiv:2106.08265, equation 7, with nine neighbours.
    """
    largest = float(distances.max())
    to_nearest = np.linalg.norm(bank - bank[nearest], axis=1)
    around = np.argsort(to_nearest, kind="stable")[: min(9, len(bank))]
    apart = np.linalg.norm(bank[around] - features, axis=1).astype(np.float64)
    # Exponentials of differences: the distances themselves may be large.
    weight = 1.0 - float(np.exp(largest - apart.max()) / np.exp(apart - apart.max()).sum())
    return weight * largest
