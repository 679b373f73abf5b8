"""From an image of any size to grids of raw patch features: resize, run the engine.

Also says which of their cells lie in the region of interest. Not for whitening or distances.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

import numpy as np

from detection.backbones import Engine
from detection.protocol import BoolArray, DetectionError, Float32Array, UInt8Array

DEFAULT_SIDE = 384
MIN_SIDE_PX = 32

Polygon = tuple[tuple[float, float], ...]
"""A region of interest: corners (x, y) as shares of width and height, each in [0, 1]."""

Tiles = tuple[int, int] | Literal["native"] | None
"""How an image is cut up: (rows, cols), as many as its native size needs, or not at all."""

NATIVE: Final = "native"
# Border cells of a tile see padding where the whole image has a picture. Largest error on glass
# fibre, as a share of the features' spread, layers at stride 8, 16 and 32: with no margin 1.2, 2.0
# and 2.5; 64 pixels 0, 0.01 and 0.5; 96 pixels 0, 0 and 0.16.
TILE_MARGIN_PX = 96
# Kept part of a tile at native size: larger ones waste less on margins (768: 1.6 times the pixels,
# 384: 2.3 times), and memory still does not grow with the image.
NATIVE_TILE_PX = 768
MAX_TILES_A_SIDE = 32


def working_size(height: int, width: int, *, side: float, multiple: int) -> tuple[int, int]:
    """The (height, width) at which an image is looked at.

    The area comes near ``side`` squared or the image's own, whichever is smaller; both sides are
    multiples of ``multiple`` and never above the native ones; among the sizes that fit, the one
    that keeps the aspect best at little loss of area.

    Raises:
        DetectionError: A side is shorter than ``multiple``: it could only be enlarged.

    Source: ours.
    """
    if min(height, width) < multiple:
        raise DetectionError(
            f"The image is {width}x{height} pixels; each side needs at least {multiple}."
        )
    scale = min(1.0, side / math.sqrt(height * width))
    best_cost, best = math.inf, (multiple, multiple)
    for rows in _near(height * scale, height, multiple):
        for cols in _near(width * scale, width, multiple):
            aspect = abs(math.log((rows / cols) / (height / width)))
            area = abs(math.log(rows * cols / (height * width * scale * scale)))
            # A stretch of 10 % weighs as much as a loss of 40 % of the area.
            cost = aspect + 0.25 * area
            if cost < best_cost:
                best_cost, best = cost, (rows, cols)
    return best


def _near(length: float, limit: int, multiple: int) -> list[int]:
    middle = round(length / multiple)
    steps = range(max(1, middle - 2), middle + 3)
    return [step * multiple for step in steps if step * multiple <= limit]


def resize(image: UInt8Array, size_hw: tuple[int, int]) -> UInt8Array:
    """The image at ``size_hw`` by area averaging; returned as it is when it has that size."""
    if image.shape[:2] == size_hw:
        return image
    import cv2

    resized = cv2.resize(image, (size_hw[1], size_hw[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, dtype=np.uint8)


def check_image(image: UInt8Array) -> None:
    """Raise DetectionError unless the image is ``(height, width, 3)`` uint8."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise DetectionError(
            f"An image must be (height, width, 3) uint8, not {image.shape} {image.dtype}."
        )


@dataclass(frozen=True, slots=True)
class Features:
    """Raw features of one image.

    Attributes:
        views: Per view ``(rows, cols, channels)`` float32 in the backbone's own space. All grids
            cover the same picture; their numbers of rows and columns divide each other.
        size_hw: Size of the image they came from, pixels.
    """

    views: tuple[Float32Array, ...]
    size_hw: tuple[int, int]

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """(rows, cols) of each view."""
        return tuple((view.shape[0], view.shape[1]) for view in self.views)

    @property
    def finest(self) -> tuple[int, int]:
        """(rows, cols) of the grid with most cells."""
        return max(self.shapes)


