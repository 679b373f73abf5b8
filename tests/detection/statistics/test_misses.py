import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.statistics import (
    AuditedBand,
    Interval,
    MissRate,
    clopper_pearson,
    escaped_at_most,
    miss_rate,
    upper_bound,
)


def band(passed: int, audits: int, misses: int, probability: float = 0.02) -> AuditedBand:
    return AuditedBand(passed, [probability] * audits, [k < misses for k in range(audits)])


def example_a(*misses: int) -> MissRate:
    rows = zip((3500, 1000, 400, 100), (60, 25, 20, 15), misses, strict=True)
    return miss_rate([band(passed, audits, missed) for passed, audits, missed in rows])


def test_example_a() -> None:
    rate = example_a(0, 1, 1, 2)
    assert rate.estimate == pytest.approx(0.01466667, abs=1e-8)
    assert rate.interval == pytest.approx((0.00253853, 0.0609658), rel=1e-5)
    assert rate.upper == pytest.approx(0.0534811, rel=1e-5)
    assert (rate.passed, rate.audits, rate.misses) == (5000, 120, 4)


def test_example_a_without_misses() -> None:
    rate = example_a(0, 0, 0, 0)
    assert rate.estimate == 0
    assert rate.interval == pytest.approx((0, 0.0421240), rel=1e-5)
    assert rate.upper == pytest.approx(0.0343465, rel=1e-5)
    heaviest = 0.7 / 60
    assert rate.upper == pytest.approx(1 - 0.05**heaviest, rel=1e-9)


@settings(deadline=None)  # no test asserts a time
@given(st.integers(2, 400), st.data())
def test_equal_weights_are_clopper_pearson(n: int, data: st.DataObject) -> None:
    found = data.draw(st.integers(0, n - 1))
    rate = miss_rate([band(10 * n, n, found)])
    assert rate.estimate == pytest.approx(found / n)
    assert rate.interval == pytest.approx(clopper_pearson(found, n), abs=1e-9)
    assert rate.upper == pytest.approx(upper_bound(found, n), abs=1e-9)


def test_probabilities_inside_a_band_weigh_by_their_inverse() -> None:
    rate = miss_rate([AuditedBand(1000, [0.1, 0.1, 0.4], [False, True, False])])
    assert rate.estimate == pytest.approx(10 / 22.5)


def test_bands_without_audits_are_merged_before_looking() -> None:
    merged = miss_rate([band(100, 0, 0), band(200, 10, 1), band(50, 0, 0), band(30, 5, 0)])
    by_hand = miss_rate([band(350, 10, 1), band(30, 5, 0)])
    assert merged == by_hand


def test_no_audit_at_all() -> None:
    assert miss_rate([band(100, 0, 0)]) == MissRate(None, Interval(0.0, 1.0), 1.0, 100, 0, 0)
    assert miss_rate([]).estimate is None


def test_a_single_audit_bounds_nothing() -> None:
    assert miss_rate([band(10, 1, 1)]).interval.high == 1
    assert miss_rate([band(10, 1, 0)]).upper == pytest.approx(0.95)


def test_escaped_parts() -> None:
    assert escaped_at_most(example_a(0, 1, 1, 2)) == 263  # floor(5000 * .0534811) - 4
    none_found = miss_rate([band(10_000, 200, 0)])
    assert escaped_at_most(none_found, single_probability=0.02) == 148
    assert escaped_at_most(miss_rate([band(40, 40, 2, probability=1.0)])) == 0
    assert escaped_at_most(miss_rate([band(40, 39, 0)])) == 1


@pytest.mark.parametrize(
    ("passed", "probabilities", "misses"),
    [(5, [0.5], []), (0, [0.5], [True]), (5, [0.0], [True]), (5, [1.5], [True])],
)
def test_impossible_bands_are_refused(
    passed: int, probabilities: list[float], misses: list[bool]
) -> None:
    with pytest.raises(ValueError, match=r"differ|more audits|outside"):
        AuditedBand(passed, probabilities, misses)
