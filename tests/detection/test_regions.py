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


def test_a_cold_or_empty_map_has_none() -> None:
    assert find_regions(np.zeros((4, 6), np.float32), 0.0) == ()
    assert find_regions(np.zeros((0, 6), np.float32), 0.0) == ()


def test_the_hottest_of_very_many_are_those_of_all() -> None:
    """Beyond the limit all places are weighed at once: the same come out, in the same order."""
    noise = np.random.default_rng(2).random((90, 130)).astype(np.float32)
    for score_map in (noise, np.round(noise, 1)):  # the second is full of ties
        everything = find_regions(score_map, 0.85, min_area_px=2, limit=10_000)
        assert len(everything) > 200
        for limit in (1, 7, 200):
            assert find_regions(score_map, 0.85, min_area_px=2, limit=limit) == everything[:limit]


def test_places_are_those_of_the_whole_map() -> None:
    score_map = np.zeros((40, 60), np.float32)
    score_map[21:27, 33:40] = 1.0
    score_map[24, 38] = 2.0
    (region,) = find_regions(score_map, 0.5)
    assert region.box_xyxy == (33, 21, 40, 27)
    assert region.peak_xy == (38, 24)
    assert region.peak == 2.0


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
