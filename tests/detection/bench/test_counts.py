"""What the vision core may cost, in counts that are the same on every machine; never seconds.

A bound that breaks is a question: raise it only with a reason in the commit.
"""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from detection.bench.plan import Plan
from detection.bench.vectors import drawn_set
from detection.coreset import farthest_first
from detection.model import Model, fit_model, save_model
from detection.search import ExactSearch, available_kinds
from tests import images
from tests.detection.conftest import SMALL

SMALL_SETS = Plan(coreset_rows=8_000, queries=200)
HEIGHT, WIDTH = 160, 224


class CountedFiles:
    """Images by number, as files are, counting each time one is decoded."""

    def __init__(self, count: int) -> None:
        self.decoded = [0] * count

    def __len__(self) -> int:
        return len(self.decoded)

    def __iter__(self) -> Iterator[images.UInt8Array]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> images.UInt8Array:
        self.decoded[number] += 1
        return images.part_pixels(number, height=HEIGHT, width=WIDTH)


@pytest.mark.parametrize(("name", "most"), [("easy", 0.85), ("hard", 1.0)])
def test_distances_of_a_coreset(name: str, most: float) -> None:
    normals = drawn_set(name, SMALL_SETS).normals
    chosen = farthest_first(normals, 800, rng=np.random.default_rng(0))
    assert len(chosen.picks) == 800
    assert chosen.evaluations <= most * 800 * len(normals)
    assert chosen.measured <= 0.012 * chosen.evaluations


@pytest.mark.parametrize(("name", "most"), [("easy", 0.08), ("hard", 1.03)])
def test_distances_of_a_clustered_search(name: str, most: float) -> None:
    if "clustered" not in available_kinds():
        pytest.skip("numba is not installed")
    vectors = drawn_set(name, SMALL_SETS)
    bank = vectors.normals[:4_000]
    search = ExactSearch(bank, kind="clustered")
    search.nearest(vectors.queries)
    assert search.evaluations <= most * len(bank) * len(vectors.queries)


def test_a_fit_decodes_each_image_once_and_so_does_a_score() -> None:
    files = CountedFiles(20)  # enough to hold some out: fewer are read anew to be left out
    model = fit_model(files, ids=[str(number) for number in range(20)], config=SMALL, seed=1)
    assert files.decoded == [1] * 20
    files.decoded = [0] * 20
    assert len(list(model.score_many(files))) == 20
    assert files.decoded == [1] * 20


def test_bytes_of_a_model(small_model: Model, tmp_path: Path) -> None:
    save_model(small_model, tmp_path / "model")
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "model").iterdir()}
    network = sizes.pop("backbone.safetensors", 0)
    assert network < 10_300_000  # the network's weights in float32, and its graph
    channels, bytes_each = 152 + 152 + 192, 4
    assert sum(sizes.values()) < SMALL["bank_size"] * channels * bytes_each + 400_000


def test_memory_of_a_score(small_model: Model) -> None:
    image = images.part_pixels(9, height=HEIGHT, width=WIDTH)
    small_model.score(image)
    tracemalloc.start()
    try:
        result = small_model.score(image)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert result.map.nbytes < kept < result.map.nbytes + 50_000
    # The grids of three views and the products of one with its bank; what libraries allocate
    # outside of Python is not counted.
    assert peak < 3_000_000
