import numpy as np
import pytest
from sklearn import metrics as reference

from detection.metrics import PairedCounts, paired_counts, paired_differences


def test_hand_worked_mcnemar() -> None:
    # One part only the second misses, seven only the first.
    counts = PairedCounts(both=20, only_a=1, only_b=7, neither=2)
    assert counts.p_value == pytest.approx(0.0703125)
    assert counts.share_only_a == 0.125
    assert counts.interval == pytest.approx((0.00315972, 0.526510), abs=1e-6)


def test_counts_of_flags() -> None:
    counts = paired_counts([True, True, False, False, True], [True, False, True, False, False])
    assert counts == PairedCounts(both=1, only_a=2, only_b=1, neither=1)
    assert counts.p_value == 1
    never = paired_counts([True, False], [True, False])
    assert never.p_value is None
    assert never.share_only_a is None
    assert never.interval == (0, 1)


def test_differences_are_those_of_the_figures() -> None:
    rng = np.random.default_rng(3)
    is_defect = np.arange(80) < 35
    a = rng.normal(size=80) + 2.5 * is_defect
    b = rng.normal(size=80) + 0.7 * is_defect
    found = paired_differences(a, b, is_defect, rng=np.random.default_rng(0))
    for name, figure in (
        ("image_auroc", reference.roc_auc_score),
        ("image_ap", reference.average_precision_score),
    ):
        difference = found[name]
        assert difference.a == pytest.approx(figure(is_defect, a))
        assert difference.b == pytest.approx(figure(is_defect, b))
        assert difference.difference == pytest.approx(difference.a - difference.b)
        assert difference.interval is not None
        assert 0 < difference.interval.low < difference.difference < difference.interval.high
        assert difference.share_a_better > 0.99


def test_pairing_makes_the_interval_of_alike_models_short() -> None:
    rng = np.random.default_rng(5)
    is_defect = np.arange(100) < 50
    a = rng.normal(size=100) + is_defect
    alike = paired_differences(
        a, a + 0.05 * rng.normal(size=100), is_defect, rng=np.random.default_rng(0)
    )
    unlike = paired_differences(
        a, rng.normal(size=100) + is_defect, is_defect, rng=np.random.default_rng(0)
    )
    first, second = alike["image_auroc"].interval, unlike["image_auroc"].interval
    assert first is not None
    assert second is not None
    assert first.high - first.low < 0.3 * (second.high - second.low)
    assert first.low < 0 < first.high


def test_the_same_model_twice_never_differs() -> None:
    scores = np.array([3.0, 1, 2, 0, 2])
    found = paired_differences(
        scores, scores * 10, [True, True, False, False, True], rng=np.random.default_rng(0)
    )
    assert found["image_auroc"].difference == 0
    assert found["image_auroc"].interval is None
    assert found["image_auroc"].share_a_better == 0.5


def test_wrong_input() -> None:
    rng = np.random.default_rng(0)
    assert paired_differences([1.0, 2.0], [1.0, 2.0], [True, True], rng=rng) == {}
    with pytest.raises(ValueError, match="same length"):
        paired_differences([1.0, 2.0], [1.0], [True, False], rng=rng)
    with pytest.raises(ValueError, match="same length"):
        paired_counts([True], [True, False])
