import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection.features import (
    FeatureReader,
    cells_inside,
    check_polygon,
    pool_grid,
    working_size,
)
from detection.protocol import DetectionError, Float32Array, UInt8Array


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


def test_pooling_is_a_mean_cut_at_the_edges() -> None:
    grid = np.arange(12, dtype=np.float32).reshape(3, 4, 1)
    pooled = pool_grid(grid, 3)[..., 0]
    assert pooled[1, 1] == pytest.approx(grid[0:3, 0:3].mean())
    assert pooled[0, 3] == pytest.approx(grid[0:2, 2:4].mean())
    assert pool_grid(grid, 1) is grid


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


class FakeEngine:
    """Three layers of cells of 16 pixels that know only the image's mean."""

    name = "fake"
    multiple = 32

    def __call__(self, image: UInt8Array) -> list[Float32Array]:
        height, width = image.shape[:2]
        mean = np.float32(image.mean())
        return [
            np.full((height // 16, width // 16, channels), mean, np.float32)
            for channels in (2, 3, 4)
        ]


def test_reader_brings_all_layers_to_one_grid() -> None:
    grid = FeatureReader(FakeEngine()).read(np.full((320, 640, 3), 7, np.uint8))
    rows, cols = grid.shape
    assert (rows, cols) == (16, 34) or abs(rows * cols * 256 - 384**2) < 0.2 * 384**2
    assert cols > rows
    assert grid.joined().shape == (rows, cols, 9)
    np.testing.assert_allclose(grid.joined(), 7.0, rtol=1e-5)
    assert grid.size_hw == (320, 640)


@pytest.mark.parametrize("shape", [(64, 64), (64, 64, 4)])
def test_refuses_what_is_not_rgb(shape: tuple[int, ...]) -> None:
    with pytest.raises(DetectionError, match="uint8"):
        FeatureReader(FakeEngine()).read(np.zeros(shape, np.uint8))
    with pytest.raises(DetectionError, match="uint8"):
        FeatureReader(FakeEngine()).read(np.zeros((64, 64, 3), np.uint16))
