import numpy as np
import pytest
from scipy import ndimage
from sklearn import metrics as reference

from detection.metrics import PixelTally
from detection.metrics.pixel_draws import area_up_to
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
    # Above 3: 2 pixels of the place and no other, of 3 marked; above 0, 3 of 5.
    assert figures.iou_best == pytest.approx(2 / 3)
    assert 3 < figures.iou_best_threshold < 4


def _random_case(seed: int, *, mean: float = 0.0) -> tuple[Float32Array, BoolArray]:
    rng = np.random.default_rng(seed)
    mask = ndimage.gaussian_filter(rng.normal(size=(37, 53)), 3) > 0.12
    noise = rng.normal(size=mask.shape)
    return (mean + mask + noise).astype(np.float32), mask


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


@pytest.mark.parametrize("mean", [0.0, 5.0, -5.0])
def test_best_overlap_is_reached_at_its_threshold(mean: float) -> None:
    cases = [_random_case(seed, mean=mean) for seed in range(3)]
    tally = PixelTally()
    for score_map, mask in cases:
        tally.add(score_map, mask)
    figures = tally.figures()
    assert figures is not None
    heat = np.concatenate([score_map.ravel() for score_map, _ in cases])
    marked = np.concatenate([mask.ravel() for _, mask in cases])

    def iou(threshold: float) -> float:
        return float((marked & (heat > threshold)).sum() / (marked | (heat > threshold)).sum())

    assert iou(figures.iou_best_threshold) == pytest.approx(figures.iou_best)
    every = max(iou(float(value)) for value in np.quantile(heat, np.linspace(0, 1, 300)))
    assert every - 2e-3 <= figures.iou_best


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


def test_maps_may_come_in_any_range_and_order() -> None:
    rng = np.random.default_rng(3)
    cases = []
    for scale in (1.0, 1e-6, 1e6, -50.0):
        heat = (scale * rng.random((11, 17))).astype(np.float32)
        cases.append((heat, rng.random((11, 17)) > 0.7))
    tally = PixelTally()
    for heat, mask in cases:
        tally.add(heat, mask)
    figures = tally.figures()
    assert figures is not None
    exact = reference.roc_auc_score(
        np.concatenate([mask.ravel() for _, mask in cases]),
        np.concatenate([heat.ravel() for heat, _ in cases]),
    )
    assert abs(figures.auroc - exact) <= figures.auroc_error + 1e-12


def test_intervals_agree_with_drawing_the_images_themselves() -> None:
    cases: list[tuple[Float32Array, BoolArray | None]] = [
        _random_case(seed, mean=9) for seed in range(8)
    ]
    rng = np.random.default_rng(5)
    cases += [(rng.normal(9, size=(20, 30)).astype(np.float32), None) for _ in range(6)]
    tally = PixelTally()
    for heat, mask in cases:
        tally.add(heat, mask)
    intervals = tally.intervals(rng=np.random.default_rng(0))
    slow: dict[str, list[float]] = {name: [] for name in intervals}
    for _ in range(150):
        drawn = PixelTally()
        for k in (*rng.integers(8, size=8), *(8 + rng.integers(6, size=6))):
            drawn.add(*cases[k])
        figures = drawn.figures()
        assert figures is not None
        slow["pixel_auroc"].append(figures.auroc)
        slow["pixel_ap"].append(figures.average_precision)
        slow["aupro"].append(figures.aupro)
        slow["aupro_05"].append(figures.aupro_strict)
    for name, values in slow.items():
        interval = intervals[name]
        assert interval is not None
        spread = float(np.std(values))
        assert interval == pytest.approx(np.quantile(values, (0.025, 0.975)), abs=spread)
        assert interval.low < np.mean(values) < interval.high


def test_bins_of_the_drawn_curves_hardly_move_the_figures() -> None:
    rng = np.random.default_rng(1)
    mask = np.zeros((130, 170), bool)
    mask[20:60, 30:100] = True
    heat = (5 + mask + rng.normal(size=mask.shape)).astype(np.float32)
    tally = PixelTally()
    for _ in range(5):  # all but alike: every draw is all but the whole set
        tally.add(heat + 1e-3 * rng.normal(size=heat.shape).astype(np.float32), mask)
    figures = tally.figures()
    assert figures is not None
    intervals = tally.intervals(rng=np.random.default_rng(0), draws=40)
    for name, exact in (
        ("pixel_auroc", figures.auroc),
        ("pixel_ap", figures.average_precision),
        ("aupro", figures.aupro),
        ("aupro_05", figures.aupro_strict),
    ):
        assert intervals[name] == pytest.approx((exact, exact), abs=1e-3)


def test_one_kind_of_pixel_has_no_interval() -> None:
    tally = PixelTally()
    assert set(tally.intervals(rng=np.random.default_rng(0)).values()) == {None}
    tally.add(np.ones((4, 5), np.float32), None)
    assert set(tally.intervals(rng=np.random.default_rng(0)).values()) == {None}


def test_area_under_a_part_of_a_curve() -> None:
    x, y = np.array([0.0, 0.0, 0.2, 0.4, 1.0]), np.array([0.0, 0.5, 0.5, 1.0, 1.0])
    # Up to .3: .2 x .5 and .1 x (.5 + .75) / 2.
    assert area_up_to(x, y, 0.3) == pytest.approx((0.1 + 0.0625) / 0.3)
    assert area_up_to(x, y, 1.0) == pytest.approx(0.1 + 0.15 + 0.6)
    both = area_up_to(np.stack([x, x]), np.stack([y, 2 * y]), 0.3)
    assert both[1] == pytest.approx(2 * both[0])
