"""Numbers from counts: the hand-worked cases of the statistics page."""

from datetime import UTC, datetime

import pytest

from inspection.models import Policy
from review.estimates import misses_of, numbers_of, poisson_interval
from review.selectors.shift import COMPLETED, SET_ASIDE, Answered, Audits, Counts, Flow

AT = datetime(2026, 11, 23, 11, tzinfo=UTC)


def example() -> Counts:
    """Return example A: four bands, 120 audits, 4 misses; 83 flagged, 57 defects; 41 minutes."""
    flow = [
        Flow(1, "ring", AT, "pass", band, count)
        for band, count in enumerate((3500, 1000, 400, 100))
    ]
    flow.append(Flow(1, "ring", AT, "review", 3, 83))
    answered = [Answered(1, "ring", AT, "defect", 57), Answered(1, "ring", AT, "good", 26)]
    audits = []
    for band, (n, missed) in enumerate(((60, 0), (25, 1), (20, 1), (15, 2))):
        audits.append(Audits(AT, band, 0.1, COMPLETED, False, n - missed))
        audits.append(Audits(AT, band, 0.1, COMPLETED, True, missed))
    return Counts(flow, answered, audits, {1: 41 * 60.0})


def prices() -> dict[int, Policy]:
    return {1: Policy(miss_cost=120, false_alarm_cost=4, review_minute_cost=0.7)}


def test_defects_missed_follow_the_weighted_interval() -> None:
    rate = numbers_of(example(), prices()).misses.rate
    assert rate.estimate == pytest.approx(0.01466667, rel=1e-6)
    assert rate.interval == pytest.approx((0.00253853, 0.0609658), rel=1e-5)
    assert (rate.audits, rate.misses, rate.passed) == (120, 4, 5000)


def test_precision_and_good_parts_stopped() -> None:
    numbers = numbers_of(example(), prices())
    assert numbers.precision.value == pytest.approx(0.686747, rel=1e-5)
    assert numbers.precision.interval == pytest.approx((0.575575, 0.784139), rel=1e-5)
    assert numbers.good_stopped.n == pytest.approx(4952.667, rel=1e-6)
    assert numbers.good_stopped.value == pytest.approx(0.00524970, rel=1e-5)
    assert numbers.good_stopped.interval == pytest.approx((0.00343206, 0.00768263), rel=1e-5)


def test_cost_of_1000_parts_with_its_interval() -> None:
    cost = numbers_of(example(), prices()).cost
    assert cost is not None
    assert cost.interval is not None
    assert cost.total == pytest.approx(1757.368, rel=1e-6)
    assert cost.interval == pytest.approx((325.738, 7222.550), rel=1e-5)
    assert cost.n == 5083


def test_below_30_audits_there_is_a_count_and_no_rate() -> None:
    counts = example()
    few = Counts(counts.flow, counts.answered, [Audits(AT, 0, 0.1, COMPLETED, True, 29)], {})
    numbers = numbers_of(few, prices())
    assert not numbers.misses.is_shown
    assert numbers.misses.rate.misses == 29
    assert numbers.cost is not None
    assert numbers.cost.interval is None
    assert numbers.good_stopped.n == 5026  # no miss is assumed


def test_the_worst_case_is_shown_from_more_than_a_twentieth_set_aside() -> None:
    counts = example()
    some = [*counts.audits, Audits(AT, 0, 0.1, SET_ASIDE, False, 6)]
    assert misses_of(Counts(counts.flow, counts.answered, some)).worst is None
    more = [*counts.audits, Audits(AT, 0, 0.1, SET_ASIDE, False, 7)]
    worst = misses_of(Counts(counts.flow, counts.answered, more)).worst
    assert worst is not None
    assert (worst.audits, worst.misses) == (127, 11)


def test_prices_are_weighed_by_what_they_price() -> None:
    counts = example()
    flow = [*counts.flow, Flow(2, "plate", AT, "pass", 0, 5000)]
    policies = {**prices(), 2: Policy(miss_cost=20, false_alarm_cost=99, review_minute_cost=9)}
    cost = numbers_of(Counts(flow, counts.answered, [], counts.review_seconds), policies).cost
    assert cost is not None
    assert cost.stopped == pytest.approx(1000 * 26 * 4 / 10083)
    assert cost.review == pytest.approx(1000 * 41 * 0.7 / 10083)


def test_nothing_seen_has_no_numbers() -> None:
    numbers = numbers_of(Counts([], [], []), {})
    assert (numbers.seen, numbers.cost, numbers.precision.value) == (0, None, None)
    assert numbers.misses.rate.interval == (0.0, 1.0)


def test_the_poisson_interval_is_exact() -> None:
    assert poisson_interval(0) == pytest.approx((0.0, 3.688879), rel=1e-6)
    assert poisson_interval(10) == pytest.approx((4.795389, 18.390356), rel=1e-6)
