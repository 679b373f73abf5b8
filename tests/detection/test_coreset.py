import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.coreset import farthest_first, random_projection
from detection.protocol import Float32Array


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
    picks = farthest_first(vectors, 300, rng=np.random.default_rng(5))
    assert picks.tolist() == plain_picks(vectors, 300, int(picks[0]))


# Whole numbers make every distance exact, so ties are real and must fall to the lowest index.
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(1, 4), st.integers(1, 60))
def test_ties_and_copies(seed: int, rows: int, width: int, count: int) -> None:
    vectors = np.random.default_rng(seed).integers(0, 3, (rows, width)).astype(np.float32)
    picks = farthest_first(vectors, count, rng=np.random.default_rng(seed))
    assert picks.tolist() == plain_picks(vectors, min(count, rows), int(picks[0]))


def test_same_seed_same_picks_and_another_start() -> None:
    vectors = np.random.default_rng(0).normal(size=(500, 8)).astype(np.float32)
    first = farthest_first(vectors, 50, rng=np.random.default_rng(1))
    again = farthest_first(vectors, 50, rng=np.random.default_rng(1))
    other = farthest_first(vectors, 50, rng=np.random.default_rng(2))
    np.testing.assert_array_equal(first, again)
    assert first[0] != other[0]


def test_all_vectors_when_more_are_wanted() -> None:
    vectors = np.random.default_rng(0).normal(size=(9, 2)).astype(np.float32)
    assert sorted(farthest_first(vectors, 50, rng=np.random.default_rng(0))) == list(range(9))


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
    small = random_projection(vectors, 64, rng=rng)
    assert small.shape == (200, 64)
    ratio = np.linalg.norm(small[:100] - small[100:], axis=1)
    ratio /= np.linalg.norm(vectors[:100] - vectors[100:], axis=1)
    assert 0.9 < ratio.mean() < 1.1
    assert random_projection(small, 64, rng=rng) is small
