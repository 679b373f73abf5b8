import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection.backbones import BackboneSpec, View, build_engine
from detection.backbones.engines import Widths
from detection.features import (
    FeatureReader,
    Features,
    cells_inside,
    check_polygon,
    coarser,
    tile_spans,
    working_size,
)
from detection.protocol import DetectionError, Float32Array, UInt8Array
from tests import images


@given(st.integers(32, 4000), st.integers(32, 4000))
def test_working_size_is_never_larger_and_fits_the_stride(height: int, width: int) -> None:
    rows, cols = working_size(height, width, side=384, multiple=32)
    assert rows % 32 == 0
    assert cols % 32 == 0
    assert rows <= height
    assert cols <= width
    assert rows * cols <= 1.25 * 384 * 384


@given(st.integers(128, 3000), st.floats(0.2, 5.0))
def test_working_size_keeps_the_aspect(height: int, aspect: float) -> None:
    width = max(128, round(height * aspect))
    rows, cols = working_size(height, width, side=384, multiple=32)
    assert abs(math.log((rows / cols) / (height / width))) < 0.27


def test_working_size_by_hand() -> None:
    assert working_size(900, 900, side=384, multiple=32) == (384, 384)
    assert working_size(64, 640, side=384, multiple=32) == (64, 640)
    assert working_size(200, 100, side=384, multiple=32) == (192, 96)
    with pytest.raises(DetectionError, match="at least 32"):
        working_size(31, 500, side=384, multiple=32)


def test_polygon_cells_by_hand() -> None:
    left_half = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
    inside = cells_inside(left_half, (3, 4))
    np.testing.assert_array_equal(inside, [[True, True, False, False]] * 3)
    triangle = cells_inside(((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)), (4, 4))
    assert triangle[0, 0]
    assert not triangle[3, 3]
    assert cells_inside(None, (2, 3)).all()