class FeatureReader:
    """Reads the features of an image with a given engine."""

    def __init__(self, engine: Engine, *, side: int = DEFAULT_SIDE, tiles: Tiles = None) -> None:
        """
        Args:
            engine: Runs the network.
            side: Square root of the largest area looked at at once, pixels.
            tiles: How the image is cut up, for defects that are small beside it: (rows, cols)
                tiles of ``side`` each; ``native`` for as many as show the image at its own size;
                None for the whole image at once. Tiles overlap and give larger grids.

        Raises:
            DetectionError: ``tiles`` is none of these.
        """
        self.engine = engine
        self.side = side
        self.tiles = check_tiles(tiles)

    def read(self, image: UInt8Array) -> Features:
        """The image's features.

        Raises:
            DetectionError: Not ``(height, width, 3)`` uint8, too small, or features that are not
                finite.
        """
        check_image(image)
        height, width = image.shape[:2]
        if self.tiles is None:
            size_hw = working_size(height, width, side=self.side, multiple=self.engine.multiple)
            views = self.engine(resize(image, size_hw))
        else:
            views = self._read_tiles(image, self.tiles)
        if not all(np.isfinite(view).all() for view in views):
            # One such cell in a bank would be nearest to nothing and spoil every mean.
            raise DetectionError(
                "The network gave values that are not finite numbers. Check its weights."
            )
        return Features(tuple(views), (height, width))

    def _read_tiles(
        self, image: UInt8Array, tiles: tuple[int, int] | Literal["native"]
    ) -> list[Float32Array]:
        multiple = self.engine.multiple
        side = math.inf if tiles == NATIVE else self.side * math.sqrt(tiles[0] * tiles[1])
        size_hw = working_size(*image.shape[:2], side=side, multiple=multiple)
        if tiles == NATIVE:
            counts = [min(MAX_TILES_A_SIDE, math.ceil(px / NATIVE_TILE_PX)) for px in size_hw]
        else:
            counts = list(tiles)
        resized = resize(image, size_hw)
        down, across = (
            tile_spans(length // multiple, count, margin=math.ceil(TILE_MARGIN_PX / multiple))
            for length, count in zip(size_hw, counts, strict=True)
        )
        joined: list[Float32Array] = []
        for row in down:
            for col in across:
                rows, cols = row.pixels(multiple), col.pixels(multiple)
                for number, view in enumerate(self.engine(resized[rows, cols])):
                    per_step = view.shape[0] // row.length
                    if len(joined) == number:
                        shape = (size_hw[0] // multiple, size_hw[1] // multiple)
                        joined.append(_empty_grid(shape, per_step, view.shape[2]))
                    joined[number][row.place(per_step), col.place(per_step)] = view[
                        row.kept(per_step), col.kept(per_step)
                    ]
        return joined


def _empty_grid(shape: tuple[int, int], per_step: int, channels: int) -> Float32Array:
    return np.empty((shape[0] * per_step, shape[1] * per_step, channels), np.float32)


def check_tiles(tiles: Tiles | Sequence[int]) -> Tiles:
    """The tiles as a pair of plain numbers, ``native`` or None.

    Raises:
        DetectionError: Anything else, or a number out of range.
    """
    if tiles is None or tiles == NATIVE:
        return None if tiles is None else NATIVE
    whole = not isinstance(tiles, str) and len(tiles) == 2
    if not whole or not all(
        isinstance(count, int) and 1 <= count <= MAX_TILES_A_SIDE for count in tiles
    ):
        raise DetectionError(
            f"tiles must be (rows, cols), each from 1 to {MAX_TILES_A_SIDE}, or {NATIVE!r}."
        )
    return int(tiles[0]), int(tiles[1])


@dataclass(frozen=True, slots=True)
class TileSpan:
    """Where a tile lies along one side, in steps of the engine's multiple.

    Attributes:
        start: First step that is computed.
        length: Steps computed; the same for all tiles of a side.
        keep_from: First step that is kept.
        keep_to: The step after the last one kept.
    """

    start: int
    length: int
    keep_from: int
    keep_to: int

    def pixels(self, multiple: int) -> slice:
        """The pixels that are computed."""
        return slice(self.start * multiple, (self.start + self.length) * multiple)

    def place(self, per_step: int) -> slice:
        """The cells of the whole grid that the tile fills."""
        return slice(self.keep_from * per_step, self.keep_to * per_step)

    def kept(self, per_step: int) -> slice:
        """The same cells in the tile's own grid."""
        return slice(
            (self.keep_from - self.start) * per_step, (self.keep_to - self.start) * per_step
        )


def tile_spans(steps: int, count: int, *, margin: int) -> list[TileSpan]:
    """Cut ``steps`` into ``count`` nearly equal tiles that overlap by ``margin`` on each side.

    All tiles are equally long, so that the engine meets one size: those at the border overlap
    more. There are fewer tiles where there are not that many steps.
    """
    count = min(count, steps)
    cuts = [round(number * steps / count) for number in range(count + 1)]
    longest = max(after - before for before, after in pairwise(cuts))
    length = min(steps, longest + 2 * margin)
    return [
        TileSpan(min(max(before - margin, 0), steps - length), length, before, after)
        for before, after in pairwise(cuts)
    ]


def cells_inside(polygon: Polygon | None, shape: tuple[int, int]) -> BoolArray:
    """``(rows, cols)``: which cell centres lie inside the region of interest (all, if None).

    Raises:
        DetectionError: Fewer than three corners, corners outside [0, 1], or no cell inside.
    """
    rows, cols = shape
    if polygon is None:
        return np.ones(shape, dtype=np.bool_)
    check_polygon(polygon)
    y = ((np.arange(rows) + 0.5) / rows)[:, None]
    x = ((np.arange(cols) + 0.5) / cols)[None, :]
    inside = np.zeros(shape, dtype=np.bool_)
    for (x0, y0), (x1, y1) in zip(polygon, (*polygon[1:], polygon[0]), strict=True):
        if y0 != y1:  # even-odd rule; level edges never cross the ray
            crosses = (y0 > y) != (y1 > y)
            inside ^= crosses & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    if not inside.any():
        raise DetectionError("The region of interest holds no patch of the image; make it larger.")
    return inside


def coarser(inside: BoolArray, shape: tuple[int, int]) -> BoolArray:
    """A mask of cells on a coarser grid: ``shape`` where at least half of a cell is inside.

    Where no cell is half inside, those that hold the most, so that a small region is never lost.

    Args:
        inside: ``(rows, cols)``; both are multiples of the shape's.
        shape: (rows, cols) of the coarser grid.
    """
    rows, cols = shape
    if inside.shape == shape:
        return inside
    blocks = inside.reshape(rows, inside.shape[0] // rows, cols, inside.shape[1] // cols)
    share = blocks.mean(axis=(1, 3))
    return np.asarray(share >= min(0.5, float(share.max())))


def check_polygon(polygon: Sequence[tuple[float, float]]) -> Polygon:
    """The corners as plain floats.

    Raises:
        DetectionError: Fewer than three corners, or one outside [0, 1].
    """
    corners = tuple((float(x), float(y)) for x, y in polygon)
    if len(corners) < 3:
        raise DetectionError("A region of interest needs at least three corners.")
    if not all(0.0 <= value <= 1.0 for corner in corners for value in corner):
        raise DetectionError("The corners of a region of interest must lie between 0 and 1.")
    return corners


def image_digest(image: UInt8Array) -> bytes:
    """A digest of the pixels, to notice images that are the same."""
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()
