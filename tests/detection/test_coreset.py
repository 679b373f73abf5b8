from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection import coreset
from detection.coreset import farthest_first, random_directions
from detection.protocol import DetectionError, Float32Array


def plain_picks(vectors: Float32Array, count: int, first: int) -> list[int]:
    """The slow reference: every distance after every pick, lowest index on ties."""
    wide = vectors.astype(np.float64)
    nearest = ((wide - wide[first]) ** 2).sum(axis=1)
    picks = [first]
    while len(picks) < count and nearest.max() > 0:
        picks.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, ((wide - wide[picks[-1]]) ** 2).sum(axis=1))
    return picks


@pytest.mark.parametrize("width", [1, 3, 16, 37])
def test_same_picks_as_the_plain_method(width: int) -> None:
    rng = np.random.default_rng(width)
    centres = rng.normal(size=(7, width)) * 5
    vectors = (centres[rng.integers(7, size=2000)] + rng.normal(size=(2000, width))).astype("f4")
    chosen = farthest_first(vectors, 300, rng=np.random.default_rng(5))
    assert chosen.picks.tolist() == plain_picks(vectors, 300, int(chosen.picks[0]))


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows and picks at a time, so that small inputs walk every path of the method."""
    monkeypatch.setattr(coreset, "_CONTENDERS", 40)
    monkeypatch.setattr(coreset, "_BLOCK_PICKS", 8)
    monkeypatch.setattr(coreset, "_CHUNK_ROWS", 64)


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize(("offset", "scale"), [(0, 1), (50, 1), (0, 1e12), (0, 1e-19), (0, 1e-22)])
def test_same_picks_in_many_small_steps(offset: float, scale: float) -> None:
    vectors = np.random.default_rng(3).normal(offset, scale, (1500, 21)).astype(np.float32)
    chosen = farthest_first(vectors, 400, rng=np.random.default_rng(0))
    assert chosen.picks.tolist() == plain_picks(vectors, 400, int(chosen.picks[0]))
    assert (np.diff(chosen.radii[1:]) <= 0).all()


@pytest.mark.usefixtures("small_steps")
def test_halves_are_read_in_place_and_exactly() -> None:
    # Halves from the smallest subnormal to the largest, both signs, and both zeros.
    bits = np.random.default_rng(0).integers(0, 2**16, (400, 5), dtype=np.uint16)
    halves = np.where((bits & 0x7C00) == 0x7C00, np.uint16(1), bits).view(np.float16)
    narrow = farthest_first(halves, 90, rng=np.random.default_rng(0))
    wide = farthest_first(halves.astype(np.float32), 90, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(narrow.picks, wide.picks)
    np.testing.assert_array_equal(narrow.radii, wide.radii)


def test_most_distances_are_never_computed() -> None:
    vectors = np.random.default_rng(0).normal(size=(60_000, 6)).astype(np.float32)
    chosen = farthest_first(vectors, 1500, rng=np.random.default_rng(0))
    assert chosen.evaluations < 0.4 * 60_000 * 1500
    assert chosen.measured < 0.1 * chosen.evaluations


def test_radii_are_distances_to_what_was_chosen_before() -> None:
    vectors = np.random.default_rng(2).normal(size=(300, 7)).astype(np.float32)
    chosen = farthest_first(vectors, 20, rng=np.random.default_rng(0))
    assert chosen.radii[0] == np.inf
    for place in range(1, 20):
        earlier = vectors[chosen.picks[:place]] - vectors[chosen.picks[place]]
        nearest = np.linalg.norm(earlier.astype(np.float64), axis=1).min()
        assert chosen.radii[place] == pytest.approx(nearest, rel=1e-6)


@pytest.mark.parametrize(
    ("value", "dtype"),
    [(v, t) for v in (np.nan, np.inf, -np.inf) for t in ("f2", "f4")] + [(1e30, "f4")],
)
def test_refuses_what_is_no_number(value: float, dtype: str) -> None:
    vectors = np.ones((30, 3), dtype)
    vectors[17, 2] = value
    with pytest.raises(DetectionError, match="not a finite number"):
        farthest_first(vectors, 4, rng=np.random.default_rng(0))


# Whole numbers make every distance exact, so ties are real and must fall to the lowest index.
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(1, 4), st.integers(1, 60))
def test_ties_and_copies(seed: int, rows: int, width: int, count: int) -> None:
    vectors = np.random.default_rng(seed).integers(0, 3, (rows, width)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coreset, "_CONTENDERS", 10)
        patch.setattr(coreset, "_BLOCK_PICKS", 4)
        picks = farthest_first(vectors, count, rng=np.random.default_rng(seed)).picks
    assert picks.tolist() == plain_picks(vectors, min(count, rows), int(picks[0]))


def test_same_seed_same_picks_and_another_start() -> None:
    vectors = np.random.default_rng(0).normal(size=(500, 8)).astype(np.float32)
    first = farthest_first(vectors, 50, rng=np.random.default_rng(1)).picks
    again = farthest_first(vectors, 50, rng=np.random.default_rng(1)).picks
    other = farthest_first(vectors, 50, rng=np.random.default_rng(2)).picks
    np.testing.assert_array_equal(first, again)
    assert first[0] != other[0]


def test_all_vectors_when_more_are_wanted() -> None:
    vectors = np.random.default_rng(0).normal(size=(9, 2)).astype(np.float32)
    picks = farthest_first(vectors, 50, rng=np.random.default_rng(0)).picks
    assert sorted(picks) == list(range(9))


def test_progress_reaches_the_count_and_may_stop() -> None:
    vectors = np.random.default_rng(0).normal(size=(900, 4)).astype(np.float32)
    seen: list[tuple[int, int]] = []
    farthest_first(
        vectors,
        600,
        rng=np.random.default_rng(0),
        on_progress=lambda done, total, note: seen.append((done, total)),
    )
    assert seen[-1] == (600, 600)
    assert len(seen) > 1

    def stop(done: int, total: int, note: str) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        farthest_first(vectors, 600, rng=np.random.default_rng(0), on_progress=stop)


def test_refuses_nothing_to_choose_from() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="rows"):
        farthest_first(np.empty((0, 3), np.float32), 1, rng=rng)
    with pytest.raises(ValueError, match="at least 1"):
        farthest_first(np.ones((2, 3), np.float32), 0, rng=rng)


def test_projection_keeps_distances_about() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(200, 300)).astype(np.float32)
    small = vectors @ random_directions(300, 64, rng=rng)
    assert small.shape == (200, 64)
    ratio = np.linalg.norm(small[:100] - small[100:], axis=1)
    ratio /= np.linalg.norm(vectors[:100] - vectors[100:], axis=1)
    assert 0.9 < ratio.mean() < 1.1
    np.testing.assert_array_equal(random_directions(64, 64, rng=rng), np.eye(64))


@pytest.mark.usefixtures("small_steps")
def test_two_threads_choose_what_one_would() -> None:
    banks = np.random.default_rng(0).normal(size=(2, 3000, 12)).astype(np.float32)

    def choose(vectors: Float32Array) -> list[int]:
        return list(farthest_first(vectors, 300, rng=np.random.default_rng(0)).picks)

    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(choose, banks))
    assert together == [choose(vectors) for vectors in banks]
    assert together[0] != together[1]
