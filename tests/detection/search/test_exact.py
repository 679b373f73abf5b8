import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.protocol import BoolArray, DetectionError, Float32Array, Int64Array
from detection.search import KINDS, ExactSearch, available_kinds, paired_distances
from detection.search import blocked as blocked_module

every_kind = pytest.mark.parametrize("kind", available_kinds())


def plain_nearest(
    queries: Float32Array, bank: Float32Array, allowed: BoolArray | None = None
) -> tuple[Float32Array, Int64Array]:
    """The slow reference: every distance by the one routine, lowest row on ties."""
    columns = []
    for row, vector in enumerate(bank):
        usable = allowed is None or bool(allowed[row])
        same = np.broadcast_to(vector, queries.shape)
        far = np.full(len(queries), np.inf, np.float32)
        columns.append(paired_distances(queries, same) if usable else far)
    distances = np.stack(columns, axis=1)
    rows = distances.argmin(axis=1)
    return distances[np.arange(len(queries)), rows], rows


def awkward_vectors(seed: int, rows: int, width: int, how: str) -> Float32Array:
    rng = np.random.default_rng(seed)
    if how == "ties":  # whole numbers: many distances are exactly equal
        return rng.integers(-1, 2, (rows, width)).astype(np.float32)
    if how == "copies":
        few = rng.normal(size=(max(1, rows // 6), width))
        return few[rng.integers(len(few), size=rows)].astype(np.float32)
    if how == "near ties":  # one unit in the last place or so apart
        one = rng.normal(size=width)
        return (one * (1 + rng.integers(-3, 4, (rows, width)) * 2.0**-23)).astype(np.float32)
    if how == "far off":
        return (rng.normal(size=(rows, width)) + 300).astype(np.float32)
    if how == "clusters":
        centres = rng.normal(size=(4, width)) * 8
        return (centres[rng.integers(4, size=rows)] + rng.normal(size=(rows, width))).astype("f4")
    return (rng.normal(size=(rows, width)) * 10.0 ** rng.integers(-22, 13)).astype(np.float32)


# One width drawn per example; small blocks, so that a bank spans several of them.
@every_kind
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 90),
    width=st.integers(1, 200),
    how=st.sampled_from(["ties", "copies", "near ties", "far off", "clusters", "plain"]),
    leave_out=st.booleans(),
)
def test_same_rows_and_same_bits_as_the_plain_method(
    kind: str, seed: int, rows: int, width: int, how: str, leave_out: bool
) -> None:
    vectors = awkward_vectors(seed, rows + 17, width, how)
    order = np.random.default_rng(seed).permutation(len(vectors))
    bank, queries = vectors[order[:rows]], vectors[order[rows - 1 :]]  # one query is in the bank
    allowed = np.random.default_rng(seed).random(rows) < 0.6 if leave_out else None
    if allowed is not None:
        allowed[seed % rows] = True
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocked_module, "_QUERIES", 7)
        patch.setattr(blocked_module, "_BANK_ROWS", 16)
        distances, nearest = ExactSearch(bank, kind=kind).nearest(queries, allowed=allowed)
    expected_distances, expected_rows = plain_nearest(queries, bank, allowed)
    np.testing.assert_array_equal(nearest, expected_rows)
    np.testing.assert_array_equal(distances, expected_distances)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 200))
def test_a_distance_does_not_depend_on_those_beside_it(seed: int, rows: int, width: int) -> None:
    left, right = np.random.default_rng(seed).normal(size=(2, rows, width)).astype(np.float32)
    together = paired_distances(left, right)
    alone = [paired_distances(left[i : i + 1], right[i : i + 1])[0] for i in range(rows)]
    np.testing.assert_array_equal(together, np.array(alone, np.float32))


def test_paired_distances_by_hand() -> None:
    left = np.array([[0.0, 0.0], [1.0, 1.0]], np.float32)
    right = np.array([[3.0, 4.0], [1.0, 1.0]], np.float32)
    np.testing.assert_array_equal(paired_distances(left, right), np.array([5.0, 0.0], np.float32))


