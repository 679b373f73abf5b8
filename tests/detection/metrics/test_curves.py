import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from detection.metrics import (
    Confusion,
    auroc,
    average_precision,
    best_f1,
    confusion_at,
    precision_recall_points,
    roc_points,
)

# By hand: 0.9 defect, 0.8 normal, 0.7 defect, 0.7 normal, 0.1 normal.
SCORES = [0.1, 0.7, 0.9, 0.8, 0.7]
IS_DEFECT = [False, True, True, False, False]


def test_hand_worked_case() -> None:
    # Pairs: .9 beats 3 of 3; .7 beats .1, ties with .7, loses to .8: 4.5 of 6.
    assert auroc(SCORES, IS_DEFECT) == pytest.approx(4.5 / 6)
    # Recall .5 at precision 1, recall 1 at precision 2/4 (the tie counts as one step).
    assert average_precision(SCORES, IS_DEFECT) == pytest.approx(0.5 * 1 + 0.5 * 0.5)
    best = best_f1(SCORES, IS_DEFECT)
    assert best is not None
    assert best == pytest.approx((2 / 3, 0.9))
    assert confusion_at(SCORES, IS_DEFECT, 0.7) == Confusion(2, 0, 2, 1)
    assert confusion_at(SCORES, IS_DEFECT, 0.71) == Confusion(1, 1, 1, 2)


def test_hand_worked_curves() -> None:
    roc = roc_points(SCORES, IS_DEFECT)
    assert [(point.x, point.y, point.threshold) for point in roc] == [
        (0.0, 0.0, np.inf),
        (0.0, 0.5, 0.9),
        (pytest.approx(1 / 3), 0.5, 0.8),
        (pytest.approx(2 / 3), 1.0, 0.7),
        (1.0, 1.0, 0.1),
    ]
    assert [tuple(point.confusion) for point in roc] == [
        (0, 2, 0, 3), (1, 1, 0, 3), (1, 1, 1, 2), (2, 0, 2, 1), (2, 0, 3, 0),
    ]  # fmt: skip
    points = precision_recall_points(SCORES, IS_DEFECT)
    assert [(point.x, point.y) for point in points] == [
        (0.0, 1.0),
        (0.5, 1.0),
        (0.5, 0.5),
        (1.0, 0.5),
        (1.0, pytest.approx(0.4)),
    ]
    for point in (*roc, *points):
        assert point.confusion == confusion_at(SCORES, IS_DEFECT, point.threshold)


@settings(deadline=None)  # no test asserts a time
@given(
    st.lists(st.tuples(st.integers(-4, 4), st.booleans()), min_size=2, max_size=60).filter(
        lambda rows: len({defect for _, defect in rows}) == 2
    )
)
def test_agrees_with_scikit_learn(rows: list[tuple[int, bool]]) -> None:
    scores = [float(score) for score, _ in rows]
    is_defect = [defect for _, defect in rows]
    assert auroc(scores, is_defect) == pytest.approx(reference.roc_auc_score(is_defect, scores))
    assert average_precision(scores, is_defect) == pytest.approx(
        reference.average_precision_score(is_defect, scores)
    )
    best = best_f1(scores, is_defect)
    assert best is not None
    every = [reference.f1_score(is_defect, np.array(scores) >= cut) for cut in set(scores)]
    assert best.value == pytest.approx(max(every))
    at_best = reference.f1_score(is_defect, np.array(scores) >= best.threshold)
    assert at_best == pytest.approx(best.value)


def test_curves_are_thinned_with_their_ends_kept() -> None:
    rng = np.random.default_rng(0)
    is_defect = rng.random(5000) < 0.5
    scores = rng.normal(size=5000) + is_defect
    for points in (roc_points(scores, is_defect), precision_recall_points(scores, is_defect)):
        assert 300 < len(points) <= 500
        assert points[0].x == 0
        assert points[-1].x == 1
        assert [point.x for point in points] == sorted(point.x for point in points)


@pytest.mark.parametrize("is_defect", [[True, True], [False, False]])
def test_one_kind_alone_has_no_figures(is_defect: list[bool]) -> None:
    assert auroc([1, 2], is_defect) is None
    assert average_precision([1, 2], is_defect) is None
    assert best_f1([1, 2], is_defect) is None
    assert roc_points([1, 2], is_defect) == precision_recall_points([1, 2], is_defect) == ()


def test_empty_and_wrong_input() -> None:
    assert auroc([], []) is None
    with pytest.raises(ValueError, match="NaN"):
        auroc([np.nan, 1], [True, False])
    with pytest.raises(ValueError, match="same length"):
        confusion_at([1.0], [True, False], 0.5)
