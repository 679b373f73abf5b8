import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.protocol import DetectionError
from detection.statistics import DefectTail, NormalTail, believed_detection

SCORES = st.lists(st.integers(-20, 20).map(lambda number: number / 4), min_size=1, max_size=40)
ALL = np.concatenate([[-np.inf], np.linspace(-6, 6, 97), [np.inf]])


def test_belief_worked_example() -> None:
    told = believed_detection([0.01, 0.001, 1.0, 0.0])
    np.testing.assert_allclose(told, [0.660704, 0.552465, 1.0, 0.0], atol=1e-6)


def test_normal_tail_by_hand() -> None:
    normal = NormalTail.of(np.arange(20.0))  # starts at 18, one score beyond, excess 1
    assert (normal.start, normal.mean_excess) == (18.0, 1.0)
    np.testing.assert_allclose(
        normal.above([-np.inf, -1.0, 0.0, 9.5, 18.0]), [1.0, 1.0, 20 / 21, 11 / 21, 2 / 21]
    )
    # .1 exp(-(t - 18)), but never above the value at the start.
    np.testing.assert_allclose(
        normal.above([18.01, 19.0, 28.0, np.inf]),
        [2 / 21, 0.1 * math.exp(-1), 0.1 * math.exp(-10), 0.0],
    )
    candidates = normal.candidates()
    assert candidates[0] == -np.inf
    assert candidates[-1] == np.inf
    assert {0.0, 19.0, 20.0, 28.0} <= set(candidates.tolist())


def test_defect_tail_by_hand() -> None:
    normal = NormalTail.of(np.arange(20.0))
    defects = DefectTail.of([3.0, 25.0], normal)
    told = defects.above(19.0)
    assert told == pytest.approx((1 + 5 * believed_detection(0.1 * math.exp(-1))) / 7)
    assert defects.above(-np.inf) == 1.0
    assert defects.above(np.inf) == 0.0
    # The audited miss stands for nine: .2 and 1.8 of the two.
    weighed = DefectTail.of([25.0, 3.0], normal, weights=[1, 9])
    np.testing.assert_allclose(weighed.weights, [1.8, 0.2])
    assert weighed.above(19.0) < told


def test_no_defects_is_belief_alone() -> None:
    normal = NormalTail.of(np.arange(50.0))
    empty = DefectTail.of([], normal)
    np.testing.assert_allclose(empty.above(ALL), believed_detection(normal.above(ALL)))


def test_miss_costs_by_type() -> None:
    normal = NormalTail.of(np.arange(20.0))
    alike = DefectTail.of([3.0, 25.0], normal, miss_costs=[100, 100])
    plain = DefectTail.of([3.0, 25.0], normal)
    np.testing.assert_allclose(alike.cost_above(ALL, 100), plain.cost_above(ALL, 100))
    dear = DefectTail.of([25.0, 3.0], normal, miss_costs=[800, 100])
    belief = 5 * 100 * float(believed_detection(normal.above(19.0)))
    assert dear.cost_above(19.0, 100) == pytest.approx((800 + belief) / 7)


def test_one_normal_has_no_tail_to_fit() -> None:
    normal = NormalTail.of([4.0])
    np.testing.assert_allclose(normal.above([3.0, 4.0, 1e9, np.inf]), [1.0, 0.5, 0.5, 0.0])
    assert normal.candidates().tolist() == [-np.inf, 4.0, np.inf]
    alike = NormalTail.of([4.0] * 30)
    assert alike.above(5.0) == pytest.approx(1 / 31)


@settings(deadline=None)
@given(SCORES, st.lists(st.integers(-20, 30).map(lambda number: number / 4), max_size=20))
def test_tails_fall_from_one_to_nothing(normals: list[float], defects: list[float]) -> None:
    normal = NormalTail.of(normals)
    defect = DefectTail.of(defects, normal)
    for shares in (normal.above(ALL), defect.above(ALL), defect.cost_above(ALL, 3.0) / 3):
        assert shares[0] == pytest.approx(1.0)
        assert shares[-1] == 0.0
        assert (np.diff(shares) <= 1e-12).all()
    bulk = [t for t in ALL if t <= normal.start]
    counted = [(1 + sum(s > t for s in normals)) / (len(normals) + 1) for t in bulk]
    np.testing.assert_allclose(normal.above(bulk), counted)


def test_scores_that_make_no_sense() -> None:
    normal = NormalTail.of([1.0, 2.0])
    for wrong in ([], [1.0, math.nan], [math.inf]):
        with pytest.raises(DetectionError, match="normals"):
            NormalTail.of(wrong)
    with pytest.raises(DetectionError, match="not finite"):
        DefectTail.of([math.nan], normal)
    with pytest.raises(DetectionError, match="as many weights"):
        DefectTail.of([1.0], normal, weights=[1, 1])
    with pytest.raises(DetectionError, match="miss costs"):
        DefectTail.of([1.0], normal, miss_costs=[-1])
    with pytest.raises(DetectionError, match="add up to nothing"):
        DefectTail.of([1.0], normal, weights=[0])