@every_kind
def test_a_larger_bank_of_more_than_one_block(kind: str) -> None:
    rng = np.random.default_rng(0)
    bank = rng.normal(size=(3000, 40)).astype(np.float32)
    queries = rng.normal(size=(300, 40)).astype(np.float32)
    distances, nearest = ExactSearch(bank, kind=kind).nearest(queries)
    squares = ((queries[:, None].astype(np.float64) - bank) ** 2).sum(axis=2)
    np.testing.assert_array_equal(nearest, squares.argmin(axis=1))
    np.testing.assert_allclose(distances, np.sqrt(squares.min(axis=1)), rtol=1e-6)


@every_kind
def test_only_allowed_vectors_answer(kind: str) -> None:
    bank = np.array([[0.0, 0.0], [1.0, 0.0], [5.0, 0.0]], np.float32)
    search = ExactSearch(bank, kind=kind)
    allowed = np.array([False, True, True])
    distances, nearest = search.nearest(np.zeros((1, 2), np.float32), allowed=allowed)
    assert (float(distances[0]), int(nearest[0])) == (1.0, 1)
    with pytest.raises(ValueError, match="no bank vector"):
        search.nearest(bank, allowed=np.zeros(3, np.bool_))
    with pytest.raises(ValueError, match="each of 3"):
        search.nearest(bank, allowed=np.ones(2, np.bool_))


@every_kind
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_refuses_what_is_no_number(kind: str, value: float) -> None:
    good, bad = np.ones((4, 3), np.float32), np.ones((4, 3), np.float32)
    bad[2, 1] = value
    with pytest.raises(DetectionError, match="of the bank is not a finite"):
        ExactSearch(bad, kind=kind)
    with pytest.raises(DetectionError, match="of an image is not a finite"):
        ExactSearch(good, kind=kind).nearest(bad)


@every_kind
def test_no_queries_no_answers(kind: str) -> None:
    distances, nearest = ExactSearch(np.ones((2, 3), np.float32), kind=kind).nearest(
        np.empty((0, 3), np.float32)
    )
    assert distances.shape == nearest.shape == (0,)
    assert [str(distances.dtype), str(nearest.dtype)] == ["float32", "int64"]


def test_products_are_counted_and_clusters_save_distances() -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(20, 12)) * 20
    bank = (centres[rng.integers(20, size=4000)] + rng.normal(size=(4000, 12))).astype(np.float32)
    queries = bank[:100] + np.float32(0.01)
    counts = {}
    for kind in ("blocked", "clustered"):
        search = ExactSearch(bank, kind=kind)
        search.nearest(queries)
        counts[kind] = search.evaluations
    assert counts["blocked"] == 100 * 4000
    assert counts["clustered"] < 0.1 * counts["blocked"]


def test_refuses_an_empty_bank_an_unknown_kind_and_other_widths() -> None:
    bank = np.ones((2, 3), np.float32)
    with pytest.raises(ValueError, match="at least one row"):
        ExactSearch(np.empty((0, 3), np.float32))
    with pytest.raises(DetectionError, match="blocked, clustered, faiss"):
        ExactSearch(bank, kind="ivf")
    with pytest.raises(ValueError, match=r"\(rows, 3\)"):
        ExactSearch(bank).nearest(np.ones((2, 4), np.float32))


def test_says_so_where_a_library_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detection.search.exact.faiss_is_installed", lambda: False)
    assert "faiss" not in available_kinds()
    with pytest.raises(DetectionError, match="not installed; choose one of blocked"):
        ExactSearch(np.ones((2, 3), np.float32), kind="faiss")


def test_importing_and_the_plain_kind_load_no_engine() -> None:
    code = (
        "import sys, numpy as np; from detection.search import ExactSearch, available_kinds;"
        "import detection.coreset; available_kinds();"
        "ExactSearch(np.ones((2, 3), np.float32)).nearest(np.ones((2, 3), np.float32));"
        "print(sorted({'numba', 'faiss', 'torch', 'cv2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert KINDS == ("blocked", "clustered", "faiss")
