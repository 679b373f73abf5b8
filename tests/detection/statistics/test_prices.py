import math
from dataclasses import replace
from typing import Any

import pytest

from detection.protocol import DetectionError
from detection.statistics import (
    Prices,
    cheapest_decision,
    defect_share,
    expected_cost,
    likelihood_ratio,
)

PRICES = Prices(miss=100, stop=5, review=0.5)


def test_decision_worked_example() -> None:
    decision = cheapest_decision(PRICES)
    assert decision.review_from == pytest.approx(0.00630915, abs=1e-8)
    assert decision.reject_from == pytest.approx(0.444444, abs=1e-6)
    assert decision.has_review_band
    assert likelihood_ratio(decision.review_from, 0.005) == pytest.approx(1.26349, abs=1e-5)
    assert likelihood_ratio(decision.reject_from, 0.005) == pytest.approx(159.2, abs=1e-6)


def test_cost_worked_example() -> None:
    cost = expected_cost(
        PRICES, 0.005, false_alarm_rates=(0.05, 0.001), detection_rates=(0.92, 0.45)
    )
    assert cost == pytest.approx(0.0871530, abs=1e-7)


@pytest.mark.parametrize("probability", [0.001, 0.0063, 0.0064, 0.1, 0.444, 0.445, 0.9])
@pytest.mark.parametrize("rejects_reviewed", [False, True])
def test_the_decision_is_the_cheapest_of_three(probability: float, rejects_reviewed: bool) -> None:
    prices = Prices(100, 5, 0.5, rejects_reviewed=rejects_reviewed)
    bad, good = probability, 1 - probability
    after = 0.5 if rejects_reviewed else 0.0
    costs = {
        "pass": bad * 100,
        "review": 0.5 + bad * 0.05 * 100 + good * 0.02 * 5,
        "reject": good * 5 + after,
    }
    decision = cheapest_decision(prices)
    told = "pass" if probability < decision.review_from else "review"
    told = "reject" if probability >= decision.reject_from else told
    assert told == min(costs, key=lambda name: costs[name])


def test_no_band_where_a_look_costs_too_much() -> None:
    assert not cheapest_decision(Prices(miss=10, stop=5, review=4.9)).has_review_band
    nothing = cheapest_decision(Prices(miss=0, stop=0, review=0))
    assert (nothing.review_from, nothing.reject_from) == (1.0, 1.0)
    assert cheapest_decision(Prices(miss=1, stop=1, review=50)).review_from == 1.0


def test_rejected_parts_that_are_reviewed_cost_a_look_more() -> None:
    rates: dict[str, tuple[float, float]] = {
        "false_alarm_rates": (0.05, 0.001), "detection_rates": (0.92, 0.45),
    }  # fmt: skip
    without = expected_cost(PRICES, 0.005, **rates)
    with_look = expected_cost(Prices(100, 5, 0.5, rejects_reviewed=True), 0.005, **rates)
    assert with_look - without == pytest.approx(0.5 * (0.005 * 0.45 + 0.995 * 0.001))


def test_share_of_defective_parts() -> None:
    # 57 found, 5,000 passed with y = .01466667, 5,083 seen.
    share = defect_share(confirmed=57, passed=5000, miss_rate=0.01466667, seen=5083)
    assert share == pytest.approx(130.33335 / 5083)
    for wrong in ({"confirmed": -1}, {"seen": 0}, {"seen": 50}):
        counts = {"confirmed": 57.0, "passed": 10.0, "miss_rate": 0.1, "seen": 100.0, **wrong}
        with pytest.raises(DetectionError, match="not a share"):
            defect_share(**counts)


@pytest.mark.parametrize(
    "wrong", [{"miss": -1}, {"stop": math.nan}, {"review": math.inf}, {"sensitivity": 1.1}]
)
def test_prices_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(DetectionError, match=next(iter(wrong))):
        replace(PRICES, **wrong)


def test_shares_that_make_no_sense() -> None:
    for prior in (0.0, 1.0, math.nan):
        with pytest.raises(DetectionError, match="defective parts"):
            likelihood_ratio(0.5, prior)
    with pytest.raises(DetectionError, match="probability"):
        likelihood_ratio(1.0, 0.5)