@pytest.mark.parametrize(
    "polygon", [((0, 0), (1, 1)), ((0, 0), (1, 0), (1, 2)), ((0, 0), (0.5, 0), (math.nan, 1))]
)
def test_refuses_a_wrong_polygon(polygon: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(DetectionError):
        check_polygon(polygon)


def test_refuses_a_region_without_cells() -> None:
    sliver = ((0.01, 0.01), (0.02, 0.01), (0.01, 0.02))
    with pytest.raises(DetectionError, match="larger"):
        cells_inside(sliver, (4, 4))


def test_a_coarse_cell_counts_when_half_of_it_does() -> None:
    inside = np.zeros((4, 6), np.bool_)
    inside[0, 0] = True  # a quarter of its cell
    inside[0:2, 2] = True  # a half
    inside[2:4, 4:6] = True  # all
    inside[2, 0:2] = inside[3, 0] = True  # three quarters
    np.testing.assert_array_equal(
        coarser(inside, (2, 3)), [[False, True, False], [True, False, True]]
    )
    # Rows and columns may shrink by different factors.
    np.testing.assert_array_equal(coarser(inside, (4, 2))[1], [False, False])
    assert coarser(inside, (4, 6)) is inside


def test_a_region_smaller_than_a_coarse_cell_is_kept() -> None:
    inside = np.zeros((8, 12), np.bool_)
    inside[5, 9] = True
    np.testing.assert_array_equal(np.argwhere(coarser(inside, (2, 3))), [[1, 2]])
    inside[4:6, 3] = True  # two cells of another block: only the fullest stays
    np.testing.assert_array_equal(np.argwhere(coarser(inside, (2, 3))), [[1, 0]])


@given(st.integers(1, 5), st.integers(1, 5), st.sampled_from([1, 2, 4]), st.integers(0, 999))
def test_a_coarser_mask_is_never_empty(rows: int, cols: int, times: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    inside = rng.random((rows * times, cols * times)) < 0.1
    inside[rng.integers(rows * times), rng.integers(cols * times)] = True
    found = coarser(inside, (rows, cols))
    assert found.shape == (rows, cols)
    assert found.any()
    blocks = inside.reshape(rows, times, cols, times).any(axis=(1, 3))
    assert not (found & ~blocks).any()


class FakeEngine:
    """Two views, of cells of 16 and 32 pixels, that know only the image's mean."""

    name = "fake"
    multiple = 32
    widths: Widths = ((2, 3), (4,))

    def __call__(self, image: UInt8Array) -> list[Float32Array]:
        height, width = image.shape[:2]
        mean = np.float32(image.mean())
        return [
            np.full((height // cell, width // cell, channels), mean, np.float32)
            for cell, channels in ((16, 5), (32, 4))
        ]


def test_reader_gives_every_view_on_its_own_grid() -> None:
    features = FeatureReader(FakeEngine()).read(np.full((320, 640, 3), 7, np.uint8))
    rows, cols = features.finest
    assert abs(rows * cols * 256 - 384**2) < 0.2 * 384**2
    assert cols > rows
    assert features.shapes == ((rows, cols), (rows // 2, cols // 2))
    assert [view.shape[2] for view in features.views] == [5, 4]
    for view in features.views:
        np.testing.assert_allclose(view, 7.0, rtol=1e-5)
    assert features.size_hw == (320, 640)


def test_the_finest_grid_is_found_wherever_it_stands() -> None:
    views = [np.zeros((rows, 2 * rows, 1), np.float32) for rows in (4, 8, 2)]
    assert Features(tuple(views), (64, 128)).finest == (8, 16)


class NearbyEngine:
    """Cells of 16 pixels as they are, and with the mean of those within four, zeros outside.

    A third view, of cells of 32 pixels, knows its own mean.
    """

    name = "nearby"
    multiple = 32
    widths: Widths = ((3,), (3,), (3,))

    def __init__(self) -> None:
        self.sizes_hw: list[tuple[int, ...]] = []

    def __call__(self, image: UInt8Array) -> list[Float32Array]:
        self.sizes_hw.append(image.shape[:2])
        height, width = image.shape[:2]
        cells = image.reshape(height // 16, 16, width // 16, 16, 3).mean((1, 3))
        around = np.pad(cells, ((4, 4), (4, 4), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(around, (9, 9), axis=(0, 1))
        coarse = cells.reshape(height // 32, 2, width // 32, 2, 3).mean((1, 3))
        views = (cells, windows.mean((3, 4)), coarse)
        return [np.ascontiguousarray(view, np.float32) for view in views]


@pytest.mark.parametrize("tiles", ["native", (2, 3), (3, 1), (1, 1)])
def test_tiles_give_the_grid_of_the_whole_image(tiles: tuple[int, int] | str) -> None:
    image = np.random.default_rng(0).integers(0, 255, (960, 1248, 3), np.uint8)
    engine = NearbyEngine()
    # A side at which the tiles together show the image at its own size.
    side = 2_000
    whole = FeatureReader(NearbyEngine(), side=side).read(image)
    tiled = FeatureReader(engine, side=side, tiles=tiles).read(image)  # type: ignore[arg-type]
    assert len(engine.sizes_hw) == (4 if tiles == "native" else tiles[0] * tiles[1])  # type: ignore[operator]
    assert len(set(engine.sizes_hw)) == 1
    assert tiled.shapes == whole.shapes == ((60, 78), (60, 78), (30, 39))
    assert tiled.size_hw == (960, 1248)
    for ours, theirs in zip(tiled.views, whole.views, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_tiles_look_closer_and_keep_the_places() -> None:
    image = np.zeros((800, 1200, 3), np.uint8)
    image[600:620, 300:320] = 255
    for tiles in (None, (2, 2), (3, 4), "native"):
        features = FeatureReader(NearbyEngine(), side=224, tiles=tiles).read(image)
        for view in (features.views[0], features.views[2]):
            rows, cols = view.shape[:2]
            row, col = np.unravel_index(view[..., 0].argmax(), (rows, cols))
            # The middle of the hottest cell lies on the spot, or within a cell of it.
            assert abs((row + 0.5) * 800 / rows - 610) <= 800 / rows
            assert abs((col + 0.5) * 1200 / cols - 310) <= 1200 / cols
        rows, cols = features.finest
        cells = {None: 196, (2, 2): 4 * 196, (3, 4): 12 * 196, "native": 50 * 75}[tiles]
        assert rows * cols == pytest.approx(cells, rel=0.15)


def test_tiled_features_of_the_default_network_are_near_those_of_the_whole() -> None:
    views = tuple(View((number,), number) for number in range(3))
    engine, _, _ = build_engine(BackboneSpec(views=views))
    image = images.part_pixels(3, height=416, width=640)
    whole = FeatureReader(engine, side=1_000).read(image)
    tiled = FeatureReader(engine, side=1_000, tiles=(2, 2)).read(image)
    for ours, theirs, most in zip(tiled.views, whole.views, (1e-3, 1e-2, 0.3), strict=True):
        spread = np.linalg.norm(theirs - theirs.mean((0, 1)), axis=2).mean()
        assert np.linalg.norm(ours - theirs, axis=2).max() < most * spread


@given(st.integers(1, 200), st.integers(1, 32), st.integers(0, 4))
def test_tiles_cover_each_step_once_and_are_equally_long(
    steps: int, count: int, margin: int
) -> None:
    spans = tile_spans(steps, count, margin=margin)
    assert len(spans) == min(steps, count)
    assert [step for span in spans for step in range(span.keep_from, span.keep_to)] == list(
        range(steps)
    )
    for span in spans:
        assert span.length == spans[0].length
        assert 0 <= span.start <= max(0, span.keep_from - margin)
        assert min(steps, span.keep_to + margin) <= span.start + span.length <= steps


@pytest.mark.parametrize("tiles", ["whole", (0, 2), (2,), (2, 2.0), (40, 1)])
def test_refuses_other_tiles(tiles: Any) -> None:
    with pytest.raises(DetectionError, match="tiles must be"):
        FeatureReader(FakeEngine(), tiles=tiles)


@pytest.mark.parametrize("shape", [(64, 64), (64, 64, 4)])
def test_refuses_what_is_not_rgb(shape: tuple[int, ...]) -> None:
    with pytest.raises(DetectionError, match="uint8"):
        FeatureReader(FakeEngine()).read(np.zeros(shape, np.uint8))
    with pytest.raises(DetectionError, match="uint8"):
        FeatureReader(FakeEngine()).read(np.zeros((64, 64, 3), np.uint16))
