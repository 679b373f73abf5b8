import numpy as np
import pytest

from detection.protocol import DetectionError, Float32Array
from detection.search import ApproximateSearch, ExactSearch

pytest.importorskip("faiss")


@pytest.fixture
def bank() -> Float32Array:
    return np.random.default_rng(0).normal(size=(600, 20)).astype(np.float32)


def test_all_lists_probed_is_exact(bank: Float32Array) -> None:
    queries = np.random.default_rng(1).normal(size=(80, 20)).astype(np.float32)
    search = ApproximateSearch(bank, lists=12, probes=12)
    distances, nearest = search.nearest(queries)
    expected = ExactSearch(bank).nearest(queries)
    np.testing.assert_array_equal(distances, expected[0])
    np.testing.assert_array_equal(nearest, expected[1])
    error = search.error_on(queries)
    assert (error.other_winners, error.median, error.largest) == (0.0, 0.0, 0.0)


def test_its_error_is_what_the_exact_search_says(bank: Float32Array) -> None:
    queries = np.random.default_rng(1).normal(size=(80, 20)).astype(np.float32)
    search = ApproximateSearch(bank, lists=40, probes=1)
    error = search.error_on(queries)
    given, exact = search.nearest(queries), ExactSearch(bank).nearest(queries)
    ratio = given[0].astype(np.float64) / exact[0] - 1
    assert error.other_winners == pytest.approx((given[1] != exact[1]).mean())
    assert error.other_winners > 0.2
    assert error.largest == pytest.approx(ratio.max())
    assert error.median == pytest.approx(np.median(ratio))


def test_a_query_whose_lists_may_not_answer_is_searched_exactly(bank: Float32Array) -> None:
    allowed = np.zeros(600, np.bool_)
    allowed[17] = True
    distances, nearest = ApproximateSearch(bank, lists=40, probes=1).nearest(
        bank[:30], allowed=allowed
    )
    assert nearest.tolist() == [17] * 30
    assert distances[17] == 0.0


def test_refuses_bad_numbers_and_values(bank: Float32Array) -> None:
    with pytest.raises(ValueError, match="probes"):
        ApproximateSearch(bank, lists=4, probes=5)
    with pytest.raises(DetectionError, match="not a finite"):
        ApproximateSearch(np.full((4, 3), np.nan, np.float32), lists=1, probes=1)
