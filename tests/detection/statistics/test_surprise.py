import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import betainc
from scipy.stats import betabinom, norm

from detection.statistics import (
    false_alarm_range,
    first_threshold,
    largest_rank,
    largest_rank_with_promise,
    lot_design_effect,
    normals_needed,
    rate_at_most,
    surprise,
    surprise_of_new_lot,
)

NORMALS = [1.6, 0.9, 1.1, 1.2, 1.3, 1.5, 1.8, 2.0, 2.4]


def test_surprise_worked_example() -> None:
    np.testing.assert_allclose(surprise([0.5, 1.6, 2.1, 3.0], NORMALS), [1.0, 0.5, 0.2, 0.1])


def test_surprise_keeps_the_shape_and_refuses_nan() -> None:
    assert surprise(np.zeros((2, 3)), NORMALS).shape == (2, 3)
    assert surprise(1.0, []).item() == 1.0
    with pytest.raises(ValueError, match="NaN"):
        surprise([np.nan], NORMALS)


@settings(deadline=None)  # no test asserts a time
@given(
    st.lists(st.integers(-5, 5).map(float), max_size=30),
    st.lists(st.integers(-6, 6).map(float), min_size=1, max_size=5),
)
def test_surprise_agrees_with_counting(normals: list[float], scores: list[float]) -> None:
    slow = [(1 + sum(s >= score for s in normals)) / (len(normals) + 1) for score in scores]
    np.testing.assert_allclose(surprise(scores, normals), slow)


@pytest.mark.parametrize(
    ("level", "needed"),
    [
        (0.01, {1: 299, 2: 473, 3: 628, 5: 913, 10: 1568, 20: 2784}),
        (0.05, {1: 59, 2: 93, 3: 124, 5: 181, 10: 311, 20: 554}),
        (0.001, {1: 2995, 2: 4742, 3: 6294, 5: 9151, 10: 15702, 20: 27875}),
    ],
)
def test_normals_needed_table(level: float, needed: dict[int, int]) -> None:
    for rank, n in needed.items():
        assert normals_needed(level, rank=rank) == n
        assert largest_rank_with_promise(level, n) == rank
        assert largest_rank_with_promise(level, n - 1) == rank - 1


def test_promise_values() -> None:
    assert betainc(1, 299, 0.01) == pytest.approx(0.950464, abs=1e-6)
    assert betainc(5, 496, 0.01) == pytest.approx(0.560389, abs=1e-6)
    assert rate_at_most(5, 500) == pytest.approx(0.0182128, abs=1e-7)
    assert rate_at_most(1, 100) == pytest.approx(0.0295, abs=1e-4)


@pytest.mark.parametrize(("level", "n", "rank"), [(0.01, 98, 0), (0.01, 99, 1), (0.29, 99, 29)])
def test_plain_rank(level: float, n: int, rank: int) -> None:
    assert largest_rank(level, n) == rank


