"""One view of the network: its whitening, its bank, and what a usual distance is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from detection.backbones import View
from detection.coreset import farthest_first, random_directions
from detection.protocol import (
    Float16Array,
    Float32Array,
    Float64Array,
    Int64Array,
    Progress,
)
from detection.search import ExactSearch
from detection.whitening import Whitening, fit_whitening

# A centre with few patches of its own borrows from the whole: as if this many usual ones had
# landed there too.
_BORROWED = 10.0
_CHUNK_ROWS = 8192


@dataclass(frozen=True, slots=True)
class ScorerConfig:
    """Which view of the network a scorer reads and how it judges a distance.

    Attributes:
        view: What it reads.
        bank_share: Share of the bank size of the settings that it takes, in (0, 1].
        per_centre: Distances are judged against those usual at the same bank vector, rather than
            against those usual anywhere.
        components: Most whitened directions per layer.
        shrink: Share of the mean variance added to each direction's.
    """

    view: View
    bank_share: float = 1.0
    per_centre: bool = True
    components: int = 112
    shrink: float = 0.01

    def to_json(self) -> dict[str, Any]:
        """The configuration as JSON types."""
        return {**asdict(self), "view": {**asdict(self.view), "layers": list(self.view.layers)}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The configuration that ``to_json`` wrote."""
        view = View(**{**data["view"], "layers": tuple(data["view"]["layers"])})
        return cls(**{**data, "view": view})


@dataclass(frozen=True, slots=True)
class ScorerResult:
    """What a scorer says about one image.

    Attributes:
        cells: ``(rows, cols)`` float32, how many usual spreads each distance lies above the usual
            one; about 0 where all is normal.
        distances: ``(rows, cols)`` float32, feature units.
        nearest: ``(rows, cols)`` int64, bank row.
    """

    cells: Float32Array
    distances: Float32Array
    nearest: Int64Array


@dataclass(frozen=True, slots=True)
class _Landed:
    """Where the candidates of a fit landed, their own image left out.

    Attributes:
        images: ``(rows,)`` int64 image numbers.
        distances: ``(rows,)`` float32 to the bank.
        nearest: ``(rows,)`` int64 bank rows.
    """

    images: Int64Array
    distances: Float32Array
    nearest: Int64Array


class Scorer:
    """A fitted scorer."""

    def __init__(
        self,
        config: ScorerConfig,
        *,
        whitening: Whitening,
        bank: Float32Array,
        places: Int64Array,
        usual: Float32Array,
        spread: Float32Array,
    ) -> None:
        """
        Args:
            config: What it reads.
            whitening: From raw to bank space.
            bank: ``(rows, components)`` float32.
            places: ``(rows, 3)`` image number, row and column each bank vector came from.
            usual: ``(rows,)`` mean distance of normal patches that land on the vector.
            spread: ``(rows,)`` standard deviation of the same.
        """
        self.config = config
        self.whitening = whitening
        self.search = ExactSearch(bank)
        self.places = places
        self.usual = usual
        self.spread = spread
        self._landed: _Landed | None = None

    @classmethod
    def fit(
        cls,
        features: Float16Array,
        places: Int64Array,
        *,
        config: ScorerConfig,
        layer_widths: tuple[int, ...],
        bank_size: int,
        projection: int,
        rng: np.random.Generator,
        on_progress: Progress | None = None,
    ) -> Self:
        """Whiten the candidates, choose the bank, and learn which distances are usual.

        Args:
            features: ``(rows, channels)`` raw candidates of the scorer's view.
            places: ``(rows, 3)`` image number, row, column.
            config: What the scorer reads.
            layer_widths: Channels of each layer joined, in order; they sum to ``channels``.
            bank_size: Vectors kept by a scorer whose bank share is 1.
            projection: Width of the random projection the choice is made on.
            rng: Draws the projection and the first pick.
            on_progress: Called while the bank is chosen.
        """
        whitening = joined_whitening(
            features, layer_widths, components=config.components, shrink=config.shrink
        )
        directions = random_directions(whitening.matrix.shape[1], projection, rng=rng)
        projected = np.empty((len(features), directions.shape[1]), np.float32)
        for start in range(0, len(features), _CHUNK_ROWS):
            chunk = slice(start, start + _CHUNK_ROWS)
            np.matmul(whitening.apply(features[chunk]), directions, out=projected[chunk])
        wanted = max(1, round(config.bank_share * bank_size))
        chosen = farthest_first(projected, wanted, rng=rng, on_progress=on_progress)
        picks = chosen.picks
        bank, origin = whitening.apply(features[picks]), places[picks]
        distances, nearest = left_out_distances(
            features, places[:, 0], bank, origin[:, 0], whitening=whitening
        )
        usual, spread = usual_distances(distances, nearest, len(bank), per_centre=config.per_centre)
        scorer = cls(
            config,
            whitening=whitening,
            bank=bank,
            places=origin,
            usual=usual,
            spread=spread,
        )
        scorer._landed = _Landed(places[:, 0], distances, nearest)
        return scorer

    def score(
        self, view: Float32Array | Float16Array, *, leave_out: int | None = None
    ) -> ScorerResult:
        """How odd each cell is.

        Args:
            view: ``(rows, cols, channels)`` raw features of the image.
            leave_out: Number of an image of the fit: neither its bank vectors nor what its patches
                told of usual distances are used. For a scorer that was not loaded.
        """
        rows, cols, channels = view.shape
        queries = self.whitening.apply(view.reshape(rows * cols, channels))
        allowed, usual, spread = None, self.usual, self.spread
        if leave_out is not None:
            allowed = self.places[:, 0] != leave_out
            allowed = allowed if allowed.any() else None
            usual, spread = self._usual_without(leave_out)
        distances, nearest = self.search.nearest(queries, allowed=allowed)
        cells = (distances - usual[nearest]) / spread[nearest]
        return ScorerResult(
            cells.astype(np.float32).reshape(rows, cols),
            distances.reshape(rows, cols),
            nearest.reshape(rows, cols),
        )

    def _usual_without(self, image: int) -> tuple[Float32Array, Float32Array]:
        """Usual distances and spread as the other images tell them.

        An image's own patches would make it look more usual than a new one: where few patches
        land on a vector, they are what is usual there.
        """
        if self._landed is None:
            raise ValueError("only a scorer that was just fitted can leave an image out")
        others = self._landed.images != image
        if not others.any():
            return self.usual, self.spread
        return usual_distances(
            self._landed.distances[others],
            self._landed.nearest[others],
            len(self.search.bank),
            per_centre=self.config.per_centre,
        )

    def tensors(self) -> dict[str, NDArray[Any]]:
        """The fitted arrays by name."""
        return {
            "whitening_mean": self.whitening.mean,
            "whitening_matrix": self.whitening.matrix,
            "bank": self.search.bank,
            "places": self.places,
            "usual": self.usual,
            "spread": self.spread,
        }

    @classmethod
    def from_tensors(cls, config: ScorerConfig, tensors: Mapping[str, NDArray[Any]]) -> Self:
        """The scorer whose ``tensors`` these are."""
        return cls(
            config,
            whitening=Whitening(tensors["whitening_mean"], tensors["whitening_matrix"]),
            bank=tensors["bank"],
            places=tensors["places"],
            usual=tensors["usual"],
            spread=tensors["spread"],
        )


