import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection.image_scores import (
    ImageStandard,
    fit_image_standard,
    reweighted_score,
    top_mean,
)

FINITE = st.floats(-50.0, 500.0)


def test_top_mean_by_hand() -> None:
    cells = np.arange(100, dtype=np.float32).reshape(4, 25)
    assert top_mean(cells, keep=0.03) == 98.0
    assert top_mean(cells, keep=0.001) == 99.0
    assert top_mean(cells, keep=1.0) == 49.5
    with pytest.raises(ValueError, match="keep"):
        top_mean(cells, keep=0.0)
    with pytest.raises(ValueError, match="cells"):
        top_mean(cells[:0], keep=0.5)


@given(st.lists(st.integers(-99, 99), min_size=1, max_size=60), st.floats(0.01, 1.0))
def test_top_mean_is_that_of_the_sorted_cells(cells: list[int], keep: float) -> None:
    count = max(1, round(keep * len(cells)))
    expected = math.fsum(sorted(cells)[-count:]) / count
    assert top_mean(np.array(cells, np.float32), keep=keep) == pytest.approx(expected)


def standard(*centre: float, scale: float = 1.0) -> ImageStandard:
    return ImageStandard(np.array(centre), np.full(len(centre), scale))


def test_one_view_is_its_own_standard_deviation() -> None:
    usual = ImageStandard(np.array([3.0]), np.array([0.5]))
    for mean, z in ((3.0, 0.0), (4.0, 2.0), (1.0, -4.0)):
        score, view = usual.score(np.array([mean]))
        assert score == pytest.approx(z, abs=1e-12)
        assert view == 0


def test_views_that_agree_score_as_one() -> None:
    for z in (-3.0, 0.0, 7.0):
        assert standard(1.0, 2.0, 5.0).score(np.array([1.0, 2.0, 5.0]) + z)[0] == pytest.approx(z)


def test_the_soft_maximum_lies_between_the_mean_and_the_largest() -> None:
    z = np.array([0.0, 4.0, 1.0])
    score, view = standard(0.0, 0.0, 0.0).score(z)
    assert z.mean() < score < z.max()
    assert view == 1
    # One view alone far out: it speaks, less a constant, however far that is.
    far = [standard(0.0, 0.0, 0.0).score(np.array([0.0, 1e6 * k, 0.0]))[0] for k in (1, 2)]
    assert far[1] - far[0] == pytest.approx(1e6)
    assert 1e6 - far[0] < 10


def test_what_is_less_than_usual_is_not_clipped() -> None:
    low = standard(0.0, 0.0).score(np.array([-8.0, -9.0]))[0]
    lower = standard(0.0, 0.0).score(np.array([-80.0, -90.0]))[0]
    assert -90 < lower < low < -8


@given(st.lists(FINITE, min_size=1, max_size=4), st.integers(0, 3), st.floats(0.1, 100.0))
def test_the_score_rises_with_every_view(means: list[float], at: int, more: float) -> None:
    usual = standard(*[0.0] * len(means), scale=2.0)
    oddest = usual.score(np.array(means))
    means[at % len(means)] += more
    assert usual.score(np.array(means))[0] >= oddest[0]
    # All alike by so many deviations: the score by just as many.
    assert usual.score(np.array(means) + 6.0)[0] == pytest.approx(
        usual.score(np.array(means))[0] + 3.0, abs=1e-9
    )


def test_the_standard_is_median_and_median_deviation() -> None:
    # A hundred thousand images need no help: 1.4826 median deviations.
    means = np.random.default_rng(0).normal((4.0, -1.0), (2.0, 0.5), (100_000, 2))
    found = fit_image_standard(means)
    np.testing.assert_allclose(found.centre, [4.0, -1.0], atol=0.02)
    np.testing.assert_allclose(found.scale, [2.0, 0.5], rtol=0.02)


def test_one_odd_normal_moves_little() -> None:
    means = np.random.default_rng(0).normal(4.0, 1.0, (41, 2))
    clean = fit_image_standard(means)
    means[7] = 1e6
    spoiled = fit_image_standard(means)
    np.testing.assert_allclose(spoiled.centre, clean.centre, atol=0.2)
    np.testing.assert_allclose(spoiled.scale, clean.scale, rtol=0.2)


def test_few_images_borrow_from_what_all_views_show() -> None:
    # Median deviations 1 and 3 in three images: variances 1 and 9 times 1.4826 squared.
    means = np.array([[-1.0, -3.0], [0.0, 0.0], [1.0, 3.0]])
    shared = (1.0 + 9.0) / 2
    expected = 1.4826 * np.sqrt((3 * np.array([1.0, 9.0]) + 10 * shared) / 13)
    np.testing.assert_allclose(fit_image_standard(means).scale, expected)
    # The same seen three hundred times over stands by itself.
    many = fit_image_standard(np.repeat(means, 300, axis=0)).scale
    np.testing.assert_allclose(many, 1.4826 * np.array([1.0, 3.0]), rtol=0.03)


def test_images_that_all_score_alike_keep_a_finite_standard() -> None:
    for means in (np.zeros((5, 3)), np.full((5, 3), 200.0), np.full((2, 1), -7.0)):
        found = fit_image_standard(means)
        assert (found.scale >= 0.01).all()
        np.testing.assert_array_equal(found.centre, means[0])
        score, _ = found.score(means[0] + 0.001)
        assert np.isfinite(score)
    # A hundredth of the size, so that rounding in a large figure is no oddness.
    assert fit_image_standard(np.full((5, 3), 200.0)).scale == pytest.approx(2.0)


def test_reweighted_score_by_hand() -> None:
    # The cell lies at 3; its neighbour at 0 has others at 4 and 10 around it.
    bank = np.array([[0.0], [4.0], [10.0]], np.float32)
    distances = np.array([0.5, 3.0], np.float32)
    apart = np.array([3.0, 1.0, 7.0])
    weight = 1 - math.exp(3.0) / np.exp(apart).sum()
    score = reweighted_score(distances, np.array([3.0], np.float32), 0, bank)
    assert score == pytest.approx(3.0 * weight)


def test_reweighting_looks_at_nine_neighbours_and_bears_large_distances() -> None:
    bank = np.arange(20, dtype=np.float32)[:, None] * 1000
    features = np.array([-5000.0], np.float32)
    distances = np.array([5000.0], np.float32)
    apart = 5000.0 + 1000.0 * np.arange(9)
    weight = 1 - math.exp(5000.0 - apart.max()) / np.exp(apart - apart.max()).sum()
    score = reweighted_score(distances, features, 0, bank)
    assert score == pytest.approx(5000.0 * weight)
    assert 0 <= score <= 5000.0
