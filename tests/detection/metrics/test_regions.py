import numpy as np
import pytest

from detection.metrics import RegionCounts, RegionTally
from detection.protocol import BoolArray, Float32Array


def _case() -> tuple[Float32Array, BoolArray]:
    """20 x 30 pixels; three marked places: one found whole, one by a corner, one missed."""
    mask = np.zeros((20, 30), bool)
    mask[0:4, 0:5] = True  # 20 pixels
    mask[10:14, 10:15] = True  # 20 pixels
    mask[18:20, 28:30] = True  # 4 pixels
    heat = np.zeros((20, 30), np.float32)
    heat[0:4, 0:5] = 2
    heat[13:18, 14:19] = 2  # 25 pixels, one of them marked
    heat[0:4, 20:25] = 2  # 20 pixels, none marked
    heat[19, 0] = 2  # one pixel: too small to be shown
    return heat, mask


def test_hand_worked_counts() -> None:
    tally = RegionTally(1.0)
    tally.add(*_case())
    counts = tally.counts()
    # 21 of 44 marked pixels predicted; 66 predicted.
    assert counts == RegionCounts(
        overlap_px=21, union_px=44 + 66 - 21, marked=3, hit=2, half_hit=1, predicted=3, right=2
    )
    assert counts.iou == pytest.approx(21 / 89)


def test_normal_images_count_against_precision_and_overlap() -> None:
    tally = RegionTally(1.0)
    tally.add(*_case())
    heat = np.zeros((16, 9), np.float32)
    heat[:5, :5] = 3
    tally.add(heat, None)
    tally.add(np.zeros((5, 7), np.float32), np.zeros((5, 7), bool))
    counts = tally.counts()
    assert (counts.predicted, counts.right, counts.union_px) == (4, 2, 89 + 25)


def test_half_counts_from_exactly_half_and_the_threshold_itself_is_not_above() -> None:
    mask = np.ones((4, 10), bool)
    heat = np.zeros((4, 10), np.float32)
    heat[:2] = 1.5
    heat[2:] = 1.0
    tally = RegionTally(1.0)
    tally.add(heat, mask)
    assert tally.counts().half_hit == 1
    assert tally.counts().overlap_px == 20


def test_pixels_that_touch_at_a_corner_are_one_place() -> None:
    mask = np.eye(6, 8, dtype=bool)
    tally = RegionTally(1.0)
    tally.add(np.where(mask, 2, 0).astype(np.float32), mask)
    assert (tally.counts().marked, tally.counts().hit) == (1, 1)


def test_intervals_by_drawing_whole_images() -> None:
    tally = RegionTally(1.0)
    rng = np.random.default_rng(0)
    mask = np.zeros((12, 18), bool)
    mask[2:8, 3:9] = True
    for number in range(30):
        heat = np.zeros((12, 18), np.float32)
        heat[2:8, 3 : 3 + number % 7] = 2
        tally.add(heat, mask)
        tally.add((rng.random((12, 18)) > 0.99).astype(np.float32) * 2, None)
    counts = tally.counts()
    intervals = tally.intervals(rng=np.random.default_rng(1))
    iou, recall = intervals["pixel_iou"], intervals["region_recall"]
    assert iou is not None
    assert recall is not None
    assert counts.iou is not None
    assert iou.low < counts.iou < iou.high
    assert recall.low < counts.hit / counts.marked < recall.high
    assert intervals["region_precision"] is None  # every shown region is right in every draw


def test_nothing_has_no_figures() -> None:
    tally = RegionTally(1.0)
    assert tally.counts() == RegionCounts(0, 0, 0, 0, 0, 0, 0)
    assert tally.counts().iou is None
    assert set(tally.intervals(rng=np.random.default_rng(0)).values()) == {None}


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="its mask"):
        RegionTally(1.0).add(np.ones((4, 5), np.float32), np.ones((5, 4), bool))
