import numpy as np
import pytest
from scipy import ndimage
from sklearn import metrics as reference

from detection.metrics import PixelTally
from detection.protocol import BoolArray, Float32Array


def test_hand_worked_overlap() -> None:
    # Two places: 1 pixel at value 5; 2 pixels at values 4 and 1. Normal pixels: 3, 2, 0, 0, 0.
    score_map = np.array([[5, 0, 4, 1], [0, 3, 2, 0]], np.float32)
    mask = np.array([[1, 0, 1, 1], [0, 0, 0, 0]], bool)
    tally = PixelTally()
    tally.add(score_map, mask)
    figures = tally.figures()
    assert figures is not None
    # Overlap by falling threshold: .5 (5), .75 (4), .75 at fpr .2 (3), .75 at .4 (2), 1 at .4 (1).
    assert figures.aupro == pytest.approx(0.75)
    assert figures.aupro_strict == pytest.approx(0.75)
    assert figures.regions == 2
    # Pairs: 5 and 4 beat 5 each, 1 beats 3: 13 of 15.
    assert figures.auroc == pytest.approx(13 / 15)
    assert figures.average_precision == pytest.approx((1 + 1 + 3 / 5) / 3)
    assert figures.auroc_error == 0


def _random_case(seed: int) -> tuple[Float32Array, BoolArray]:
    rng = np.random.default_rng(seed)
    mask = ndimage.gaussian_filter(rng.normal(size=(37, 53)), 3) > 0.12
    noise = rng.normal(size=mask.shape)
    return (mask + noise).astype(np.float32), mask


def _slow_aupro(cases: list[tuple[Float32Array, BoolArray]], limit: float) -> float:
    """Overlap at every threshold, place by place, straight from the definition."""
    thresholds = np.unique(np.concatenate([score_map.ravel() for score_map, _ in cases]))[::-1]
    normals = sum(int((~mask).sum()) for _, mask in cases)
    places = []
    for score_map, mask in cases:
        labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
        places += [np.sort(score_map[labels == number]) for number in range(1, count + 1)]
    normal = np.sort(np.concatenate([score_map[~mask] for score_map, mask in cases]))
    fpr = 1 - np.searchsorted(normal, thresholds, side="left") / normals
    pro = np.mean(
        [1 - np.searchsorted(place, thresholds, side="left") / place.size for place in places], 0
    )
    grid = np.linspace(0, limit, 200_001)
    curve = np.interp(grid, np.concatenate([[0], fpr]), np.concatenate([[0], pro]))
    return float(np.trapezoid(curve, grid) / limit)


def test_agrees_with_scikit_learn_and_a_slow_overlap() -> None:
    cases = [_random_case(seed) for seed in range(3)]
    tally = PixelTally()
    for score_map, mask in cases:
        tally.add(score_map, mask)
    plain = np.random.default_rng(9).normal(size=(20, 30)).astype(np.float32)
    tally.add(plain, None)
    cases.append((plain, np.zeros(plain.shape, bool)))
    figures = tally.figures()
    assert figures is not None
    scores = np.concatenate([score_map.ravel() for score_map, _ in cases])
    labels = np.concatenate([mask.ravel() for _, mask in cases])
    assert 0 < figures.auroc_error < 2e-4
    exact = reference.roc_auc_score(labels, scores)
    assert abs(figures.auroc - exact) <= figures.auroc_error
    assert figures.average_precision == pytest.approx(
        reference.average_precision_score(labels, scores), abs=1e-3
    )
    assert figures.aupro == pytest.approx(_slow_aupro(cases, 0.3), abs=1e-3)
    assert figures.aupro_strict == pytest.approx(_slow_aupro(cases, 0.05), abs=1e-3)
    assert figures.images == 4


def test_any_range_of_values_keeps_its_order() -> None:
    values = np.array([-3e38, -5.0, -1e-30, 0.0, 1e-30, 7.0, 3e38], np.float32)
    for cut in range(1, values.size):
        tally = PixelTally()
        tally.add(values[None], np.arange(values.size)[None] >= cut)
        figures = tally.figures()
        assert figures is not None
        assert figures.auroc == 1


def test_pixels_of_one_kind_have_no_figures() -> None:
    tally = PixelTally()
    tally.add(np.ones((4, 5), np.float32), None)
    assert tally.figures() is None


def test_wrong_maps_are_refused() -> None:
    tally = PixelTally()
    with pytest.raises(ValueError, match="its mask"):
        tally.add(np.ones((4, 5), np.float32), np.ones((5, 4), bool))
    with pytest.raises(ValueError, match="NaN"):
        tally.add(np.full((4, 5), np.nan, np.float32), None)
