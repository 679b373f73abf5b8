import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.statistics import clopper_pearson, lower_bound, upper_bound


@pytest.mark.parametrize(
    ("events", "n", "low", "high", "upper"),
    [
        (0, 30, 0.0, 0.115703, 0.095034),
        (0, 900, 0.0, 0.00409037, 0.00332306),
        (1, 120, 0.000210959, 0.0455555, 0.0389208),
        (3, 1000, 0.000619100, 0.00874202, 0.00773524),
    ],
)
def test_worked_examples(events: int, n: int, low: float, high: float, upper: float) -> None:
    interval = clopper_pearson(events, n)
    assert interval.low == pytest.approx(low, rel=1e-5)
    assert interval.high == pytest.approx(high, rel=1e-5)
    assert upper_bound(events, n) == pytest.approx(upper, rel=1e-5)


@pytest.mark.parametrize(
    ("events", "n", "low", "high"),
    [(50, 50, 0.928878, 1), (48, 50, 0.862863, 0.995119), (26, 4952.667, 0.00343206, 0.00768263)],
)
def test_ends_and_counts_that_are_not_whole(events: int, n: float, low: float, high: float) -> None:
    assert clopper_pearson(events, n) == pytest.approx((low, high), rel=1e-5)


def test_lower_bound_of_none_missed() -> None:
    assert lower_bound(20, 20) == pytest.approx(0.05 ** (1 / 20))


def test_nothing_seen_says_nothing() -> None:
    assert clopper_pearson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("events", "n", "alpha"), [(3, 2, 0.05), (-1, 2, 0.05), (1, 2, 1.0)])
def test_impossible_counts_are_refused(events: int, n: int, alpha: float) -> None:
    with pytest.raises(ValueError, match="not"):
        clopper_pearson(events, n, alpha=alpha)


@settings(deadline=None)  # no test asserts a time
@given(st.integers(1, 300), st.data())
def test_interval_holds_the_share_and_mirrors(n: int, data: st.DataObject) -> None:
    events = data.draw(st.integers(0, n))
    low, high = clopper_pearson(events, n)
    assert 0 <= low <= events / n <= high <= 1
    mirrored = clopper_pearson(n - events, n)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-12)