def test_lots_that_differ_make_normals_count_less() -> None:
    lots = [k // 30 for k in range(300)]
    rng = np.random.default_rng(0)
    alike = rng.normal(size=300)
    differing = alike + 2 * np.repeat(rng.normal(size=10), 30)
    assert lot_design_effect(list(alike), lots) < 2
    assert lot_design_effect(list(differing), lots) > 5
    assert lot_design_effect(list(alike), list(range(300))) == 1
    assert lot_design_effect(list(alike), ["one"] * 300) == 1


def test_design_effect_by_hand() -> None:
    # Two lots of 10; the only two above the 90 % quantile lie in the second. Means 0 and .2,
    # between 20 * .1**2 / 1 = .2, within (.8**2 * 2 + .2**2 * 8) / 18 = .0888889,
    # ICC = .1111111 / (.2 + 9 * .0888889) = .1111111, m = 10.
    scores = [float(k) for k in range(20)]
    assert lot_design_effect(scores, [0] * 10 + [1] * 10) == pytest.approx(1 + 9 * 0.1111111)


def test_design_effect_lowers_the_promised_rank() -> None:
    assert largest_rank_with_promise(0.01, 2784, design_effect=4) < 20


def test_first_threshold_with_a_promise() -> None:
    scores = np.arange(500, dtype=float)
    first = first_threshold(scores, kind="held-out images")
    assert first.promise
    assert first.rank == 2
    assert first.review_from > 498
    assert (scores >= first.review_from).sum() == (scores > first.review_from).sum() == 1
    assert first.sentence == (
        "Promise, from 500 held-out normals: at most 1 % of good parts flagged, "
        "with 95 % confidence."
    )


def test_first_threshold_flags_exactly_small_surprise() -> None:
    scores = np.random.default_rng(1).normal(size=250)
    first = first_threshold(scores, kind="held-out images")
    tried = np.random.default_rng(2).normal(size=2000) * 1.5
    np.testing.assert_array_equal(tried >= first.review_from, surprise(tried, scores) <= 0.01)


def test_first_threshold_with_too_few_normals() -> None:
    first = first_threshold([1.0, 3.0, 2.0], kind="held-out images")
    assert not first.promise
    assert first.rank == 1
    assert first.expected_rate == 0.25
    assert first.review_from == 3.00001
    assert first.sentence.startswith("No promise: 3 held-out normals, 299 are needed for 1 %.")


@pytest.mark.parametrize(
    ("kind", "lots", "words"),
    [
        ("left-out images", 0, "No promise, an estimate"),
        ("held-out lots", 3, "No promise: 3 lots or days seen, 10 are needed"),
        ("held-out lots", 1, "No promise: 1 lot or day seen"),
    ],
)
def test_first_threshold_without_the_right_to_promise(kind: str, lots: int, words: str) -> None:
    first = first_threshold(np.arange(1000.0), kind=kind, lots=lots)
    assert not first.promise
    assert first.rank == 10
    assert first.sentence.startswith(words)


def test_first_threshold_needs_scores() -> None:
    with pytest.raises(ValueError, match="needs scores"):
        first_threshold([], kind="held-out images")


def test_promise_is_kept_over_calibrations() -> None:
    # 2,000 calibrations of 473 normals: the share whose true rate is above 1 % must stay
    # near 5 % (3 sd of simulation: 1.5 points).
    rng = np.random.default_rng(20261)
    uniform = np.sort(rng.random((2000, 473)), axis=1)
    rank = largest_rank_with_promise(0.01, 473)
    realised = 1 - uniform[:, -rank]
    assert (realised > 0.01).mean() < 0.065


@given(st.floats(min_value=1e-6, max_value=1e6), st.sampled_from([-1.0, 1.0]))
def test_the_first_threshold_is_short_and_just_above_the_normal(size: float, sign: float) -> None:
    score = sign * size
    first = first_threshold([score], kind="held-out images")
    assert score < first.review_from <= score + abs(score) * 2.1e-5
    assert float(f"{first.review_from:.6g}") == first.review_from


LOTS: dict[str, list[float]] = {"a": [1, 2, 3, 4], "b": [2, 5], "c": [1, 1.5, 2.5]}


def test_surprise_of_a_new_lot_worked_example() -> None:
    scores = [score for of_lot in LOTS.values() for score in of_lot]
    lots = [name for name, of_lot in LOTS.items() for _ in of_lot]
    told = surprise_of_new_lot([2.5, 0.0, 9.0], scores, lots)
    np.testing.assert_allclose(told, [0.583333, 1.0, 0.25], atol=1e-6)


@given(
    st.lists(st.tuples(st.integers(-4, 4), st.integers(0, 3)), min_size=1, max_size=25),
    st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=4),
)
def test_surprise_of_a_new_lot_agrees_with_counting(
    pairs: list[tuple[int, int]], scores: list[float]
) -> None:
    lots = {lot: [score for score, of in pairs if of == lot] for _, lot in pairs}
    slow = [
        (1 + sum(float(np.mean(np.array(of_lot) >= score)) for of_lot in lots.values()))
        / (len(lots) + 1)
        for score in scores
    ]
    fast = surprise_of_new_lot(scores, [score for score, _ in pairs], [lot for _, lot in pairs])
    np.testing.assert_allclose(fast, slow)


def test_surprise_of_a_new_lot_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="NaN"):
        surprise_of_new_lot(1.0, [np.nan], ["a"])
    with pytest.raises(ValueError, match="differ in number"):
        surprise_of_new_lot(1.0, [1.0], [])


def test_lots_are_named_where_they_take_the_promise() -> None:
    told = first_threshold(np.arange(400.0), kind="held-out lots", lots=20, design_effect=4.0)
    assert not told.promise
    assert told.design_effect == 4.0
    assert told.sentence == (
        "No promise: 400 held-out normals of 20 lots or days, as good as 100 independent, "
        "299 are needed for 1 %. With these, below 3 % of good parts are flagged, "
        "with 95 % confidence."
    )
    kept = first_threshold(np.arange(2000.0), kind="held-out lots", lots=40, design_effect=4.0)
    assert kept.promise
    assert kept.sentence == (
        "Promise, from 2000 held-out normals of 40 lots or days, as good as 500 independent "
        "ones: at most 1 % of good parts flagged, with 95 % confidence. "
        "A single new lot may show more."
    )


def test_the_promise_holds_over_lots() -> None:
    # 300 calibrations of 30 lots x 20 with a lot effect (ICC .3 of the scores), 2 % promised:
    # at least 93 % hold; one sd of the simulation is 1.3 points, the study found .963.
    rng = np.random.default_rng(20274)
    lots = np.repeat(np.arange(30), 20).tolist()
    held = 0
    for _ in range(300):
        scores = np.sqrt(0.3) * np.repeat(rng.normal(size=30), 20)
        scores = scores + np.sqrt(0.7) * rng.normal(size=600)
        told = first_threshold(
            scores,
            kind="held-out lots",
            lots=30,
            design_effect=lot_design_effect(list(scores), lots),
            level=0.02,
        )
        held += bool(told.promise) <= bool(norm.sf(told.review_from) <= 0.02)
    assert held >= 0.93 * 300


def test_false_alarms_that_are_usual() -> None:
    assert false_alarm_range(5, 500, 2000) == (5, 43)
    for rank, n, parts in ((1, 18, 18), (3, 628, 100_000), (1, 5, 0), (10, 99, 7)):
        slow = betabinom.ppf([0.025, 0.975], parts, rank, n + 1 - rank)
        assert false_alarm_range(rank, n, parts) == tuple(slow.astype(int))
    plain, wide = false_alarm_range(5, 500, 2000), false_alarm_range(5, 500, 2000, design_effect=4)
    assert wide[0] <= plain[0]
    assert wide[1] > plain[1]


def test_false_alarms_that_contradict_the_calibration() -> None:
    first = first_threshold(np.arange(18.0), kind="held-out images")
    assert first.is_contradicted_by(15, 18)
    assert not first.is_contradicted_by(2, 18)
    assert not first.is_contradicted_by(0, 0)
