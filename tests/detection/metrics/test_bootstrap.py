import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from detection.metrics import auroc, average_precision, image_intervals
from detection.metrics.bootstrap import RankedScores, percentile_interval, stratified_draws
from detection.protocol import BoolArray, Float64Array
from detection.statistics import clopper_pearson


@settings(deadline=None)  # no test asserts a time
@given(
    st.lists(
        st.tuples(st.integers(-3, 3), st.booleans(), st.integers(1, 4)), min_size=2, max_size=30
    ).filter(lambda rows: len({defect for _, defect, _ in rows}) == 2)
)
def test_weighted_figures_are_those_of_repeated_images(rows: list[tuple[int, bool, int]]) -> None:
    scores = np.array([score for score, _, _ in rows], dtype=np.float64)
    is_defect = np.array([defect for _, defect, _ in rows])
    times = np.array([count for _, _, count in rows])
    ranked = RankedScores(scores, is_defect)
    repeated, labels = np.repeat(scores, times), np.repeat(is_defect, times)
    weights = times[None].astype(np.float64)
    assert ranked.auroc(weights)[0] == pytest.approx(reference.roc_auc_score(labels, repeated))
    assert ranked.average_precision(weights)[0] == pytest.approx(
        reference.average_precision_score(labels, repeated)
    )
    once = np.ones((1, scores.size))
    assert ranked.auroc(once)[0] == pytest.approx(auroc(scores, is_defect))
    assert ranked.average_precision(once)[0] == pytest.approx(average_precision(scores, is_defect))


def test_images_that_were_not_drawn_do_not_count() -> None:
    # Defects 3 and 1, normals 2 and 0; drawn: the defect 1 and the normal 0, twice each.
    ranked = RankedScores(np.array([3.0, 1, 2, 0]), np.array([True, True, False, False]))
    times = np.array([[0.0, 2, 0, 2], [0, 2, 2, 0], [2, 0, 1, 1]])
    assert ranked.auroc(times).tolist() == [1, 0, 1]
    assert ranked.average_precision(times).tolist() == [1, 0.5, 1]


def test_draws_keep_the_size_of_each_stratum() -> None:
    strata = np.array([True, False, False, True, False])
    times = np.concatenate(
        list(stratified_draws(strata, rng=np.random.default_rng(1), draws=2_000))
    )
    assert times.shape == (2_000, 5)
    assert (times[:, strata].sum(axis=1) == 2).all()
    assert (times[:, ~strata].sum(axis=1) == 3).all()
    assert times.mean(axis=0) == pytest.approx(np.ones(5), abs=0.1)


def _noisy(n: int, seed: int) -> tuple[Float64Array, BoolArray]:
    rng = np.random.default_rng(seed)
    is_defect = np.arange(n) % 3 == 0
    return rng.normal(size=n) + 1.5 * is_defect, is_defect


def test_intervals_agree_with_a_slow_bootstrap() -> None:
    scores, is_defect = _noisy(90, seed=4)
    intervals = image_intervals(scores, is_defect, rng=np.random.default_rng(0))
    rng = np.random.default_rng(1)
    slow: dict[str, list[float]] = {"image_auroc": [], "image_ap": []}
    for _ in range(400):
        picked = np.concatenate(
            [
                rng.choice(np.flatnonzero(is_defect == kind), (is_defect == kind).sum())
                for kind in (0, 1)
            ]
        )
        labels, values = is_defect[picked], scores[picked]
        slow["image_auroc"].append(reference.roc_auc_score(labels, values))
        slow["image_ap"].append(reference.average_precision_score(labels, values))
    for name, values in slow.items():
        interval = intervals[name]
        assert interval is not None
        assert interval == pytest.approx(np.quantile(values, (0.025, 0.975)), abs=0.03)
        assert interval.low < interval.high


def test_same_seed_same_interval() -> None:
    scores, is_defect = _noisy(50, seed=2)
    first, again, other = (
        image_intervals(scores, is_defect, rng=np.random.default_rng(seed)) for seed in (7, 7, 8)
    )
    assert first == again
    assert first != other


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    # Two normal distributions 1.5 apart: the true AUROC is Phi(1.5 / sqrt 2) = .8556.
    held = 0
    for seed in range(200):
        scores, is_defect = _noisy(120, seed=seed)
        rng = np.random.default_rng(seed)
        interval = image_intervals(scores, is_defect, rng=rng, draws=300)["image_auroc"]
        assert interval is not None
        held += interval.low <= 0.8556 <= interval.high
    assert 178 <= held <= 199  # nominal 190; a percentile interval of 40 defects is a bit short


def test_a_perfect_auroc_gets_the_exact_interval_of_its_pairs() -> None:
    scores = np.arange(60.0)
    intervals = image_intervals(scores, scores >= 40, rng=np.random.default_rng(0))
    # 20 disjoint pairs, all in order: 20 of 20.
    assert intervals["image_auroc"] == clopper_pearson(20, 20)
    assert intervals["image_auroc"] == pytest.approx((0.831567, 1), abs=1e-6)
    assert intervals["image_ap"] is None


def test_one_kind_alone_has_no_interval() -> None:
    rng = np.random.default_rng(0)
    nothing = {"image_auroc": None, "image_ap": None}
    assert image_intervals([1.0, 2.0], [True, True], rng=rng) == nothing
    assert image_intervals([], [], rng=rng) == nothing
    assert percentile_interval(np.full(5, np.nan)) is None
    with pytest.raises(ValueError, match="NaN"):
        image_intervals([np.nan, 1], [True, False], rng=rng)
