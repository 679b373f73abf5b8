import numpy as np
import pytest

from detection.regions import Region, find_regions


def test_two_places_hottest_first() -> None:
    score_map = np.zeros((20, 30), np.float32)
    score_map[2:6, 10:15] = 2.0
    score_map[4, 12] = 3.0
    score_map[10:15, 20:24] = 4.0
    hot, cool = find_regions(score_map, 1.0)
    assert hot == Region(20, (20, 10, 24, 15), 4.0, 4.0, (20, 10))
    assert cool.box_xyxy == (10, 2, 15, 6)
    assert cool.peak_xy == (12, 4)
    assert cool.mean == pytest.approx((19 * 2 + 3) / 20)


def test_corner_neighbours_are_one_place() -> None:
    score_map = np.zeros((8, 12), np.float32)
    score_map[0:4, 0:4] = 1.0
    score_map[4:8, 4:8] = 1.0
    (region,) = find_regions(score_map, 0.5)
    assert region.area_px == 32


def test_threshold_is_strict_and_small_places_are_dropped() -> None:
    score_map = np.ones((8, 8), np.float32)
    assert find_regions(score_map, 1.0) == ()
    score_map[:] = 0
    score_map[0, :3] = 1
    assert find_regions(score_map, 0.5) == ()
    assert len(find_regions(score_map, 0.5, min_area_px=3)) == 1


def test_a_noisy_map_stays_within_the_limit() -> None:
    noise = np.random.default_rng(0).random((100, 140)).astype(np.float32)
    regions = find_regions(noise, 0.9, min_area_px=1, limit=5)
    assert len(regions) == 5
    peaks = [region.peak for region in regions]
    assert peaks == sorted(peaks, reverse=True)


@pytest.mark.parametrize("bad", [np.zeros((2, 3, 4), np.float32), np.full((4, 4), np.nan)])
def test_wrong_maps_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="map"):
        find_regions(bad, 0.5)


def test_agrees_with_a_slow_flood_fill() -> None:
    score_map = np.random.default_rng(7).random((23, 31)).astype(np.float32)
    hot = score_map > 0.6
    left = {(int(y), int(x)) for y, x in zip(*np.nonzero(hot), strict=True)}
    areas = []
    while left:
        front = [left.pop()]
        area = 0
        while front:
            y, x = front.pop()
            area += 1
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            front.extend(near)
        areas.append(area)
    found = find_regions(score_map, 0.6, min_area_px=1, limit=1000)
    assert sorted(region.area_px for region in found) == sorted(areas)
