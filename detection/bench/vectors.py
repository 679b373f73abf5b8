"""Patch vectors to choose from and to search: drawn from a seed, or read from real images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np

from detection.bench.plan import Plan
from detection.protocol import DetectionError, Float32Array, UInt8Array

_SIDE_PX: Final = 224
_GRID_CELLS: Final = 28  # of a side, 8 pixels each


@dataclass(frozen=True, slots=True)
class Recipe:
    """How drawn vectors are spread.

    Attributes:
        decay: The k-th direction has variance k to the power of minus this: 0 as after perfect
            whitening, 1 as in a network's raw layers.
        clusters: Places around which they lie.
        within: Their distance from those places, as a share of the distance between places.
    """

    decay: float
    clusters: int
    within: float


# The easy one is like a network's raw features of one kind of part, which lie near few directions;
# the hard one is like whitened features, which the product chooses and searches.
RECIPES: Final[Mapping[str, Recipe]] = MappingProxyType(
    {
        "easy": Recipe(decay=2.0, clusters=2_000, within=0.1),
        "hard": Recipe(decay=0.3, clusters=200, within=1.0),
    }
)


@dataclass(frozen=True, slots=True)
class VectorSet:
    """Vectors of normal images, and those of one image that is none of them.

    Attributes:
        name: ``easy``, ``hard``, ``real_raw`` or ``real_whitened``.
        normals: ``(rows, channels)`` float32.
        queries: ``(rows, channels)`` float32.
    """

    name: str
    normals: Float32Array
    queries: Float32Array


def drawn_set(name: str, plan: Plan, *, seed: int = 0) -> VectorSet:
    """A set by the recipe of that name, the same for a seed everywhere."""
    recipe = RECIPES[name]
    rng = np.random.default_rng([seed, *name.encode()])
    spread = np.arange(1, plan.width + 1, dtype=np.float64) ** (-recipe.decay / 2)
    spread /= np.sqrt((spread**2).sum())
    # Channels mix the directions, as a network's do: none of them is special to a search.
    turn, _ = np.linalg.qr(rng.standard_normal((plan.width, plan.width)))
    mixing = (spread[:, None] * turn).astype(np.float32)
    places = rng.standard_normal((recipe.clusters, plan.width), dtype=np.float32)
    rows = plan.coreset_rows + plan.queries
    # Some places come far more often than others: plain surface, and rare detail.
    weights = 1.0 / np.arange(1, recipe.clusters + 1)
    chosen = rng.choice(recipe.clusters, rows, p=weights / weights.sum())
    vectors = rng.standard_normal((rows, plan.width), dtype=np.float32)
    vectors *= np.float32(recipe.within)
    vectors += places[chosen]
    vectors = vectors @ mixing
    return VectorSet(name, vectors[: plan.coreset_rows], vectors[plan.coreset_rows :])


def real_sets(directory: Path, plan: Plan, *, cache: Path | None) -> tuple[VectorSet, VectorSet]:
    """Network features of a folder's normal images, 28 x 28 of each: raw, and whitened.

    The last image gives the queries. Images are taken again, mirrored, where there are too few.
    The product chooses and searches whitened ones; raw ones are easier, and what peers search.

    Raises:
        DetectionError: The folder holds fewer than two normal images.
    """
    from detection.mvtec import read_folder
    from detection.whitening import fit_whitening

    images = read_folder(directory).normals
    if len(images) < 2:
        raise DetectionError(f"{directory} needs at least two normal images to measure on.")
    wanted = -(-plan.coreset_rows // _GRID_CELLS**2)
    read = _feature_reader(cache)
    last = len(images) - 1
    grids = []
    for number in range(wanted):
        turn, place = divmod(number, last)
        grids.append(read(_mirrored(images[place], turn)))
    normals, queries = np.concatenate(grids)[: plan.coreset_rows], read(images[last])
    whitening = fit_whitening(normals, components=normals.shape[1])
    return (
        VectorSet("real_raw", normals, queries),
        VectorSet("real_whitened", whitening.apply(normals), whitening.apply(queries)),
    )


def _mirrored(image: UInt8Array, turn: int) -> UInt8Array:
    return np.ascontiguousarray(image[:: -1 if turn & 1 else 1, :: -1 if turn & 2 else 1])


def _feature_reader(cache: Path | None) -> Callable[[UInt8Array], Float32Array]:
    """Reads the default network's first two layers on the finer one's grid: 40 + 112 channels."""
    from detection.backbones import BackboneSpec, View, build_engine
    from detection.features import resize

    spec = BackboneSpec(views=(View(layers=(0, 1), grid=0),))
    engine, _, _ = build_engine(spec, cache=cache)

    def read(image: UInt8Array) -> Float32Array:
        grid = engine(resize(image, (_SIDE_PX, _SIDE_PX)))[0]
        return grid.reshape(_GRID_CELLS**2, -1)

    return read
