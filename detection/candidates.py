"""Walks the normal images once and keeps a bounded sample of their patches in half precision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from detection.features import FeatureGrid, Polygon, cells_inside, image_digest
from detection.naming import named_in_order
from detection.protocol import (
    DetectionError,
    Float16Array,
    ImageSource,
    Int64Array,
    Progress,
    UInt8Array,
)
from detection.scorers import ScorerConfig
from detection.threads import ordered_map

MIN_IMAGES = 2


@dataclass(frozen=True, slots=True)
class Candidates:
    """The sample that banks are chosen from.

    Attributes:
        features: Per scorer ``(rows, channels)`` float16, raw, pooled the way the scorer wants.
        layer_widths: Per scorer the channels of each layer it reads.
        places: ``(rows, 3)`` int64: image number, row and column of each patch.
        sizes_hw: ``(images, 2)`` int64, pixels.
        grids_hw: ``(images, 2)`` int64, cells.
    """

    features: tuple[Float16Array, ...]
    layer_widths: tuple[tuple[int, ...], ...]
    places: Int64Array
    sizes_hw: Int64Array
    grids_hw: Int64Array


def collect_candidates(
    images: ImageSource,
    *,
    ids: Sequence[str],
    read: Callable[[UInt8Array], FeatureGrid],
    configs: Sequence[ScorerConfig],
    limit: int,
    polygon: Polygon | None,
    rng: np.random.Generator,
    on_progress: Progress | None,
    threads: int = 1,
) -> Candidates:
    """The same number of random patches from every image, at most ``limit`` in all.

    Raises:
        DetectionError: Fewer than two images, all of them the same, or one that cannot be read,
            by its id.
    """
    total = len(images)
    check_count(total)
    share = max(1, limit // total)
    features: list[list[Float16Array]] = [[] for _ in configs]
    places: list[Int64Array] = []
    sizes_hw: list[tuple[int, int]] = []
    grids_hw: list[tuple[int, int]] = []
    layer_widths: tuple[tuple[int, ...], ...] = ()
    digests: set[bytes] = set()

    def look(image: UInt8Array) -> tuple[bytes, FeatureGrid]:
        return image_digest(image), read(image)

    grids = ordered_map(look, images, threads=threads)
    for number, (digest, grid) in enumerate(named_in_order(grids, ids)):
        layer_widths = tuple(
            tuple(layer.shape[2] for layer in config.chosen(grid)) for config in configs
        )
        digests.add(digest)
        cells = np.flatnonzero(cells_inside(polygon, grid.shape))
        if len(cells) > share:
            cells = np.sort(rng.choice(cells, share, replace=False))
        for kept, config in zip(features, configs, strict=True):
            vectors = config.raw_vectors(grid)
            # Half precision halves the memory; its rounding is far below the patches' own noise.
            kept.append(np.clip(vectors[cells], -65_000, 65_000).astype(np.float16))
        rows, cols = np.unravel_index(cells, grid.shape)
        places.append(np.stack([np.full(len(cells), number), rows, cols], axis=1).astype(np.int64))
        sizes_hw.append(grid.size_hw)
        grids_hw.append(grid.shape)
        if on_progress is not None:
            on_progress(number + 1, total, "reading images")
    if len(digests) == 1:
        raise DetectionError(
            "All normal images are the same picture: there is no normal variation to learn."
        )
    return Candidates(
        features=tuple(np.concatenate(kept) for kept in features),
        layer_widths=layer_widths,
        places=np.concatenate(places),
        sizes_hw=np.array(sizes_hw, np.int64),
        grids_hw=np.array(grids_hw, np.int64),
    )


def check_count(images: int) -> None:
    """Raise DetectionError when there are too few images to fit on."""
    if images < MIN_IMAGES:
        there = "there is 1." if images == 1 else f"there are {images}."
        raise DetectionError(f"A fit needs at least {MIN_IMAGES} normal images; {there}")
