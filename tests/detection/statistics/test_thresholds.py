"""The cheapest pair against a slow reference that tries every pair, its limits and its words."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.protocol import DetectionError
from detection.statistics import (
    DefectTail,
    Limits,
    LimitsConflictError,
    NormalTail,
    Prices,
    ReviewTime,
    ThresholdChoice,
    choose_thresholds,
    cost_of_pair,
    expected_cost,
)

PRICES = Prices(miss=100, stop=5, review=0.5)
PRIOR = 0.005


def tail(seed: int, *, normals: int = 200, defects: int = 20, shift: float = 2.5) -> DefectTail:
    rng = np.random.default_rng(seed)
    normal = NormalTail.of(rng.normal(size=normals))
    return DefectTail.of(rng.normal(size=defects) + shift, normal)


def every_pair(
    defects: DefectTail, prices: Prices, prior: float, limits: Limits, may_reject: bool
) -> dict[tuple[float, float], float]:
    """The cost of each pair of candidates that keeps the limits, one at a time."""
    candidates = sorted({*defects.normal.candidates().tolist(), *defects.scores.tolist()})
    g = dict(zip(candidates, defects.normal.above(candidates).tolist(), strict=True))
    d = dict(zip(candidates, defects.above(candidates).tolist(), strict=True))
    costs: dict[tuple[float, float], float] = {}
    for t1 in candidates:
        for t2 in candidates:
            if t2 < t1 or (not may_reject and t2 != np.inf):
                continue
            if limits.max_false_alarm_rate is not None and g[t1] > limits.max_false_alarm_rate:
                continue
            if limits.min_detection is not None and d[t1] < limits.min_detection:
                continue
            if limits.review_time is not None:
                looked = prior * d[t1] + (1 - prior) * g[t1]
                if not prices.rejects_reviewed:
                    looked -= prior * d[t2] + (1 - prior) * g[t2]
                time = limits.review_time
                left = time.minutes - time.audit_minutes
                if time.parts * looked * time.minutes_per_part > left + 1e-9:
                    continue
            costs[t1, t2] = expected_cost(
                prices, prior, false_alarm_rates=(g[t1], g[t2]), detection_rates=(d[t1], d[t2])
            )
    return costs


def pair_of(choice: ThresholdChoice) -> tuple[float, float]:
    return choice.review_from, math.inf if choice.reject_from is None else choice.reject_from


scores = st.lists(st.integers(-12, 16).map(lambda number: number / 4), min_size=1, max_size=14)
prices = st.builds(
    Prices,
    miss=st.integers(0, 300).map(float),
    stop=st.integers(0, 20).map(float),
    review=st.integers(0, 8).map(lambda number: number / 4),
    sensitivity=st.sampled_from([0.8, 0.95, 1.0]),
    specificity=st.sampled_from([0.9, 0.98, 1.0]),
    rejects_reviewed=st.booleans(),
)
limits = st.builds(
    Limits,
    max_false_alarm_rate=st.sampled_from([None, 0.0, 0.05, 0.4]),
    min_detection=st.sampled_from([None, 0.3, 0.7, 1.0]),
    review_time=st.sampled_from(
        [None, ReviewTime(1000, 60, 0.5), ReviewTime(1000, 10, 0.5, 9), ReviewTime(100, 5, 1, 6)]
    ),
)


@settings(deadline=None, max_examples=150)
@given(scores, scores | st.just([]), prices, st.sampled_from([0.001, 0.02, 0.3]), limits,
       st.booleans())  # fmt: skip
def test_it_is_the_cheapest_of_every_pair(
    normals: list[float],
    known: list[float],
    stakes: Prices,
    prior: float,
    kept: Limits,
    may_reject: bool,
) -> None:
    defects = DefectTail.of(known, NormalTail.of(normals))
    slow = every_pair(defects, stakes, prior, kept, may_reject)
    if not slow:
        with pytest.raises(LimitsConflictError):
            choose_thresholds(defects, stakes, prior=prior, limits=kept, may_reject=may_reject)
        return
    choice = choose_thresholds(defects, stakes, prior=prior, limits=kept, may_reject=may_reject)
    lowest = min(slow.values())
    assert choice.cost_per_part == pytest.approx(lowest, abs=1e-9)
    review_from, reject_from = pair_of(choice)
    again = cost_of_pair(
        defects, stakes, prior=prior, review_from=review_from, reject_from=choice.reject_from
    )
    # A readable number lies a little above its candidate, where the tail has fallen a little.
    assert again == pytest.approx(lowest, rel=1e-3, abs=1e-4)
    assert review_from <= reject_from
    best_by_first: dict[float, float] = {}
    for (t1, _), cost in slow.items():
        best_by_first[t1] = min(cost, best_by_first.get(t1, math.inf))
    saving = max(0.0, min(choice.cost_pass_all, choice.cost_review_all) - lowest)
    near = [t for t, cost in best_by_first.items() if cost <= lowest + 0.03 * saving + 1e-9]
    assert choice.plateau.low <= review_from <= choice.plateau.high
    for end, slow_end in ((choice.plateau.low, min(near)), (choice.plateau.high, max(near))):
        assert end == slow_end or 0 < end - slow_end <= 2.1e-5 * abs(slow_end) + 1e-300


@settings(deadline=None, max_examples=150)
@given(scores, scores | st.just([]), prices, limits, st.integers(1, 300))
def test_a_dearer_miss_never_raises_review_from(
    normals: list[float], known: list[float], stakes: Prices, kept: Limits, more: int
) -> None:
    defects = DefectTail.of(known, NormalTail.of(normals))
    dearer = Prices(
        stakes.miss + more, stakes.stop, stakes.review, stakes.sensitivity, stakes.specificity,
        stakes.rejects_reviewed,
    )  # fmt: skip
    try:
        before = choose_thresholds(defects, stakes, prior=0.02, limits=kept)
    except LimitsConflictError:
        return
    after = choose_thresholds(defects, dearer, prior=0.02, limits=kept)
    assert after.review_from <= before.review_from
    assert after.false_alarm_rate >= before.false_alarm_rate


def test_a_dearer_look_flags_less() -> None:
    rates = [
        choose_thresholds(tail(1), Prices(100, 5, review), prior=PRIOR).false_alarm_rate
        for review in (0.1, 0.5, 2.0, 20.0)
    ]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < rates[0]


def test_limits_are_kept_and_cost_something() -> None:
    defects = tail(2)
    free = choose_thresholds(defects, PRICES, prior=PRIOR)
    tight = choose_thresholds(
        defects, PRICES, prior=PRIOR, limits=Limits(max_false_alarm_rate=free.false_alarm_rate / 2)
    )
    assert tight.false_alarm_rate <= free.false_alarm_rate / 2
    assert tight.cost_per_part > free.cost_per_part
    assert tight.review_from > free.review_from
    keen = choose_thresholds(defects, PRICES, prior=PRIOR, limits=Limits(min_detection=0.97))
    assert keen.detection is not None
    assert keen.detection >= 0.97


@pytest.mark.parametrize(
    ("kept", "names"),
    [
        (Limits(review_time=ReviewTime(1000, 10, 1, audit_minutes=11)), ("review time",)),
        (Limits(max_false_alarm_rate=0.01, min_detection=0.99), ("false alarms", "detection")),
        (
            Limits(min_detection=0.99, review_time=ReviewTime(1000, 10, 1)),
            ("detection", "review time"),
        ),
        (
            Limits(0.01, 0.99, ReviewTime(1000, 900, 1)),
            ("false alarms", "detection"),
        ),
    ],
)
def test_conflicts_are_named(kept: Limits, names: tuple[str, ...]) -> None:
    with pytest.raises(LimitsConflictError) as caught:
        choose_thresholds(tail(3), PRICES, prior=PRIOR, limits=kept, may_reject=False)
    assert caught.value.names == names
    assert all(name in str(caught.value) for name in names)


def test_the_price_of_time() -> None:
    defects = tail(4)
    free = choose_thresholds(defects, PRICES, prior=PRIOR, may_reject=False)
    assert free.price_of_minute is None
    needed = 5000 * free.review_share * 0.5
    scarce = choose_thresholds(
        defects, PRICES, prior=PRIOR, may_reject=False,
        limits=Limits(review_time=ReviewTime(5000, needed / 2, 0.5)),
    )  # fmt: skip
    assert 5000 * scarce.review_share * 0.5 <= needed / 2
    assert scarce.price_of_minute is not None
    more = choose_thresholds(
        defects, PRICES, prior=PRIOR, may_reject=False,
        limits=Limits(review_time=ReviewTime(5000, needed / 2 + 1, 0.5)),
    )  # fmt: skip
    assert scarce.price_of_minute == pytest.approx(
        5000 * (scarce.cost_per_part - more.cost_per_part)
    )
    plenty = choose_thresholds(
        defects, PRICES, prior=PRIOR, limits=Limits(review_time=ReviewTime(5000, 1e6, 0.5))
    )
    assert plenty.price_of_minute == 0.0


@pytest.mark.parametrize(("n", "bound"), [(5, 0.549), (20, 0.861), (50, 0.942), (149, 0.980)])
def test_bound_of_detection_with_none_missed(n: int, bound: float) -> None:
    defects = DefectTail.of(np.full(n, 50.0), NormalTail.of(np.arange(20.0)))
    choice = choose_thresholds(defects, PRICES, prior=PRIOR)
    assert (choice.found, choice.known) == (n, n)
    assert choice.detection_at_least == pytest.approx(bound, abs=5e-4)


def test_without_defects_it_is_assumed_and_rejects_nothing() -> None:
    choice = choose_thresholds(tail(5, defects=0), PRICES, prior=PRIOR)
    assert choice.basis == "assumed"
    assert choice.reject_from is None
    assert choice.detection is None
    assert choice.detection_at_least is None
    assert choice.cautions[0].startswith("Assumed: no defect is known")
    forced = choose_thresholds(tail(5, defects=0), PRICES, prior=0.2, may_reject=True)
    assert forced.reject_from is not None
    assert "on that belief alone" in forced.cautions[1]


def test_few_defects_ask_for_more() -> None:
    assert choose_thresholds(tail(6, defects=5), PRICES, prior=PRIOR).basis == "few defects"
    one = choose_thresholds(tail(6, defects=1), PRICES, prior=PRIOR)
    assert one.cautions[0].startswith("Only 1 known defect: collect more")
    many = choose_thresholds(tail(6, defects=30), PRICES, prior=PRIOR)
    assert many.basis == "known defects"
    assert many.cautions == ("Chosen on these images: report cost and detection on others.",)


def test_where_nothing_pays() -> None:
    choice = choose_thresholds(tail(7), Prices(0.01, 5, 0.5), prior=PRIOR)
    assert choice.review_from == math.inf
    assert choice.false_alarm_rate == 0.0
    assert choice.to_json()["flags"] == "none"
    assert any("no threshold is cheaper" in caution for caution in choice.cautions)
    free = choose_thresholds(tail(7), Prices(100, 5, 0, 1.0, 1.0), prior=PRIOR, may_reject=False)
    assert free.review_from == -math.inf
    assert free.to_json()["flags"] == "all"
    assert free.review_share == 1.0


def test_a_pair_flags_at_or_above_its_numbers() -> None:
    defects = DefectTail.of([1.5, 3.0, 9.0], NormalTail.of([1.0, 1.5, 2.0, 2.5] * 10))
    choice = choose_thresholds(defects, PRICES, prior=PRIOR)
    every = [*defects.normal.scores.tolist(), *defects.scores.tolist()]
    assert choice.review_from not in every
    assert float(f"{choice.review_from:.6g}") == choice.review_from
    assert choice.found == sum(score >= choice.review_from for score in defects.scores)


def test_neighbours_closer_than_six_digits_stay_apart() -> None:
    base = 1.0
    normals = [base] * 40 + [base + 1e-9] * 2
    defects = DefectTail.of([base + 1e-9] * 30, NormalTail.of(normals))
    choice = choose_thresholds(defects, Prices(100, 5, 0.5, 1.0, 1.0), prior=0.05)
    assert base < choice.review_from <= base + 1e-9
    assert choice.found == 30


def test_miss_costs_by_type_move_the_pair() -> None:
    normal = NormalTail.of(np.random.default_rng(8).normal(size=300))
    known = [1.0] * 10 + [4.0] * 10
    cheap = DefectTail.of(known, normal, miss_costs=[1] * 10 + [100] * 10)
    dear = DefectTail.of(known, normal, miss_costs=[400] * 10 + [100] * 10)
    lax = choose_thresholds(cheap, PRICES, prior=PRIOR)
    strict = choose_thresholds(dear, PRICES, prior=PRIOR)
    assert strict.review_from < lax.review_from
    assert lax.found == 10
    assert strict.found == 20


def test_weights_take_the_bound_away() -> None:
    normal = NormalTail.of(np.arange(50.0))
    weighed = DefectTail.of([60.0, 30.0], normal, weights=[1, 20])
    choice = choose_thresholds(weighed, PRICES, prior=PRIOR)
    assert choice.detection_at_least is None
    assert choice.detection is not None


def test_as_json() -> None:
    data: dict[str, Any] = json.loads(
        json.dumps(choose_thresholds(tail(9), PRICES, prior=PRIOR).to_json(), allow_nan=False)
    )
    assert data["flags"] == "from"
    assert data["plateau"]["low"] <= data["review_from"] <= data["plateau"]["high"]
    assert data["saving_per_part"] > 0


def test_what_makes_no_sense() -> None:
    for prior in (0.0, 1.0, math.nan):
        with pytest.raises(DetectionError, match="defective parts"):
            choose_thresholds(tail(0), PRICES, prior=prior)
    with pytest.raises(DetectionError, match="not a share"):
        Limits(max_false_alarm_rate=1.5)
    with pytest.raises(DetectionError, match="Review time"):
        ReviewTime(0, 10, 1)
    with pytest.raises(DetectionError, match="below review_from"):
        cost_of_pair(tail(0), PRICES, prior=PRIOR, review_from=2.0, reject_from=1.0)
    with pytest.raises(DetectionError, match="below review_from"):
        cost_of_pair(tail(0), PRICES, prior=PRIOR, review_from=math.nan, reject_from=None)


def test_thousands_of_scores() -> None:
    defects = tail(10, normals=20_000, defects=2_000)
    choice = choose_thresholds(
        defects, PRICES, prior=PRIOR, limits=Limits(review_time=ReviewTime(5000, 30, 0.5))
    )
    assert choice.saving_per_part > 0
    assert 5000 * choice.review_share * 0.5 <= 30
