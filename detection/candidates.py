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


class _GrowingSample:
    """A view's sample while the images are walked; its memory is asked for once."""

    def __init__(self, most: int, channels: int) -> None:
        self._vectors = np.empty((most, channels), np.float16)
        self._places = np.empty((most, 3), np.int64)
        self._grids_hw: list[tuple[int, int]] = []
        self._filled = 0

    def add(self, number: int, view: Float32Array, cells: Int64Array) -> None:
        """Keep these cells of an image's view."""
        rows, cols, channels = view.shape
        new = slice(self._filled, self._filled + len(cells))
        self._vectors[new] = halves(view.reshape(rows * cols, channels)[cells])
        self._places[new, 0] = number
        self._places[new, 1], self._places[new, 2] = np.divmod(cells, cols)
        self._grids_hw.append((rows, cols))
        self._filled = new.stop

    def finished(self) -> ViewSample:
        """The sample of all images."""
        kept = slice(self._filled)
        grids_hw = np.array(self._grids_hw, np.int64)
        return ViewSample(self._vectors[kept], self._places[kept], grids_hw)


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
    samples: list[_GrowingSample] = []
    whole: list[WholeImage] = []
    kept_whole: frozenset[int] = frozenset()
    sizes_hw: list[tuple[int, int]] = []
    digests: set[bytes] = set()

    def look(image: UInt8Array) -> tuple[bytes, Features, tuple[BoolArray, ...]]:
        return image_digest(image), *read(image)

    looks = ordered_map(look, images, threads=threads)
    for number, (digest, features, inside) in enumerate(named_in_order(looks, ids)):
        if number == 0:
            samples = [_GrowingSample(total * share, view.shape[2]) for view in features.views]
            kept_whole = _spread(total, features, limit=limit)
        digests.add(digest)
        sizes_hw.append(features.size_hw)
        for sample, view, counts in zip(samples, features.views, inside, strict=True):
            cells = np.flatnonzero(counts)
            if len(cells) > share:
                cells = np.sort(rng.choice(cells, share, replace=False))
            sample.add(number, view, cells)
        if number in kept_whole:
            whole.append(WholeImage(number, tuple(map(halves, features.views)), inside))
        if on_progress is not None:
            on_progress(number + 1, total, "reading images")
    if len(digests) == 1:
        raise DetectionError(
            "All normal images are the same picture: there is no normal variation to learn."
        )
    return Candidates(
        samples=tuple(sample.finished() for sample in samples),
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
