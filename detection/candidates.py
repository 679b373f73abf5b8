"""Walks the normal images once and keeps a bounded sample of their patches in half precision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from detection.features import Features, image_digest
from detection.naming import named_in_order
from detection.protocol import (
    BoolArray,
    DetectionError,
    Float16Array,
    Float32Array,
    ImageSource,
    Int64Array,
    Progress,
    UInt8Array,
)
from detection.threads import ordered_map

MIN_IMAGES = 2
# Images kept whole, to learn what a whole normal image looks like: enough for a median and its
# spread; at the usual size 1 MB each.
WHOLE_IMAGES = 64
# All numbers of a network's features lie far inside; beyond are infinities in half precision.
_LARGEST_HALF = 65_000

ReadMasked = Callable[[UInt8Array], tuple[Features, tuple[BoolArray, ...]]]
"""The features of an image and, per view, ``(rows, cols)`` which cells count."""


@dataclass(frozen=True, slots=True)
class ViewSample:
    """Patches of one view, from all normal images.

    Attributes:
        vectors: ``(rows, channels)`` float16, raw; those of one image side by side.
        places: ``(rows, 3)`` int64: image number, row and column of each.
        grids_hw: ``(images, 2)`` int64, cells of each image's grid.
    """

    vectors: Float16Array
    places: Int64Array
    grids_hw: Int64Array


@dataclass(frozen=True, slots=True)
class WholeImage:
    """All features of one normal image.

    Attributes:
        number: Of the image.
        views: Per view ``(rows, cols, channels)`` float16, raw.
        inside: Per view ``(rows, cols)``, which cells count.
    """

    number: int
    views: tuple[Float16Array, ...]
    inside: tuple[BoolArray, ...]


@dataclass(frozen=True, slots=True)
class Candidates:
    """What banks are chosen from.

    Attributes:
        samples: One per view.
        whole: Some images in full, spread over all.
        sizes_hw: ``(images, 2)`` int64, pixels.
    """

    samples: tuple[ViewSample, ...]
    whole: tuple[WholeImage, ...]
    sizes_hw: Int64Array


def collect_candidates(
    images: ImageSource,
    *,
    ids: Sequence[str],
    read: ReadMasked,
    limit: int,
    rng: np.random.Generator,
    on_progress: Progress | None,
    threads: int = 1,
) -> Candidates:
    """The same number of random patches from every image, at most ``limit`` in all per view.

    Raises:
        DetectionError: Fewer than two images, all of them the same, or one that cannot be read,
            by its id.
    """
    total = len(images)
    check_count(total)
    share = max(1, limit // total)
    vectors: list[list[Float16Array]] = []
    places: list[list[Int64Array]] = []
    grids_hw: list[list[tuple[int, int]]] = []
    whole: list[WholeImage] = []
    kept_whole: frozenset[int] = frozenset()
    sizes_hw: list[tuple[int, int]] = []
    digests: set[bytes] = set()

    def look(image: UInt8Array) -> tuple[bytes, Features, tuple[BoolArray, ...]]:
        return image_digest(image), *read(image)

    looks = ordered_map(look, images, threads=threads)
    for number, (digest, features, inside) in enumerate(named_in_order(looks, ids)):
        if number == 0:
            count = len(features.views)
            vectors, places = [[] for _ in range(count)], [[] for _ in range(count)]
            grids_hw = [[] for _ in range(count)]
            kept_whole = _spread(total, features, limit=limit)
        digests.add(digest)
        sizes_hw.append(features.size_hw)
        for at, (view, counts) in enumerate(zip(features.views, inside, strict=True)):
            cells = np.flatnonzero(counts)
            if len(cells) > share:
                cells = np.sort(rng.choice(cells, share, replace=False))
            vectors[at].append(halves(view.reshape(-1, view.shape[2])[cells]))
            rows, cols = np.unravel_index(cells, counts.shape)
            place = np.stack([np.full(len(cells), number), rows, cols], axis=1)
            places[at].append(place.astype(np.int64))
            grids_hw[at].append((view.shape[0], view.shape[1]))
        if number in kept_whole:
            whole.append(WholeImage(number, tuple(map(halves, features.views)), inside))
        if on_progress is not None:
            on_progress(number + 1, total, "reading images")
    if len(digests) == 1:
        raise DetectionError(
            "All normal images are the same picture: there is no normal variation to learn."
        )
    return Candidates(
        samples=tuple(
            ViewSample(np.concatenate(kept), np.concatenate(where), np.array(grids, np.int64))
            for kept, where, grids in zip(vectors, places, grids_hw, strict=True)
        ),
        whole=tuple(whole),
        sizes_hw=np.array(sizes_hw, np.int64),
    )


def halves(features: Float32Array) -> Float16Array:
    """The features in half precision: half the memory, rounding far below the patches' noise."""
    return np.clip(features, -_LARGEST_HALF, _LARGEST_HALF).astype(np.float16)


def _spread(total: int, features: Features, *, limit: int) -> frozenset[int]:
    """Numbers of the images kept whole; fewer where one has very many cells."""
    cells = sum(rows * cols for rows, cols in features.shapes)
    count = min(total, WHOLE_IMAGES, max(8, 2 * limit // cells))
    return frozenset(np.linspace(0, total - 1, count).round().astype(int).tolist())


def check_count(images: int) -> None:
    """Raise DetectionError when there are too few images to fit on."""
    if images < MIN_IMAGES:
        there = "there is 1." if images == 1 else f"there are {images}."
        raise DetectionError(f"A fit needs at least {MIN_IMAGES} normal images; {there}")