def joined_whitening(
    features: Float16Array,
    layer_widths: tuple[int, ...],
    *,
    components: int,
    shrink: float,
) -> Whitening:
    """One affine map that whitens each of the joined layers by itself."""
    parts: list[Whitening] = []
    start = 0
    for width in layer_widths:
        layer = features[:, start : start + width]
        parts.append(fit_whitening(layer, components=components, shrink=shrink))
        start += width
    matrix = np.zeros((sum(layer_widths), sum(part.matrix.shape[1] for part in parts)), np.float32)
    row = column = 0
    for part in parts:
        rows, columns = part.matrix.shape
        matrix[row : row + rows, column : column + columns] = part.matrix
        row, column = row + rows, column + columns
    return Whitening(np.concatenate([part.mean for part in parts]), matrix)


def left_out_distances(
    features: Float16Array | Float32Array,
    images: Int64Array,
    bank: Float32Array,
    bank_images: Int64Array,
    *,
    whitening: Whitening,
) -> tuple[Float32Array, Int64Array]:
    """Each candidate's distance to the nearest bank vector that another image gave.

    Args:
        features: ``(rows, channels)`` raw candidates, those of one image side by side.
        images: ``(rows,)`` their image numbers.
        bank: ``(bank rows, components)``.
        bank_images: ``(bank rows,)``.
        whitening: From raw to bank space; applied image by image, which keeps memory small.

    Returns:
        ``(rows,)`` float32 distances and ``(rows,)`` int64 bank rows. A candidate whose image
        gave the whole bank is measured against all of it.
    """
    search = ExactSearch(bank)
    distances = np.empty(len(features), np.float32)
    nearest = np.empty(len(features), np.int64)
    edges = np.flatnonzero(np.diff(images)) + 1
    for start, stop in zip((0, *edges), (*edges, len(images)), strict=True):
        allowed = bank_images != images[start]
        white = whitening.apply(features[start:stop])
        found = search.nearest(white, allowed=allowed if allowed.any() else None)
        distances[start:stop], nearest[start:stop] = found
    return distances, nearest


def usual_distances(
    distances: Float32Array, nearest: Int64Array, bank_rows: int, *, per_centre: bool
) -> tuple[Float32Array, Float32Array]:
    """Mean and standard deviation of normal distances at each bank vector.

    Args:
        distances: ``(rows,)`` of normal patches.
        nearest: ``(rows,)`` the bank vector each landed on.
        bank_rows: Vectors in the bank.
        per_centre: Per vector, drawn towards the whole where few patches landed; else the same
            for all.

    Source: ours.
    """
    d: Float64Array = distances.astype(np.float64)
    mean, variance = float(d.mean()), float(d.var())
    # Normal images that repeat each other would leave no spread to measure in.
    variance = max(variance, (0.05 * mean) ** 2, 1e-12)
    if not per_centre:
        return (
            np.full(bank_rows, mean, np.float32),
            np.full(bank_rows, np.sqrt(variance), np.float32),
        )
    count = np.bincount(nearest, minlength=bank_rows).astype(np.float64)
    total = np.bincount(nearest, weights=d, minlength=bank_rows)
    means = (total + _BORROWED * mean) / (count + _BORROWED)
    squares = np.bincount(nearest, weights=(d - means[nearest]) ** 2, minlength=bank_rows)
    variances = (squares + _BORROWED * variance) / (count + _BORROWED)
    return means.astype(np.float32), np.sqrt(variances).astype(np.float32)
