import numpy as np
import pytest

from detection.search import ExactSearch, paired_distances


def test_same_neighbours_as_faiss_flat() -> None:
    faiss = pytest.importorskip("faiss")
    rng = np.random.default_rng(0)
    bank = rng.normal(size=(3000, 40)).astype(np.float32)
    queries = rng.normal(size=(1500, 40)).astype(np.float32)  # more than one block
    index = faiss.IndexFlatL2(40)
    index.add(bank)
    squares, expected = index.search(queries, 1)
    distances, nearest = ExactSearch(bank).nearest(queries)
    np.testing.assert_array_equal(nearest, expected[:, 0])
    np.testing.assert_allclose(distances, np.sqrt(squares[:, 0]), rtol=1e-4)


def test_distances_are_exact_even_far_from_the_origin() -> None:
    rng = np.random.default_rng(1)
    bank = (rng.normal(size=(50, 8)) + 100).astype(np.float32)
    distances, nearest = ExactSearch(bank).nearest(bank)
    np.testing.assert_array_equal(distances, np.zeros(50, np.float32))
    np.testing.assert_array_equal(nearest, np.arange(50))


def test_only_allowed_vectors_answer() -> None:
    bank = np.array([[0.0, 0.0], [1.0, 0.0], [5.0, 0.0]], np.float32)
    search = ExactSearch(bank)
    allowed = np.array([False, True, True])
    distances, nearest = search.nearest(np.zeros((1, 2), np.float32), allowed=allowed)
    assert (float(distances[0]), int(nearest[0])) == (1.0, 1)
    with pytest.raises(ValueError, match="no bank vector"):
        search.nearest(bank, allowed=np.zeros(3, np.bool_))


def test_paired_distances_by_hand() -> None:
    left = np.array([[0.0, 0.0], [1.0, 1.0]], np.float32)
    right = np.array([[3.0, 4.0], [1.0, 1.0]], np.float32)
    np.testing.assert_array_equal(paired_distances(left, right), np.array([5.0, 0.0], np.float32))


def test_refuses_an_empty_bank() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        ExactSearch(np.empty((0, 3), np.float32))
